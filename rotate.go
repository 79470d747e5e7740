package reseal

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/book"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/password"
	"github.com/reseal/reseal/identity"
)

// ErrSamePassword: a rotation is for when somebody knows the password, so it
// needs another one.
var ErrSamePassword = errors.New("reseal: a rotation needs another password than the present one")

// Rotate takes the account away from somebody who knows its password: it gives
// it the account key that it committed to, which only the recovery code yields,
// another password, fresh keys for all that the old ones opened, and another
// recovery code, shown once. Only this device and those in keep stay; all other
// logins end, and other devices need the new password. Contacts follow without
// a warning, and a verified contact stays verified.
//
// newPassword is the password from now on. Where the copy of the account's keys
// was destroyed at the server, only this device can stay: ErrCopy when keep
// names others. The code is returned beside an error where it may have come
// into force. Errors: ErrRecoveryCode, ErrSamePassword, ErrCopy, ErrUncertain,
// *WeakPasswordError, ErrUnknownDevice, ErrServer, ErrOffline, *RateError.
func (a *Account) Rotate(ctx context.Context, newPassword []byte, code RecoveryCode, keep []identity.DeviceID) (RecoveryCode, error) {
	var none RecoveryCode
	normal, err := password.Check(string(newPassword), handleOf(a))
	if err != nil {
		return none, err
	}
	if err := a.refuseSame(ctx, newPassword); err != nil {
		return none, err
	}
	r, err := a.in.startRecovery(ctx, a.Server(), a.remote.which.key(), handleOf(a), code)
	if err != nil {
		return none, err
	}
	defer r.remote.link.Close()
	if err := a.isOwn(r); err != nil {
		return none, err
	}
	t, err := a.rotation(r, code, keep)
	if err != nil {
		return none, err
	}
	if err := a.publishRotation(ctx, t, normal); err != nil {
		if errors.Is(err, errSent) {
			none = t.code
		}
		return none, a.in.changeError(err)
	}
	_, _ = r.remote.account.EndSession(ctx, &resealv1.EndSessionRequest{})
	// From here on it has happened. What this device still has to do for it is
	// done again at its next start, where it fails now.
	if err := a.step(client.OwnList{List: t.list.Bytes()}); err != nil {
		return t.code, err
	}
	return t.code, a.retag()
}

// refuseSame refuses the present password as the new one.
func (a *Account) refuseSame(ctx context.Context, pass []byte) error {
	c, err := a.in.authenticate(ctx, a.Server(), a.remote.which.key(), a.handle, pass)
	if errors.Is(err, ErrLogin) {
		return nil
	}
	if err != nil && !errors.Is(err, ErrServer) {
		return err
	}
	if err == nil {
		_, _ = c.remote.account.EndSession(ctx, &resealv1.EndSessionRequest{})
		_ = c.remote.link.Close()
	}
	return ErrSamePassword
}

// isOwn checks what the code brought against what this device knows of its
// account: a server must not make it rotate another one, or from a list that it
// never had.
func (a *Account) isOwn(r *recovery) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return ErrClosed
	}
	l, _, err := a.engine.OwnKeys()
	if err != nil {
		return engineError(err)
	}
	if _, err := identity.PinOf(l).Follow(r.list); err != nil {
		return servedList(err)
	}
	return nil
}

// rotation is a rotation on its way.
type rotation struct {
	c    *credentials // what the code brought; its capsule is the next one
	root capsule.Root
	// old seals the shares as they are; zero where the copy is gone.
	old     capsule.ShareKey
	from    capsule.RecoveryCode
	code    RecoveryCode
	keep    []identity.DeviceID
	renewed *newRecovery
	fresh   bool // another row key
	list    *identity.SignedList
}

// rotation draws everything that is fresh. The row key stays as it is where
// other devices stay: they find their sections by it, and nobody but they knows
// the names that another key would give.
func (a *Account) rotation(r *recovery, code RecoveryCode, keep []identity.DeviceID) (*rotation, error) {
	t := &rotation{root: r.root, from: code, keep: append(slices.Clone(keep), a.device)}
	for _, d := range keep {
		if _, ok := r.list.Find(d); !ok {
			return nil, ErrUnknownDevice
		}
	}
	alone := !slices.ContainsFunc(keep, func(d identity.DeviceID) bool { return d != a.device })
	c, err := r.credentials(code)
	switch {
	case errors.Is(err, ErrCopy) && alone:
		c = r.credentialsOf(capsule.Capsule{})
	case err != nil:
		return nil, err
	}
	t.c, t.old, t.fresh = c, c.capsule.Share, alone
	rand := a.in.o.Rand
	k := &c.capsule
	k.Account, k.List, k.BookHead = r.root.Next, capsule.Head{}, capsule.Head{}
	if k.Share, err = capsule.NewShareKey(rand); err != nil {
		return nil, err
	}
	if k.Book, err = capsule.NewBookKey(rand); err != nil {
		return nil, err
	}
	if alone {
		if k.Row, err = capsule.NewRowKey(rand); err != nil {
			return nil, err
		}
	}
	if t.code, err = capsule.NewRecoveryCode(rand); err != nil {
		return nil, err
	}
	k.Recovery = t.code.Key()
	t.renewed, err = a.in.renew(r.account, t.code.Root(k.Account), code, t.code)
	return t, err
}

