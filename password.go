package reseal

import (
	"context"
	"errors"

	"github.com/reseal/reseal/identity"
)

// authenticate checks the account's password for something that the account key
// signs or that the capsule is sealed for. What the server served is compared
// with what this device knows: the capsule's floor may be older than that, and
// who builds on an older list signs a fork, and brings devices back that were
// removed. The caller closes the connection.
func (a *Account) authenticate(ctx context.Context, pass []byte) (*credentials, error) {
	c, err := a.in.authenticate(ctx, a.Server(), a.remote.which.key(), a.handle, pass)
	if err != nil {
		return nil, err
	}
	if err := a.checkFloor(c); err != nil {
		_ = c.remote.link.Close()
		return nil, err
	}
	return c, nil
}

func (a *Account) checkFloor(c *credentials) error {
	if c.account != a.id {
		return as(ErrServer, errors.New("another account has this handle"))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return ErrClosed
	}
	own, _, err := a.engine.OwnKeys()
	if err != nil {
		return engineError(err)
	}
	if _, err := identity.PinOf(own).Follow(c.list); errors.Is(err, identity.ErrOlder) || errors.Is(err, identity.ErrFork) {
		return servedList(err)
	}
	return nil
}
