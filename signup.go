package reseal

import (
	"context"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/book"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/password"
	"github.com/reseal/reseal/client/remote/link"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/secretmem"
	"github.com/reseal/reseal/invite"
	"github.com/reseal/reseal/opaque"
)

// RecoveryCode is the account's second way in, shown once at sign-up. Its
// String is "hidden"; Reveal gives the groups to write down.
type RecoveryCode = capsule.RecoveryCode

// SignUp makes an account with this installation as its first device, and logs
// in. The recovery code is shown once and kept nowhere: without it and the
// password the account is lost. Errors: *WeakPasswordError, ErrHandle,
// ErrHandleTaken, ErrSignupClosed, ErrInvite, ErrOffline, ErrNotReseal, *RateError.
func (in *Installation) SignUp(ctx context.Context, name string, pass []byte) (*Account, RecoveryCode, error) {
	return in.signUpBy(ctx, name, pass, nil)
}

// SignUpInvited is SignUp at a server that takes new accounts by invite, with
// the code as it was written or typed. One code makes one account. Errors
// are those of SignUp.
func (in *Installation) SignUpInvited(ctx context.Context, name string, pass []byte, code string) (*Account, RecoveryCode, error) {
	c, err := invite.Parse(code)
	if err != nil {
		return nil, RecoveryCode{}, as(ErrInvite, err)
	}
	return in.signUpBy(ctx, name, pass, c.Bytes())
}

func (in *Installation) signUpBy(ctx context.Context, name string, pass, invited []byte) (*Account, RecoveryCode, error) {
	h, err := handle.Parse(name)
	if err != nil {
		return nil, RecoveryCode{}, as(ErrHandle, err)
	}
	var normal []byte
	secretmem.Do(func() { normal, err = password.Check(string(pass), h) })
	if err != nil {
		return nil, RecoveryCode{}, err
	}
	defer clear(normal)
	r, err := in.connect(in.o.Server, link.Token{}, opaque.ServerKey{})
	if err != nil {
		return nil, RecoveryCode{}, err
	}
	defer r.link.Close()
	if err := r.first(ctx); err != nil {
		return nil, RecoveryCode{}, in.callError(err)
	}
	var a *Account
	var code RecoveryCode
	secretmem.Do(func() { a, code, err = in.signUp(ctx, r, h, normal, invited) })
	return a, code, in.callError(err)
}

func (in *Installation) signUp(ctx context.Context, r *remoteServer, h handle.Handle, pass, invited []byte) (*Account, RecoveryCode, error) {
	id, err := identity.NewAccountID(in.o.Rand)
	if err != nil {
		return nil, RecoveryCode{}, err
	}
	reg, m1, err := opaque.StartRegistration(h, pass)
	if err != nil {
		return nil, RecoveryCode{}, err
	}
	m2, err := r.account.StartSignup(ctx, &resealv1.StartSignupRequest{Handle: string(h), RegistrationRequest: m1, AccountId: id[:], Invite: invited})
	if err != nil {
		return nil, RecoveryCode{}, err
	}
	record, export, err := r.which.finish(reg, m2.RegistrationResponse)
	if err != nil {
		return nil, RecoveryCode{}, err
	}
	k, code, err := in.newKeys()
	if err != nil {
		return nil, RecoveryCode{}, err
	}
	n, err := in.bear(k.Row, k.Share, id)
	if err != nil {
		return nil, RecoveryCode{}, err
	}
	session, err := opaque.NewSessionSecret(in.o.Rand)
	if err != nil {
		return nil, RecoveryCode{}, n.giveUp(err)
	}
	req, err := in.finishSignup(ctx, r, h, id, k, code, export, n)
	if err != nil {
		return nil, RecoveryCode{}, n.giveUp(err)
	}
	hash := session.Hash()
	req.OpaqueRecord, req.SessionHash, req.Invite = record, hash[:], invited
	req.Installation = in.known(r, h)
	resp, err := repeat(ctx, r.account.FinishSignup, req)
	if err != nil {
		return nil, RecoveryCode{}, n.giveUp(err)
	}
	a, err := in.logged(in.now(), r, n.section, h, id, session, resp.SessionShare, nil)
	return a, code, err
}

// newKeys makes the keys of a new account and its recovery code.
func (in *Installation) newKeys() (k capsule.Capsule, code RecoveryCode, err error) {
	if k.Account, err = identity.NewAccountKey(in.o.Rand); err != nil {
		return k, code, err
	}
	if k.Row, err = capsule.NewRowKey(in.o.Rand); err != nil {
		return k, code, err
	}
	if k.Book, err = capsule.NewBookKey(in.o.Rand); err != nil {
		return k, code, err
	}
	if k.Share, err = capsule.NewShareKey(in.o.Rand); err != nil {
		return k, code, err
	}
	if code, err = capsule.NewRecoveryCode(in.o.Rand); err != nil {
		return k, code, err
	}
	k.Recovery = code.Key()
	return k, code, nil
}

// finishSignup makes everything that the account publishes about itself, and
// the section's first records, durable before the request goes out.
func (in *Installation) finishSignup(ctx context.Context, r *remoteServer, h handle.Handle, id identity.AccountID, k capsule.Capsule, code RecoveryCode, export opaque.ExportKey, n *newborn) (*resealv1.FinishSignupRequest, error) {
	first, err := new(book.Book).Store(in.o.Rand, k.Book, id, 1)
	if err != nil {
		return nil, err
	}
	d := identity.Device{ID: n.id, Key: n.key.Public(), AddedAt: in.now(), Class: identity.Native, How: identity.ByPassword}
	list := identity.FirstList(id, k.Account.Public(), code.NextKey().Public().Next(), d, in.now())
	list.BookVersion, list.BookHash = first.Version, first.Hash
	l, err := identity.SignList(list, k.Account)
	if err != nil {
		return nil, err
	}
	key := k.Book.Bytes()
	if err := n.birth(client.Birth{Account: id, Handle: string(h), BookKey: key[:], List: l.Bytes(), Now: in.now()}); err != nil {
		return nil, err
	}
	c := &credentials{capsule: k, export: export, place: capsule.Place{Account: id, Credential: 1}}
	capsules, err := in.capsules(c, l)
	if err != nil {
		return nil, err
	}
	certified, err := n.certified(ctx, r)
	if err != nil {
		return nil, err
	}
	recovery := code.Auth().Hash()
	root, err := code.Root(k.Account).Seal(in.o.Rand, code.RootKey(), id)
	if err != nil {
		return nil, err
	}
	return &resealv1.FinishSignupRequest{
		Handle: string(h), AccountId: id[:], Capsules: capsules, RecoveryAuthHash: recovery[:], RecoveryRoot: root, List: l.Bytes(),
		Certified: certified, Share: n.apiShare(), Book: &resealv1.Book{Version: first.Version, Parts: first.Parts},
	}, nil
}
