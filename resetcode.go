package reseal

import (
	"context"
	"errors"
	"fmt"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/book"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/password"
	"github.com/reseal/reseal/client/remote/link"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/invite"
	"github.com/reseal/reseal/opaque"
)

// ResetByCode makes the reset happen that the server's operator announced 24
// hours ago, because password, recovery code and every device are gone: code is
// what they handed out. The account begins anew on this installation, as a new
// device, with another account key, password and recovery code, which is shown
// once; nothing of what it had is left but its handle. Contacts are warned as by
// [Account.Reset].
//
// The recovery code is returned beside an error where it may have come into
// force. Errors: ErrResetCode, *NotDueError, ErrLoggedIn, *password.Weak,
// ErrUncertain, ErrServer, ErrOffline, *RateError.
func (in *Installation) ResetByCode(ctx context.Context, name, code string, newPassword []byte) (*Account, RecoveryCode, error) {
	var none RecoveryCode
	h, err := handle.Parse(name)
	if err != nil {
		return nil, none, as(ErrHandle, err)
	}
	c, err := invite.Parse(code)
	if err != nil {
		return nil, none, ErrResetCode
	}
	normal, err := password.Check(string(newPassword), h)
	if err != nil {
		return nil, none, err
	}
	if in.hasSession(ctx, name) {
		return nil, none, ErrLoggedIn
	}
	r, err := in.connect(in.o.Server, link.Token{}, opaque.ServerKey{})
	if err != nil {
		return nil, none, err
	}
	defer r.link.Close()
	session, err := opaque.NewSessionSecret(in.o.Rand)
	if err != nil {
		return nil, none, err
	}
	hash := session.Hash()
	a, next, err := in.resetByCode(ctx, &resetting{
		handle: h, session: session, remote: r,
		open: &resealv1.OpenResetRequest{Handle: string(h), Code: c.Bytes(), SessionHash: hash[:], Installation: in.known(r, h)},
	}, normal)
	if err = in.changeError(err); errors.Is(err, ErrLogin) {
		err = ErrResetCode
	}
	return a, next, err
}

// resetting is a reset by the operator's code under way.
type resetting struct {
	handle  handle.Handle
	session opaque.SessionSecret
	remote  *remoteServer
	open    *resealv1.OpenResetRequest

	account    identity.AccountID
	revision   uint64
	credential uint64
	list       *identity.SignedList
}

// opens shows the code; again, it reads how the account stands now.
func (r *resetting) opens(ctx context.Context) error {
	resp, err := repeat(ctx, r.remote.account.OpenReset, r.open)
	if err != nil {
		return err
	}
	if len(resp.AccountId) != len(r.account) {
		return as(ErrServer, errors.New("account id"))
	}
	r.account, r.revision, r.credential = identity.AccountID(resp.AccountId), resp.Revision, resp.Credential
	if r.list, err = identity.ParseSignedList(resp.List); err != nil || r.list.List.Account != r.account {
		return as(ErrServer, errors.New("device list"))
	}
	return r.remote.link.SetToken(bearer(r.account, r.session))
}

func (in *Installation) resetByCode(ctx context.Context, r *resetting, pass []byte) (*Account, RecoveryCode, error) {
	var none RecoveryCode
	if err := r.remote.first(ctx); err != nil {
		return nil, none, err
	}
	if err := r.opens(ctx); err != nil {
		return nil, none, err
	}
	reg, m1, err := opaque.StartRegistration(r.handle, pass)
	if err != nil {
		return nil, none, err
	}
	started, err := repeat(ctx, r.remote.account.StartReset, &resealv1.StartResetRequest{RegistrationRequest: m1})
	if err != nil {
		return nil, none, err
	}
	record, export, err := r.remote.which.finish(reg, started.RegistrationResponse)
	if err != nil {
		return nil, none, err
	}
	k, code, err := in.newKeys()
	if err != nil {
		return nil, none, err
	}
	n, err := in.bear(k.Row, k.Share, r.account)
	if err != nil {
		return nil, none, err
	}
	var share []byte
	for range 16 {
		var req *resealv1.FinishResetRequest
		if req, err = in.beginAnew(ctx, r, k, code, export, n); err != nil {
			break
		}
		req.OpaqueRecord = record
		var resp *resealv1.FinishResetResponse
		if resp, err = repeat(ctx, r.remote.account.FinishReset, req); err == nil {
			share = resp.SessionShare
			break
		}
		if refusal.Reason(err) != resealv1.Reason_REASON_CONFLICT {
			if refusal.Passing(err) || isSessionEnd(err) {
				none, err = code, errors.Join(errSent, err)
			}
			break
		}
		if err = r.opens(ctx); err != nil {
			break
		}
	}
	if err != nil {
		return nil, none, n.giveUp(err)
	}
	a, err := in.logged(in.now(), r.remote, n.section, r.handle, r.account, r.session, share, nil)
	return a, code, err
}

// beginAnew makes the request from how the account stands now. The section is
// durable before it goes out, as at a login.
func (in *Installation) beginAnew(ctx context.Context, r *resetting, k capsule.Capsule, code RecoveryCode, export opaque.ExportKey, n *newborn) (*resealv1.FinishResetRequest, error) {
	got, err := repeat(ctx, r.remote.account.GetBook, &resealv1.GetBookRequest{})
	if err != nil {
		return nil, err
	}
	base := got.GetBook().GetVersion()
	sealed, err := new(book.Book).Store(in.o.Rand, k.Book, r.account, base+1)
	if err != nil {
		return nil, err
	}
	d := identity.Device{ID: n.id, Key: n.key.Public(), AddedAt: in.now(), Class: identity.Native, How: identity.ByRecovery}
	next, err := identity.ResetOnto(r.list, k.Account.Public(), code.NextKey().Public().Next(), d, in.now())
	if err != nil {
		return nil, fmt.Errorf("reseal: reset: %w", err)
	}
	next.BookVersion, next.BookHash = sealed.Version, sealed.Hash
	l, err := identity.SignList(next, k.Account)
	if err != nil {
		return nil, err
	}
	key := k.Book.Bytes()
	if err := n.birth(client.Birth{Account: r.account, Handle: string(r.handle), BookKey: key[:], List: l.Bytes(), Now: in.now()}); err != nil {
		return nil, err
	}
	c := &credentials{capsule: k, export: export, place: capsule.Place{Account: r.account, Credential: r.credential + 1}}
	capsules, err := in.capsules(c, l)
	if err != nil {
		return nil, err
	}
	certified, err := n.certified(ctx, r.remote)
	if err != nil {
		return nil, err
	}
	root, err := code.Root(k.Account).Seal(in.o.Rand, code.RootKey(), r.account)
	if err != nil {
		return nil, err
	}
	auth := code.Auth().Hash()
	return &resealv1.FinishResetRequest{
		Revision: r.revision, List: l.Bytes(), Capsules: capsules, RecoveryAuthHash: auth[:], RecoveryRoot: root, Share: n.apiShare(),
		BaseVersion: base, Book: &resealv1.Book{Version: sealed.Version, Parts: sealed.Parts}, DeviceId: n.id[:], Certified: certified,
	}, nil
}
