package reseal

import (
	"context"
	"errors"
	"fmt"
	"slices"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/password"
	"github.com/reseal/reseal/client/remote/link"
	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/secretmem"
	"github.com/reseal/reseal/opaque"
)

// Login tells how a login went.
type Login struct {
	// NewDevice: this installation had no section for the account, so the
	// login made a new device of it.
	NewDevice bool
	// SetAside: there was a section, but no share that opens it. It was kept
	// aside, and a new device was made.
	SetAside bool
	// Returned: a section that was set aside here opens again, and its device is
	// back. Nothing of it was lost.
	Returned bool
	// AsideOpens: beside the section of this login there is one that was set
	// aside and would open now. A logout with LogOutOptions.Remove and another
	// login go back to its device.
	AsideOpens bool
	// Rotated: a recovery found the account's keys destroyed and rotated the
	// account. It has another account key that contacts follow, this device
	// alone, and an empty contact book.
	Rotated bool
	// Dropped is the device that had to leave the full list, zero for none.
	Dropped identity.DeviceID
}

// credentials is what a password login brings.
type credentials struct {
	handle   handle.Handle
	account  identity.AccountID
	session  opaque.SessionSecret
	export   opaque.ExportKey
	capsule  capsule.Capsule
	place    capsule.Place
	revision uint64
	list     *identity.SignedList
	certs    []*identity.SignedCertificate
	// how is what a new device came into the list by.
	how identity.How
	// remote is connected with the new session.
	remote *remoteServer
}

// authenticate logs in with a password and opens the capsule, at the server of a
// key, at any for zero. The caller closes the connection it returns.
func (in *Installation) authenticate(ctx context.Context, server string, key opaque.ServerKey, name string, pass []byte) (*credentials, error) {
	h, err := handle.Parse(name)
	if err != nil {
		return nil, as(ErrHandle, err)
	}
	normal, err := password.Normal(string(pass))
	if err != nil {
		return nil, as(ErrLogin, err)
	}
	r, err := in.connect(server, link.Token{}, key)
	if err != nil {
		return nil, err
	}
	defer clear(normal)
	var c *credentials
	secretmem.Do(func() { c, err = in.exchange(ctx, r, h, normal) })
	if err != nil {
		_ = r.link.Close()
		return nil, in.callError(err)
	}
	return c, nil
}

func (in *Installation) exchange(ctx context.Context, r *remoteServer, h handle.Handle, pass []byte) (*credentials, error) {
	if err := r.first(ctx); err != nil {
		return nil, err
	}
	l, ke1, err := opaque.StartLogin(h, pass)
	if err != nil {
		return nil, as(ErrLogin, err)
	}
	ke2, err := r.account.StartLogin(ctx, &resealv1.StartLoginRequest{Handle: string(h), Ke1: ke1, Installation: in.known(r, h)})
	if err != nil {
		return nil, err
	}
	res, err := l.FinishAt(ke2.Ke2, r.which.key())
	if err != nil {
		return nil, as(ErrLogin, err)
	}
	hash := res.Session.Hash()
	resp, err := repeat(ctx, r.account.FinishLogin, &resealv1.FinishLoginRequest{
		State: ke2.State, Ke3: res.KE3, SessionHash: hash[:], Installation: in.known(r, h),
	})
	if err != nil {
		return nil, err
	}
	c := &credentials{handle: h, session: res.Session, export: res.Export, how: identity.ByPassword, remote: r}
	if err := c.take(resp); err != nil {
		return nil, err
	}
	return c, r.link.SetToken(bearer(c.account, c.session))
}

// known is what this installation is known by at a server, for a handle.
func (in *Installation) known(r *remoteServer, h handle.Handle) []byte {
	return in.vault.Known(r.url, string(h))
}

