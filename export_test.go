package reseal

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/message"
)

// DropFiles removes the device's ciphertext files.
func DropFiles(a *Account) error { return a.dropFiles(func(string) bool { return true }) }

// Opening gives a message's keys.
func Opening(a *Account, id MessageID) (client.Opening, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.engine.Opening(a.in.now(), id)
}

// ReceiptKey is R of a message to or from the account, zero for none: field 4 of
// its record.
func ReceiptKey(a *Account, id MessageID) (r message.R) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, prefix := range []string{"in/", "out/"} {
		b, _ := a.section.Get(prefix + id.String())
		for len(b) > 0 {
			number, kind, n := protowire.ConsumeTag(b)
			if n < 0 {
				break
			}
			m := protowire.ConsumeFieldValue(number, kind, b[n:])
			if m < 0 {
				break
			}
			if v, _ := protowire.ConsumeBytes(b[n:]); number == 4 && len(v) == len(r) {
				copy(r[:], v)
			}
			b = b[n+m:]
		}
	}
	return r
}

// ListVersion is the version of the own list that the account's engine knows.
func ListVersion(a *Account) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	l, _, err := a.engine.OwnKeys()
	if err != nil {
		return 0
	}
	return l.List.Version
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

// HoldPauses makes the pauses between two streams of the account last for ever.
func HoldPauses(a *Account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.after = func(time.Duration) <-chan time.Time { return nil }
}

// HasLeft tells whether messages of a day are noted as left at the server.
func HasLeft(a *Account) bool { return len(a.section.Names("left/")) > 0 }

// TokenOf is the token of the account's session.
func TokenOf(a *Account) string { return a.bearer() }

// ForgetServerKey makes the session record one of a version that did not note
// the server's key.
func ForgetServerKey(ctx context.Context, a *Account) error {
	resp, err := a.remote.account.GetSessionShare(ctx, &resealv1.GetSessionShareRequest{})
	if err != nil {
		return err
	}
	sessions, err := a.in.vault.Sessions()
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if s.Account == a.id {
			s.ServerKey = [32]byte{}
			return a.section.SaveSession(*s, vault.SessionShare(resp.SessionShare))
		}
	}
	return ErrNotLoggedIn
}

// EndSession ends a session of the account.
func EndSession(ctx context.Context, a *Account, id [16]byte) error {
	_, err := a.remote.account.EndSession(ctx, &resealv1.EndSessionRequest{Id: id[:]})
	return err
}

// Secrets hands every secret of an account to yield, with its name, as far as
// the account and a login with its password bring them, and clears its copies.
func Secrets(ctx context.Context, a *Account, pass []byte, yield func(name string, b []byte)) error {
	give := func(name string, b []byte) {
		yield(name, b)
		clear(b)
	}
	c, err := a.authenticate(ctx, pass)
	if err != nil {
		return err
	}
	_, _ = c.remote.account.EndSession(ctx, &resealv1.EndSessionRequest{})
	_ = c.remote.link.Close()
	give("account key", c.capsule.Account.Seed())
	for name, k := range map[string]interface{ Bytes() [32]byte }{
		"K_row": c.capsule.Row, "K_book": c.capsule.Book, "K_share": c.capsule.Share, "K_rec": c.capsule.Recovery,
		"another session": c.session,
	} {
		b := k.Bytes()
		give(name, b[:])
	}
	export := c.export.Bytes()
	give("export key", export[:])
	a.mu.Lock()
	defer a.mu.Unlock()
	give("device key", a.engine.DeviceKey().Seed())
	give("token", slices.Clone([]byte(a.token)))
	raw, err := base64.RawURLEncoding.DecodeString(string(a.token))
	if err != nil {
		return err
	}
	give("session", raw[16:])
	share, err := a.section.Share()
	if err != nil {
		return err
	}
	value := share.Value.Bytes()
	give("server share", value[:])
	all, err := a.engine.Inbox(a.in.now(), false)
	if err != nil {
		return err
	}
	for _, m := range all {
		o, err := a.engine.Opening(a.in.now(), m.ID)
		if err != nil {
			return err
		}
		give("key of a content", o.CEK[:])
	}
	for name, b := range a.section.Range("epoch/") {
		// The two seeds, 32 bytes each, are the only such fields.
		for i := 0; i+34 <= len(b); i++ {
			if (b[i] == 2<<3|2 || b[i] == 3<<3|2) && b[i+1] == 32 {
				give(name+" "+strconv.Itoa(int(b[i]>>3)), b[i+2:i+34])
				i += 33
			}
		}
		clear(b)
	}
	return nil
}

// Names are the names of the device's records with a prefix.
func Names(a *Account, prefix string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.section.Names(prefix)
}
