package reseal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/password"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/opaque"
)

// PendingReset is a reset of the account that was asked for.
type PendingReset struct {
	// Device asked for it, and alone can make it happen; This tells that it is
	// this one.
	Device identity.DeviceID
	This   bool
	Asked  time.Time
	// Due is from when on it can happen, by the server's clock; In how long that
	// is by the device's, 0 from then on.
	Due time.Time
	In  time.Duration
}

// AskReset begins a reset of the account: the last way back when both the
// password and the recovery code are gone. All devices are told
// (KindAccount, "reset_asked"), and each of them can cancel it; after 24 hours
// this device can call Reset. A change of the password, a recovery and a
// rotation end it, too. Asked for again it is the same reset. Errors:
// ErrOffline, *RateError.
func (a *Account) AskReset(ctx context.Context) (PendingReset, error) {
	resp, err := repeat(ctx, a.remote.account.AskReset, &resealv1.AskResetRequest{})
	if err != nil {
		return PendingReset{}, a.in.callError(err)
	}
	r, ok := a.pendingReset(resp.GetReset_())
	if !ok {
		return r, as(ErrServer, errors.New("reset"))
	}
	return r, nil
}

// CancelReset ends an announced reset, whoever asked for it. Without one it does
// nothing. Errors: ErrOffline.
func (a *Account) CancelReset(ctx context.Context) error {
	_, err := repeat(ctx, a.remote.account.CancelReset, &resealv1.CancelResetRequest{})
	return a.in.callError(err)
}

// PendingReset is the reset that is announced; false where there is none.
// Errors: ErrOffline.
func (a *Account) PendingReset(ctx context.Context) (PendingReset, bool, error) {
	resp, err := a.remote.account.ListSessions(ctx, &resealv1.ListSessionsRequest{})
	if err != nil {
		return PendingReset{}, false, a.in.callError(err)
	}
	r, ok := a.pendingReset(resp.GetReset_())
	return r, ok, nil
}

func (a *Account) pendingReset(r *resealv1.PendingReset) (PendingReset, bool) {
	asked, due := identity.Time(r.GetAskedMs()), identity.Time(r.GetDueMs())
	if len(r.GetDeviceId()) != len(a.device) || asked > identity.MaxTime || due > identity.MaxTime {
		return PendingReset{}, false
	}
	d := identity.DeviceID(r.DeviceId)
	return PendingReset{
		Device: d, This: d == a.device, Asked: asked.Time(), Due: due.Time(), In: max(0, due.Time().Sub(a.in.o.Now())),
	}, true
}

// Reset makes the reset happen that this device asked for 24 hours ago: the
// account begins anew, with another account key, password and recovery code,
// which is shown once. This device stays with what it has; every other one
// leaves the account, and what is sealed there opens with no password any more.
//
// Nothing vouches for the new key: contacts are warned, and what goes between
// them and the account is held back until they agree to it (Trust); nobody has
// it verified any more. The code is returned beside an error where it may have
// come into force. Errors: ErrNoReset, *NotDueError, *password.Weak,
// ErrUncertain, ErrServer, ErrOffline, *RateError.
func (a *Account) Reset(ctx context.Context, newPassword []byte) (RecoveryCode, error) {
	var none RecoveryCode
	normal, err := password.Check(string(newPassword), handleOf(a))
	if err != nil {
		return none, err
	}
	c, record, err := a.startReset(ctx, normal)
	if err != nil {
		return none, a.in.callError(err)
	}
	code := c.code
	// Durable before the server is asked, as with a rotation.
	if err := a.step(client.Rotating{Key: c.capsule.Account.Public(), Book: c.capsule.Book, Row: c.capsule.Row}); err != nil {
		return none, err
	}
	list, err := a.finishReset(ctx, c, record)
	switch {
	case errors.Is(err, errSent):
		return code, as(ErrUncertain, a.in.callError(err))
	case err != nil:
		return none, a.in.callError(err)
	}
	// From here on it has happened. What this device still has to do for it is
	// done again at its next start, where it fails now.
	if err := a.step(client.OwnList{List: list.Bytes()}); err != nil {
		return code, err
	}
	return code, a.retag()
}

// anew is what an account begins anew with.
type anew struct {
	*credentials
	code RecoveryCode
}

// startReset draws the keys and registers the password.
func (a *Account) startReset(ctx context.Context, pass []byte) (c anew, record []byte, err error) {
	reg, m1, err := opaque.StartRegistration(handleOf(a), pass)
	if err != nil {
		return c, nil, err
	}
	resp, err := repeat(ctx, a.remote.account.StartReset, &resealv1.StartResetRequest{RegistrationRequest: m1})
	if err != nil {
		return c, nil, err
	}
	record, export, err := a.remote.which.finish(reg, resp.RegistrationResponse)
	if err != nil {
		return c, nil, err
	}
	k, code, err := a.in.newKeys()
	if err != nil {
		return c, nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return c, nil, ErrClosed
	}
	own, _, err := a.engine.OwnKeys()
	if err != nil {
		return c, nil, engineError(err)
	}
	return anew{&credentials{
		handle: handleOf(a), account: a.id, export: export, capsule: k, list: own, remote: a.remote,
		place: capsule.Place{Account: a.id, Credential: resp.Credential + 1},
	}, code}, record, nil
}

func (a *Account) finishReset(ctx context.Context, c anew, record []byte) (*identity.SignedList, error) {
	root, err := c.code.Root(c.capsule.Account).Seal(a.in.o.Rand, c.code.RootKey(), a.id)
	if err != nil {
		return nil, err
	}
	auth := c.code.Auth().Hash()
	mine := true // the book with what only this device knows
	for range 16 {
		if err := c.refresh(ctx, a.section.Row()); err != nil {
			return nil, err
		}
		base, sealed, err := a.rotatedBook(ctx, c.capsule.Book, mine)
		if err != nil {
			return nil, err
		}
		next, err := identity.Reset(c.list, c.capsule.Account.Public(), c.code.NextKey().Public().Next(), a.device, a.in.now())
		if err != nil {
			return nil, fmt.Errorf("reseal: reset: %w", err)
		}
		next.BookVersion, next.BookHash = sealed.Version, sealed.Hash
		l, err := identity.SignList(next, c.capsule.Account)
		if err != nil {
			return nil, err
		}
		req := &resealv1.FinishResetRequest{
			Revision: c.revision, List: l.Bytes(), OpaqueRecord: record, RecoveryAuthHash: auth[:], RecoveryRoot: root,
			BaseVersion: base, Book: &resealv1.Book{Version: sealed.Version, Parts: sealed.Parts},
		}
		if req.Capsules, err = a.in.capsules(c.credentials, l); err != nil {
			return nil, err
		}
		if req.Share, err = a.ownShare(c.capsule); err != nil {
			return nil, err
		}
		_, err = repeat(ctx, a.remote.account.FinishReset, req)
		switch {
		case err == nil:
			return l, nil
		case refusal.Reason(err) == resealv1.Reason_REASON_CONFLICT:
		case mine && refusal.Reason(err) == resealv1.Reason_REASON_LIMIT:
			mine = false // the server keeps no book of this size
		case refusal.Passing(err), isSessionEnd(err):
			return nil, errors.Join(errSent, err)
		default:
			return nil, err
		}
	}
	return nil, ErrServerFull
}