// take checks what the server served after the login: the capsule opens, its
// account key is that of the list, and neither list nor book is below the
// capsule's floor.
func (c *credentials) take(resp *resealv1.FinishLoginResponse) error {
	if len(resp.AccountId) != len(identity.AccountID{}) {
		return as(ErrServer, errors.New("account id"))
	}
	c.account, c.revision = identity.AccountID(resp.AccountId), resp.Revision
	c.place = capsule.Place{Account: c.account, Credential: resp.Credential}
	var err error
	if c.capsule, err = capsule.Open(resp.Capsules.GetCapsule(), c.export, c.place); err != nil {
		return served(fmt.Errorf("capsule: %w", err))
	}
	if c.list, err = identity.ParseSignedList(resp.List); err != nil {
		return servedList(err)
	}
	if c.list.List.Account != c.account || c.list.List.Key != c.capsule.Account.Public() {
		return as(ErrServer, errors.New("device list of another account key than the capsule's"))
	}
	if !c.capsule.List.Floor(c.list.List.Version, c.list.Hash()) {
		return as(ErrServer, errors.New("device list older than the capsule"))
	}
	for _, b := range resp.Certificates {
		if cert, err := identity.ParseCertificate(b); err == nil && cert.VerifyIn(c.list) == nil {
			c.certs = append(c.certs, cert)
		}
	}
	return nil
}

// refresh reads the account's list and revision anew after a conflict.
func (c *credentials) refresh(ctx context.Context, row capsule.RowID) error {
	shares, err := c.remote.account.GetShares(ctx, &resealv1.GetSharesRequest{Row: row[:]})
	if err != nil {
		return err
	}
	resp, err := c.remote.directory.GetAccounts(ctx, &resealv1.GetAccountsRequest{
		Accounts: []*resealv1.KnownAccount{{AccountId: c.account[:], ListVersion: c.list.List.Version}},
	})
	if err != nil {
		return err
	}
	if len(resp.Accounts) != 1 {
		return as(ErrServer, errors.New("own account is gone"))
	}
	l, err := identity.ParseSignedList(resp.Accounts[0].List)
	if err != nil {
		return servedList(err)
	}
	if _, err := identity.PinOf(c.list).Follow(l); err != nil {
		return servedList(err)
	}
	c.list, c.revision, c.certs = l, shares.Revision, nil
	for _, b := range resp.Accounts[0].Certificates {
		if cert, err := identity.ParseCertificate(b); err == nil && cert.VerifyIn(l) == nil {
			c.certs = append(c.certs, cert)
		}
	}
	return nil
}

// capsules seals the capsule with the given list as its floor, and its copy.
func (in *Installation) capsules(c *credentials, l *identity.SignedList) (*resealv1.Capsules, error) {
	k := c.capsule
	k.List = capsule.Head{Version: l.List.Version, Hash: l.Hash()}
	if l.List.BookVersion > k.BookHead.Version {
		k.BookHead = capsule.Head{Version: l.List.BookVersion, Hash: l.List.BookHash}
	}
	sealed, err := k.Seal(in.o.Rand, c.export, c.place)
	if err != nil {
		return nil, err
	}
	copied, err := k.SealCopy(in.o.Rand, c.place)
	if err != nil {
		return nil, err
	}
	return &resealv1.Capsules{Capsule: sealed, Copy: copied}, nil
}

// LogIn logs in at this installation. An account that was logged in here before
// finds its section, and so its old device, again; otherwise a new device is
// made. Errors: ErrLogin, ErrLoggedIn, ErrOffline, ErrNotReseal, ErrServer,
// *RateError, and those of the folder.
func (in *Installation) LogIn(ctx context.Context, name string, pass []byte) (*Account, Login, error) {
	if in.hasSession(ctx, name) {
		return nil, Login{}, ErrLoggedIn
	}
	began := in.now()
	c, err := in.authenticate(ctx, in.o.Server, opaque.ServerKey{}, name, pass)
	if err != nil {
		return nil, Login{}, err
	}
	defer c.remote.link.Close()
	var section *vault.Section
	var share []byte
	var how Login
	secretmem.Do(func() { section, share, how, err = in.section(ctx, c) })
	if err != nil {
		return nil, how, in.callError(err)
	}
	a, err := in.logged(began, c.remote, section, c.handle, c.account, c.session, share, c.list)
	return a, how, err
}

