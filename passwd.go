package reseal

import (
	"context"
	"encoding/base64"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client/password"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/opaque"
)

// ErrUncertain: the connection was lost before the server's answer came, and it
// is not known whether the change happened. Log in to see: after a change of the
// password exactly one of the two works.
var ErrUncertain = errors.New("reseal: it is not known whether the change happened; log in to see")

// ChangePassword gives the account another password. Other logins of the
// account end and need the new password; their devices, messages and contacts
// stay as they are, and so does this login. Errors: ErrLogin (the old password
// is wrong, or was changed meanwhile), *WeakPasswordError, ErrUncertain, ErrOffline.
//
// It does not evict somebody who knew the old password and logged in with it:
// the account's keys were in their hands, and stay the same. Rotate does.
func (a *Account) ChangePassword(ctx context.Context, old, new []byte) error {
	normal, err := password.Check(string(new), handleOf(a))
	if err != nil {
		return err
	}
	c, err := a.authenticate(ctx, old)
	if err != nil {
		return err
	}
	defer c.remote.link.Close()
	keep, err := sessionHash(a.bearer())
	if err != nil {
		return err
	}
	if err := a.in.setPassword(ctx, c, normal, keep, nil); err != nil {
		return a.in.changeError(err)
	}
	// The session of this password check is not needed any more.
	_, _ = c.remote.account.EndSession(ctx, &resealv1.EndSessionRequest{})
	return nil
}

// changeError is callError for a change of the password: where the outcome of a
// try is unknown it says so.
func (in *Installation) changeError(err error) error {
	switch {
	case isSessionEnd(err):
		// The login was good a moment ago: another change came first.
		return ErrLogin
	case errors.Is(err, errSent) && refusal.Passing(err):
		return as(ErrUncertain, in.callError(err))
	}
	return in.callError(err)
}

// errSent marks an error of a change that may have reached the server.
var errSent = errors.New("reseal: sent")

// sessionHash is the hash by which the server knows the session of a token.
func sessionHash(token string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) != len(identity.AccountID{})+32 {
		return nil, as(ErrDamaged, errors.New("session token"))
	}
	hash := opaque.SessionSecretOf([32]byte(b[len(identity.AccountID{}):])).Hash()
	return hash[:], nil
}

// setPassword puts a new password in place of the one that c logged in with:
// password record, capsule and copy, a fresh K_share and all shares under it,
// in one batch at the server. Nothing changes here: sections keep the shares
// that they are sealed under. Afterwards c is what a login with the new
// password would bring. keep is the session that stays beside that of c.
// With a new recovery it also puts another recovery code in place.
func (in *Installation) setPassword(ctx context.Context, c *credentials, pass, keep []byte, recovery *newRecovery) error {
	record, export, err := in.register(ctx, c, pass)
	if err != nil {
		return err
	}
	next := *c
	next.export, next.place.Credential = export, c.place.Credential+1
	if next.capsule.Share, err = capsule.NewShareKey(in.o.Rand); err != nil {
		return err
	}
	var renewed *resealv1.NewRecovery
	if recovery != nil {
		next.capsule.Recovery, renewed = recovery.key, recovery.request
	}
	for range 16 {
		// The revision is that of the shares, which is read last: what changes
		// after that is refused as a conflict.
		if err := c.refresh(ctx, capsule.RowID{}); err != nil {
			return err
		}
		next.list, next.certs = c.list, c.certs
		var shares []*resealv1.Share
		if shares, next.revision, err = in.resealShares(ctx, c, next.capsule.Share); err != nil {
			return err
		}
		capsules, err := in.capsules(&next, next.list)
		if err != nil {
			return err
		}
		resp, err := repeat(ctx, c.remote.account.ChangePassword, &resealv1.ChangePasswordRequest{
			Revision: next.revision, OpaqueRecord: record, Capsules: capsules, Shares: shares, KeepSession: keep,
			Recovery: renewed,
		})
		if err == nil {
			next.revision = resp.Revision
			*c = next
			return nil
		}
		switch {
		case refusal.Reason(err) == resealv1.Reason_REASON_CONFLICT:
		case refusal.Passing(err), isSessionEnd(err):
			return errors.Join(errSent, err)
		default:
			return err
		}
	}
	return ErrServerFull
}

// register makes the record of a new password.
func (in *Installation) register(ctx context.Context, c *credentials, pass []byte) (record []byte, export opaque.ExportKey, err error) {
	reg, m1, err := opaque.StartRegistration(c.handle, pass)
	if err != nil {
		return nil, export, err
	}
	m2, err := repeat(ctx, c.remote.account.StartPasswordChange, &resealv1.StartPasswordChangeRequest{RegistrationRequest: m1})
	if err != nil {
		return nil, export, err
	}
	return c.remote.which.finish(reg, m2.RegistrationResponse)
}

// resealShares opens all shares of the account and seals them under another
// key, with their rows, ids and values as they are. One that does not open is
// kept as it is: it opened no section before, and opens none after.
func (in *Installation) resealShares(ctx context.Context, c *credentials, k capsule.ShareKey) (all []*resealv1.Share, revision uint64, err error) {
	resp, err := repeat(ctx, c.remote.account.ListShares, &resealv1.ListSharesRequest{})
	if err != nil {
		return nil, 0, err
	}
	for _, r := range resp.Rows {
		row, err := in.resealRow(r, c.capsule.Share, k, c.account)
		if err != nil {
			return nil, 0, err
		}
		all = append(all, row...)
	}
	return all, resp.Revision, nil
}

func (in *Installation) resealRow(r *resealv1.ShareRow, from, to capsule.ShareKey, a identity.AccountID) (all []*resealv1.Share, err error) {
	for _, sh := range r.Shares {
		if len(sh.Row) != len(capsule.RowID{}) || len(sh.ShareId) != len(capsule.ShareID{}) {
			return nil, as(ErrServer, errors.New("share"))
		}
		row := capsule.RowID(sh.Row)
		out := &resealv1.Share{Row: sh.Row, ShareId: sh.ShareId, Sealed: sh.Sealed}
		if one, err := capsule.OpenShare(sh.Sealed, from, a, row, capsule.ShareID(sh.ShareId)); err == nil {
			if out.Sealed, err = one.Seal(in.o.Rand, to, a, row); err != nil {
				return nil, err
			}
		}
		all = append(all, out)
	}
	return all, nil
}

// handleOf is an account's handle, which was parsed when it signed up.
func handleOf(a *Account) handle.Handle { return handle.Handle(a.handle) }