func (a *Account) publishRotation(ctx context.Context, t *rotation, pass []byte) error {
	keep, err := sessionHash(a.bearer())
	if err != nil {
		return err
	}
	c := t.c
	record, export, err := a.in.register(ctx, c, pass)
	if err != nil {
		return err
	}
	c.export = export
	c.place.Credential++
	ev := client.Rotating{Key: c.capsule.Account.Public(), Book: c.capsule.Book}
	if t.fresh {
		ev.Row = c.capsule.Row
	}
	if err := a.step(ev); err != nil {
		return err
	}
	mine := true // the book with what only this device knows
	for range 16 {
		if err := c.refresh(ctx, capsule.RowID{}); err != nil {
			return err
		}
		req, err := a.rotateRequest(ctx, t, mine)
		if err != nil {
			return err
		}
		req.OpaqueRecord, req.KeepSession = record, keep
		_, err = repeat(ctx, c.remote.account.Rotate, req)
		switch {
		case err == nil:
			return nil
		case refusal.Reason(err) == resealv1.Reason_REASON_CONFLICT:
		case mine && refusal.Reason(err) == resealv1.Reason_REASON_LIMIT:
			mine = false // the server keeps no book of this size
		case refusal.Passing(err), isSessionEnd(err):
			return errors.Join(errSent, err)
		default:
			return err
		}
	}
	return ErrServerFull
}

// rotateRequest makes everything from what stands at the server now.
func (a *Account) rotateRequest(ctx context.Context, t *rotation, mine bool) (*resealv1.RotateRequest, error) {
	c := t.c
	rows, revision, err := a.rotatedRows(ctx, t)
	if err != nil {
		return nil, err
	}
	base, sealed, err := a.rotatedBook(ctx, c.capsule.Book, mine)
	if err != nil {
		return nil, err
	}
	next, err := identity.Rotate(c.list, c.capsule.Account.Public(), t.code.NextKey().Public().Next(), t.keep, a.in.now())
	if err != nil {
		return nil, fmt.Errorf("reseal: rotation: %w", err)
	}
	next.BookVersion, next.BookHash = sealed.Version, sealed.Hash
	if t.list, err = identity.SignRotation(next, t.root.Account, c.capsule.Account); err != nil {
		return nil, err
	}
	capsules, err := a.in.capsules(c, t.list)
	if err != nil {
		return nil, err
	}
	return &resealv1.RotateRequest{
		Revision: revision, List: t.list.Bytes(), Capsules: capsules, Rows: rows, Recovery: t.renewed.request,
		BaseVersion: base, Book: &resealv1.Book{Version: sealed.Version, Parts: sealed.Parts},
	}, nil
}

// rotatedRows seals the shares of the devices that stay. That of this device
// comes from its section, whatever the server has.
func (a *Account) rotatedRows(ctx context.Context, t *rotation) (rows []*resealv1.ShareRow, revision uint64, err error) {
	k := t.c.capsule
	resp, err := repeat(ctx, t.c.remote.account.ListShares, &resealv1.ListSharesRequest{})
	if err != nil {
		return nil, 0, err
	}
	own, err := a.ownShare(k)
	if err != nil {
		return nil, 0, err
	}
	rows = []*resealv1.ShareRow{{DeviceId: a.device[:], Shares: []*resealv1.Share{own}}}
	for _, r := range resp.Rows {
		if len(r.DeviceId) != len(a.device) || identity.DeviceID(r.DeviceId) == a.device || !slices.Contains(t.keep, identity.DeviceID(r.DeviceId)) {
			continue
		}
		out := &resealv1.ShareRow{DeviceId: r.DeviceId}
		if out.Shares, err = a.in.resealRow(r, t.old, k.Share, a.id); err != nil {
			return nil, 0, err
		}
		rows = append(rows, out)
	}
	return rows, resp.Revision, nil
}

// ownShare is the share that this device's section is sealed under, for the
// keys that the account will have.
func (a *Account) ownShare(k capsule.Capsule) (*resealv1.Share, error) {
	share, err := a.section.Share()
	if err != nil {
		return nil, vaultError(err)
	}
	row := a.section.RowUnder(k.Row)
	sealed, err := share.Seal(a.in.o.Rand, k.Share, a.id, row)
	if err != nil {
		return nil, err
	}
	return &resealv1.Share{Row: row[:], ShareId: share.ID[:], Sealed: sealed}, nil
}

// rotatedBook is the book as this device and the server have it, under the
// fresh key, and the version that it comes after. Without mine it is the server's
// alone: what this device could not store there for its size stays here.
func (a *Account) rotatedBook(ctx context.Context, k capsule.BookKey, mine bool) (base uint64, sealed book.Stored, err error) {
	resp, err := a.remote.account.GetBook(ctx, &resealv1.GetBookRequest{})
	if err != nil {
		return 0, sealed, err
	}
	a.mu.Lock()
	own, key, err := a.engine.Book()
	a.mu.Unlock()
	if err != nil {
		return 0, sealed, engineError(err)
	}
	base = resp.GetBook().GetVersion()
	theirs, _, err := book.Load(key, a.id, base, resp.GetBook().GetParts())
	switch {
	case err == nil && mine:
		own = book.Merge(own, theirs)
	case err == nil:
		own = theirs
	case !mine:
		own = new(book.Book)
	}
	sealed, err = own.Store(a.in.o.Rand, k, a.id, base+1)
	return base, sealed, err
}

// retag puts the section under the row key of a rotation, where that is due.
// The session record stays good: it names the slot, which stays.
func (a *Account) retag() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return ErrClosed
	}
	key, due := a.engine.RowDue()
	if !due {
		return nil
	}
	if err := a.section.Retag(key); err != nil {
		return vaultError(err)
	}
	out, err := a.engine.Step(a.clock(), client.Retagged{})
	if err != nil {
		return engineError(err)
	}
	if err := a.section.Commit(vaultBatch(out.Batch)); err != nil {
		a.reopenEngine()
		return vaultError(err)
	}
	return nil
}