// hasSession tells whether an account of this name is logged in here. It waits
// for one whose session has just ended to be gone.
func (in *Installation) hasSession(ctx context.Context, name string) bool {
	h, err := handle.Parse(name)
	if err != nil {
		return false
	}
	in.awaitEndings(ctx, func(a *Account) bool { return a.Handle() == string(h) })
	sessions, _ := in.vault.Sessions()
	return slices.ContainsFunc(sessions, func(s *vault.Session) bool { return s.Handle == string(h) })
}

// logged stores the session record and starts the account, whose user began at
// the given time and logged in over the given connection. list is the account's as
// the login found it.
func (in *Installation) logged(began identity.Time, r *remoteServer, section *vault.Section, h handle.Handle, id identity.AccountID, session opaque.SessionSecret, share []byte, list *identity.SignedList) (*Account, error) {
	if len(share) != len(vault.SessionShare{}) {
		_ = section.Close()
		return nil, as(ErrServer, errors.New("session share"))
	}
	_, _, device, err := client.Self(section)
	if err != nil {
		_ = section.Close()
		return nil, as(ErrDamaged, err)
	}
	text, key := bearerText(id, session), r.which.key()
	record := vault.Session{Account: id, Device: device, Handle: string(h), Server: r.url, ServerKey: key, Token: vault.Token(text)}
	if err := section.SaveSession(record, vault.SessionShare(share)); err != nil {
		_ = section.Close()
		return nil, vaultError(err)
	}
	in.noteEnd(nil)
	return in.start(section, r.url, text, key, began, list)
}

// section finds the account's section here and opens it, or one that was set
// aside, or makes a new one with a new device. It returns the server's half of the
// session share.
func (in *Installation) section(ctx context.Context, c *credentials) (s *vault.Section, share []byte, how Login, err error) {
	slot, err := in.vault.Find(c.capsule.Row)
	switch {
	case err == nil:
		s, err = in.reopen(ctx, c, slot)
		if errors.Is(err, errNoShare) {
			// Kept, never overwritten: the share may come back (a server that
			// lied, or was restored).
			how.SetAside = true
			err = in.setAside(c)
		}
	case errors.Is(err, vault.ErrAbsent):
		err = nil
	default:
		err = vaultError(err)
	}
	if err != nil {
		return nil, nil, Login{}, err
	}
	if s != nil {
		how.AsideOpens = in.asideOpens(ctx, c)
	} else if s, err = in.comeBack(ctx, c); err != nil {
		return nil, nil, Login{}, err
	} else if s == nil {
		how.NewDevice = true
		s, share, how.Dropped, err = in.newDevice(ctx, c)
		return s, share, how, err
	} else {
		how.Returned = true
	}
	share, err = in.bind(ctx, c, s)
	if err == nil {
		err = rekey(s, c.capsule.Book)
	}
	if err != nil {
		_ = s.Close()
		return nil, nil, Login{}, err
	}
	return s, share, how, nil
}

// setAside takes the account's section out of the way. It is looked for anew: it
// may have been sealed under a share since that the server did not keep.
func (in *Installation) setAside(c *credentials) error {
	slot, err := in.vault.Find(c.capsule.Row)
	if err == nil {
		err = in.vault.SetAside(slot)
	}
	return vaultError(err)
}

// rekey gives the section the book's key of the capsule, where another device
// has renewed it.
func rekey(s *vault.Section, k capsule.BookKey) error {
	b, err := client.Rekey(s, k)
	if err != nil {
		return as(ErrDamaged, err)
	}
	if len(b) == 0 {
		return nil
	}
	return vaultError(s.Commit(vaultBatch(b)))
}
