package reseal

import (
	"context"
	"errors"
	"time"

	"github.com/reseal/reseal/client"
)

// Settings are the app's settings that the account has, by name. They are in
// the account's book, sealed like the contacts: every device has them, new ones
// too. Only a new device that has not read the book yet waits for that, until
// ctx ends; afterwards no connection is needed. Errors: ErrOffline.
func (a *Account) Settings(ctx context.Context) (all map[string][]byte, err error) {
	err = a.withBook(ctx, func() (err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.closed {
			return ErrClosed
		}
		all, err = a.engine.Settings()
		return err
	})
	return all, err
}

// SetSetting gives a setting of the account a value of at most 1,024 bytes; an
// empty one removes it. A name is 1 to 64 bytes of a-z, 0-9, '.', '_', '-', and
// an account has at most 256 names, those of removed settings included. It is
// durable here when it returns, and reaches the other devices, which tell of it
// by KindSetting. Of changes made at the same time on two devices, the greater
// value stays on both. A new device waits for the book, as with Settings. Errors:
// ErrTooLarge, ErrSettingName, ErrOffline.
func (a *Account) SetSetting(ctx context.Context, name string, value []byte) error {
	return a.withBook(ctx, func() error { return a.step(client.SetSetting{Name: name, Value: value}) })
}

// ErrSettingName: the text is no name for a setting.
var ErrSettingName = errors.New("reseal: not a name for a setting")

// decide notes what the user decided about a contact. A new device waits for the
// book first, as with Settings: what is decided before would count as older than
// what is in there.
func (a *Account) decide(ctx context.Context, c client.ChangeContact) error {
	return a.withBook(ctx, func() error { return a.step(c) })
}

// withBook calls f until the device has the account's book.
func (a *Account) withBook(ctx context.Context, f func() error) error {
	for {
		err := f()
		switch {
		case errors.Is(err, client.ErrSettingName):
			return as(ErrSettingName, err)
		case errors.Is(err, client.ErrBookFull):
			return as(ErrTooLarge, err)
		case !errors.Is(err, client.ErrNoBook):
			return engineError(err)
		}
		if err := a.remote.first(ctx); err != nil {
			return a.in.callError(err)
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return ended(ctx)
		case <-a.ctx.Done():
			return context.Cause(a.ctx)
		}
	}
}
