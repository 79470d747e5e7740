package reseal

import (
	"context"
	"errors"

	"github.com/reseal/reseal/client/vault"
)

// aside opens a section of the account that was set aside here, if the server has
// a share of one again and its device is still in the account's list. A removed
// one stays closed, whatever the server says: its removal was for good. What
// is wrong with one of them is no reason to keep anybody out: it stays where
// it is. ok is false where none opens.
func (in *Installation) aside(ctx context.Context, c *credentials) (u unlocked, ok bool, err error) {
	for _, slot := range in.vault.Aside(c.capsule.Row) {
		u, err := in.unlock(ctx, c, slot)
		switch {
		case err == nil:
			if _, err := in.engineOf(c, u.section); err == nil {
				return u, true, nil
			}
			_ = u.section.Close()
		case errors.Is(err, errNoShare), errors.Is(err, ErrDamaged), errors.Is(err, ErrNewer):
		default:
			return u, false, err
		}
	}
	return u, false, nil
}

// comeBack makes a section that was set aside the account's section again, or
// returns nil where none opens. It is sealed under a fresh share first, while it
// is still aside: a crash before the last step leaves it there, under one of
// the server's two shares, for the next login to find.
func (in *Installation) comeBack(ctx context.Context, c *credentials) (*vault.Section, error) {
	u, ok, err := in.aside(ctx, c)
	if err != nil || !ok {
		return nil, err
	}
	err = in.replaceShare(ctx, c, u)
	if err == nil {
		if err = u.section.Retag(c.capsule.Row); err == nil {
			return u.section, nil
		}
		err = vaultError(err)
	}
	_ = u.section.Close()
	if errors.Is(err, errNoShare) {
		return nil, nil // a copy of this folder was faster
	}
	return nil, err
}

// asideOpens tells whether comeBack would find something. The login that asks has
// a section that opens, and does without an answer.
func (in *Installation) asideOpens(ctx context.Context, c *credentials) bool {
	u, ok, err := in.aside(ctx, c)
	if err != nil || !ok {
		return false
	}
	_ = u.section.Close()
	return true
}
