package reseal

import (
	"context"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
)

// DropFiles removes the device's ciphertext files.
func DropFiles(a *Account) error { return a.dropFiles(func(string) bool { return true }) }

// Opening gives a message's keys.
func Opening(a *Account, id MessageID) (client.Opening, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.engine.Opening(a.in.now(), id)
}

// Step lets one event happen at the account's engine.
func Step(a *Account, ev client.Event) error { return a.step(ev) }

// CountCuts counts how often the account ends its stream from now on.
func CountCuts(a *Account) func() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, cut := 0, a.cut
	a.cut = func() {
		n++
		cut()
	}
	return func() int {
		a.mu.Lock()
		defer a.mu.Unlock()
		return n
	}
}

// HasLeft tells whether messages of a day are noted as left at the server.
func HasLeft(a *Account) bool { return len(a.section.Names("left/")) > 0 }

// TokenOf is the token of the account's session.
func TokenOf(a *Account) string { return a.bearer() }

// EndSession ends a session of the account.
func EndSession(ctx context.Context, a *Account, id [16]byte) error {
	_, err := a.remote.account.EndSession(ctx, &resealv1.EndSessionRequest{Id: id[:]})
	return err
}
