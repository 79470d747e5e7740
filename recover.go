package reseal

import (
	"context"
	"errors"
	"fmt"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client/password"
	"github.com/reseal/reseal/client/remote/link"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/opaque"
)

// ErrRecoveryCode: the code is not the account's, or nobody has the handle.
var ErrRecoveryCode = errors.New("reseal: wrong recovery code or unknown account")

// ErrCopy: the code is the account's, but the copy of its keys that the code
// opens was destroyed at the server, by the server or by somebody who knows the
// password.
var ErrCopy = errors.New("reseal: the keys that the recovery code opens were destroyed at the server")

// ParseRecoveryCode reads a recovery code as people type it.
func ParseRecoveryCode(s string) (RecoveryCode, error) { return capsule.ParseRecoveryCode(s) }

// Recover logs in with the recovery code in place of the password, and sets a
// new password. The account stays the same: its keys, its safety numbers, its
// devices, and what they hold; other logins end, as with a change of the
// password. Another recovery code takes the place of the one that was used: it
// is shown once. Where it may have come into force it is returned beside an
// error too. Errors: ErrRecoveryCode, ErrUncertain, *WeakPasswordError, ErrLoggedIn,
// ErrOffline, ErrServer, *RateError.
//
// Where the copy of the account's keys was destroyed at the server, which who
// knows the password can do, the account is rotated onto a new device here
// instead (Login.Rotated): the code alone is enough for that.
//
// It does not evict somebody who knew the old password: Rotate does.
func (in *Installation) Recover(ctx context.Context, name string, code RecoveryCode, newPassword []byte) (*Account, RecoveryCode, Login, error) {
	var none RecoveryCode
	h, err := handle.Parse(name)
	if err != nil {
		return nil, none, Login{}, as(ErrHandle, err)
	}
	normal, err := password.Check(string(newPassword), h)
	if err != nil {
		return nil, none, Login{}, err
	}
	if in.hasSession(ctx, name) {
		return nil, none, Login{}, ErrLoggedIn
	}
	began := in.now()
	r, err := in.startRecovery(ctx, in.o.Server, opaque.ServerKey{}, h, code)
	if err != nil {
		return nil, none, Login{}, err
	}
	defer r.remote.link.Close()
	c, err := r.credentials(code)
	if errors.Is(err, ErrCopy) {
		return in.recoverAnew(ctx, r, code, normal)
	}
	if err != nil {
		return nil, none, Login{}, err
	}
	next, err := capsule.NewRecoveryCode(in.o.Rand)
	if err != nil {
		return nil, none, Login{}, err
	}
	renewed, err := in.renew(r.account, r.root, code, next)
	if err != nil {
		return nil, none, Login{}, err
	}
	if err := in.setPassword(ctx, c, normal, nil, renewed); err != nil {
		if errors.Is(err, errSent) {
			none = next
		}
		return nil, none, Login{}, in.changeError(err)
	}
	section, share, how, err := in.section(ctx, c)
	if err != nil {
		return nil, next, how, in.callError(err)
	}
	a, err := in.logged(began, c.remote, section, h, c.account, c.session, share, c.list)
	return a, next, how, err
}

// recovery is what the recovery code brings.
type recovery struct {
	handle  handle.Handle
	account identity.AccountID
	session opaque.SessionSecret
	place   capsule.Place
	copy    []byte
	root    capsule.Root
	list    *identity.SignedList
	certs   []*identity.SignedCertificate
	// remote is connected with the new session.
	remote   *remoteServer
	revision uint64
}

// startRecovery authenticates with the code and opens the root, whose keys must
// be those of the served list. The caller closes the connection.
func (in *Installation) startRecovery(ctx context.Context, server string, key opaque.ServerKey, h handle.Handle, code RecoveryCode) (*recovery, error) {
	remote, err := in.connect(server, link.Token{}, key)
	if err != nil {
		return nil, err
	}
	r := &recovery{handle: h, remote: remote}
	if err := in.recoverRoot(ctx, r, code); err != nil {
		_ = remote.link.Close()
		if err = in.callError(err); errors.Is(err, ErrLogin) {
			err = ErrRecoveryCode
		}
		return nil, err
	}
	return r, nil
}

func (in *Installation) recoverRoot(ctx context.Context, r *recovery, code RecoveryCode) error {
	if err := r.remote.first(ctx); err != nil {
		return err
	}
	var err error
	if r.session, err = opaque.NewSessionSecret(in.o.Rand); err != nil {
		return err
	}
	hash, auth := r.session.Hash(), code.Auth().Bytes()
	resp, err := repeat(ctx, r.remote.account.StartRecovery, &resealv1.StartRecoveryRequest{
		Handle: string(r.handle), RecoveryAuth: auth[:], SessionHash: hash[:], Installation: in.known(r.remote, r.handle),
	})
	if err != nil {
		return err
	}
	if len(resp.AccountId) != len(identity.AccountID{}) {
		return as(ErrServer, errors.New("account id"))
	}
	r.account, r.copy, r.revision = identity.AccountID(resp.AccountId), resp.Copy, resp.Revision
	r.place = capsule.Place{Account: r.account, Credential: resp.Credential}
	if r.list, err = identity.ParseSignedList(resp.List); err != nil {
		return servedList(err)
	}
	if r.root, err = capsule.OpenRoot(resp.Root, code.RootKey(), r.account); err != nil {
		return as(ErrServer, fmt.Errorf("recovery root: %w", err))
	}
	l := r.list.List
	if l.Account != r.account || l.Key != r.root.Account.Public() || l.Next != r.root.Next.Public().Next() {
		return as(ErrServer, errors.New("device list of other keys than the recovery code's"))
	}
	for _, b := range resp.Certificates {
		if cert, err := identity.ParseCertificate(b); err == nil && cert.VerifyIn(r.list) == nil {
			r.certs = append(r.certs, cert)
		}
	}
	return r.remote.link.SetToken(bearer(r.account, r.session))
}

// credentials are what a login would bring, as far as the copy has it: it is
// still under the password of before.
func (r *recovery) credentials(code RecoveryCode) (*credentials, error) {
	k, err := capsule.OpenCopy(r.copy, code.Key(), r.place)
	if err != nil {
		return nil, as(ErrCopy, err)
	}
	if k.Account.Public() != r.list.List.Key {
		return nil, as(ErrCopy, errors.New("another account key"))
	}
	if !k.List.Floor(r.list.List.Version, r.list.Hash()) {
		return nil, as(ErrServer, errors.New("device list older than the capsule"))
	}
	return r.credentialsOf(k), nil
}

func (r *recovery) credentialsOf(k capsule.Capsule) *credentials {
	return &credentials{
		handle: r.handle, account: r.account, session: r.session, capsule: k, place: r.place, revision: r.revision,
		list: r.list, certs: r.certs, how: identity.ByRecovery, remote: r.remote,
	}
}

// newRecovery is another recovery code, as the server and the capsule see it.
type newRecovery struct {
	key     capsule.RecoveryKey
	request *resealv1.NewRecovery
}

// renew puts a root under the next code, on the word of the present one.
func (in *Installation) renew(a identity.AccountID, root capsule.Root, code, next RecoveryCode) (*newRecovery, error) {
	sealed, err := root.Seal(in.o.Rand, next.RootKey(), a)
	if err != nil {
		return nil, err
	}
	auth, hash := code.Auth().Bytes(), next.Auth().Hash()
	return &newRecovery{next.Key(), &resealv1.NewRecovery{RecoveryAuth: auth[:], RecoveryAuthHash: hash[:], Root: sealed}}, nil
}
