package reseal

import (
	"context"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/identity"
)

// errNoShare: no share at the server opens the section, or another copy of this
// folder logged in meanwhile, and its share is the one that stayed.
var errNoShare = errors.New("reseal: no share opens this section")

// reopen unlocks a section with the share that it is sealed under, and seals it
// anew under a fresh one: put, reseal, confirm. A crash in between leaves a
// section that one of the server's two shares opens.
func (in *Installation) reopen(ctx context.Context, c *credentials, slot *vault.Slot) (*vault.Section, error) {
	u, err := in.unlock(ctx, c, slot)
	if err != nil {
		return nil, err
	}
	if err := in.replaceShare(ctx, c, u); err != nil {
		_ = u.section.Close()
		return nil, err
	}
	return u.section, nil
}

// unlocked is a section that is open, and still sealed as it was.
type unlocked struct {
	section *vault.Section
	// current is the share that it is sealed under.
	current  capsule.ShareID
	revision uint64
}

// unlock opens a section with the server's share, or fails with errNoShare.
func (in *Installation) unlock(ctx context.Context, c *credentials, slot *vault.Slot) (u unlocked, err error) {
	row := slot.Row()
	resp, err := repeat(ctx, c.remote.account.GetShares, &resealv1.GetSharesRequest{Row: row[:]})
	if err != nil {
		return u, err
	}
	for _, sh := range resp.Shares {
		if len(sh.ShareId) != len(capsule.ShareID{}) {
			continue
		}
		share, err := capsule.OpenShare(sh.Sealed, c.capsule.Share, c.account, row, capsule.ShareID(sh.ShareId))
		if err != nil || !slot.Under(share) {
			continue
		}
		s, err := slot.Unlock(share)
		if err == nil {
			return unlocked{s, share.ID, resp.Revision}, nil
		}
		if !errors.Is(err, vault.ErrOpen) {
			return u, vaultError(err)
		}
	}
	return u, errNoShare
}

// maxConflicts is how often something is tried anew because somebody else
// changed the account at the same time.
const maxConflicts = 16

func (in *Installation) replaceShare(ctx context.Context, c *credentials, u unlocked) error {
	row, revision := u.section.Row(), u.revision
	next, err := capsule.NewShare(in.o.Rand)
	if err != nil {
		return err
	}
	sealed, err := next.Seal(in.o.Rand, c.capsule.Share, c.account, row)
	if err != nil {
		return err
	}
	for tries := 0; ; tries++ {
		_, err := repeat(ctx, c.remote.account.PutShare, &resealv1.PutShareRequest{
			Revision: revision, CurrentShareId: u.current[:],
			Share: &resealv1.Share{Row: row[:], ShareId: next.ID[:], Sealed: sealed},
		})
		if err == nil {
			break
		}
		if refusal.Reason(err) != resealv1.Reason_REASON_CONFLICT {
			return outrun(err)
		}
		if tries >= maxConflicts {
			return as(ErrServer, errors.New("a conflict with nobody"))
		}
		resp, err := c.remote.account.GetShares(ctx, &resealv1.GetSharesRequest{Row: row[:]})
		if err != nil {
			return err
		}
		revision = resp.Revision
	}
	if err := u.section.Reseal(next); err != nil {
		return vaultError(err)
	}
	_, err = repeat(ctx, c.remote.account.ConfirmShare, &resealv1.ConfirmShareRequest{Row: row[:], ShareId: next.ID[:]})
	return outrun(err)
}

// outrun tells that the server no longer has the share that this section was
// unlocked with, or was just sealed under: two copies of a folder logged in at the
// same time, and the server took the other's share.
func outrun(err error) error {
	if refusal.Reason(err) == resealv1.Reason_REASON_UNKNOWN_SHARE {
		return errors.Join(errNoShare, err)
	}
	return err
}

// bind binds the new session to the device of a section that was here before.
func (in *Installation) bind(ctx context.Context, c *credentials, s *vault.Section) ([]byte, error) {
	e, err := in.engineOf(c, s)
	if err != nil {
		return nil, err
	}
	device, row := e.Device(), s.Row()
	sig := e.DeviceKey().Sign(identity.NameSession, identity.SessionBinding(c.account, device, c.session.Hash()))
	resp, err := repeat(ctx, c.remote.account.BindSession, &resealv1.BindSessionRequest{DeviceId: device[:], Signature: sig[:], Row: row[:]})
	if err != nil {
		return nil, err
	}
	return resp.SessionShare, nil
}

// engineOf opens the device of a section, which must be in the account's list.
func (in *Installation) engineOf(c *credentials, s *vault.Section) (*client.Engine, error) {
	e, err := client.Open(s, in.o.Rand)
	if err != nil {
		return nil, as(ErrDamaged, err)
	}
	// The capsule's floor may be older than what this device has seen: a list
	// below that, or another one of the same version, must not be built on.
	own, _, err := e.OwnKeys()
	if err != nil {
		return nil, as(ErrDamaged, err)
	}
	if _, err := identity.PinOf(own).Follow(c.list); errors.Is(err, identity.ErrOlder) || errors.Is(err, identity.ErrFork) {
		return nil, servedList(err)
	}
	if _, ok := c.list.Find(e.Device()); !ok {
		return nil, ErrRemoved
	}
	return e, nil
}
