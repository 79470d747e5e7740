package testworld

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"sync"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/store"
)

// Account is an account and what its owner knows.
type Account struct {
	W        *World
	ID       identity.AccountID
	Handle   handle.Handle
	Password []byte
	Keys     capsule.Capsule
	Code     capsule.RecoveryCode
	List     *identity.SignedList
	Revision uint64
	Devices  []*Device
	export   opaque.ExportKey
}

// Device is one device of an account.
type Device struct {
	*Account
	ID      identity.DeviceID
	Key     identity.DeviceKey
	Epochs  []*Epoch // the newest last
	Row     capsule.RowID
	Share   capsule.ShareID
	Session opaque.SessionSecret
	Half    []byte // the server's half of the session share
	C       Client
}

// Epoch is an epoch of a device, with its private keys.
type Epoch struct {
	Key  identity.EpochKey
	Auth identity.EpochAuthKey
	Cert *identity.SignedCertificate
}

// registration is one real password registration, for accounts that no test
// logs in to: the server only stores the record, and Argon2id takes its time.
var registration = sync.OnceValue(func() []byte {
	setup, err := opaque.NewSetup(rand.Reader)
	check(err)
	srv, err := opaque.NewServer(setup)
	check(err)
	r, m1, err := opaque.StartRegistration("somebody", []byte("correct horse battery"))
	check(err)
	m2, err := srv.Register("somebody", m1)
	check(err)
	record, _, err := r.Finish(m2)
	check(err)
	return record
})

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// must unwraps what cannot fail in a test; a panic has the stack.
func must[V any](v V, err error) V {
	check(err)
	return v
}

// SignUp makes an account that can log in, by its real password.
func (w *World) SignUp(name, password string) *Device {
	w.T.Helper()
	d, req := w.Signup(name, password)
	d.finish(req)
	return d
}

// Account makes an account that nobody logs in to by a password, which is
// faster. See [Account.Join] for its further devices.
func (w *World) Account(name string) *Device {
	w.T.Helper()
	d, req := w.Signup(name, "")
	d.finish(req)
	return d
}

func (d *Device) finish(req *resealv1.FinishSignupRequest) {
	d.W.T.Helper()
	resp := Must[*resealv1.FinishSignupResponse](d.W.T)(d.W.Client("").FinishSignup(context.Background(), req))
	d.Half, d.Revision = resp.SessionShare, resp.Revision
}

// Signup prepares a sign-up: everything up to the request that finishes it.
// Without a password, the account's record is a stranger's.
func (w *World) Signup(name, password string) (*Device, *resealv1.FinishSignupRequest) {
	w.T.Helper()
	if w.Invites {
		w.Invite = w.NewInvite(time.Hour)
	}
	a := &Account{W: w, ID: must(identity.NewAccountID(rand.Reader)), Handle: must(handle.Parse(name)), Password: []byte(password)}
	record := registration()
	if password != "" {
		r, m1, err := opaque.StartRegistration(a.Handle, a.Password)
		check(err)
		m2, err := w.Client("").StartSignup(context.Background(), &resealv1.StartSignupRequest{
			Handle: name, RegistrationRequest: m1, AccountId: a.ID[:], Invite: w.Invite,
		})
		if err != nil {
			w.T.Fatal(err)
		}
		record, a.export, err = r.Finish(m2.RegistrationResponse)
		check(err)
	}
	a.newKeys()
	d := a.NewDevice()
	a.List = must(identity.SignList(identity.FirstList(a.ID, a.Keys.Account.Public(), a.Code.NextKey().Public().Next(), d.Entry(), w.Time()), a.Keys.Account))
	d.Session = must(opaque.NewSessionSecret(rand.Reader))
	a.Devices = append(a.Devices, d)
	d.C = w.Client(d.Token())
	hash, auth := d.Session.Hash(), a.Code.Auth().Hash()
	return d, &resealv1.FinishSignupRequest{
		Handle: name, AccountId: a.ID[:], OpaqueRecord: record, Capsules: a.Capsules(), RecoveryAuthHash: auth[:], RecoveryRoot: a.Root(a.Code), List: a.List.Bytes(),
		Certified: d.Certified(d.Newest()), Share: d.APIShare(), SessionHash: hash[:], Invite: w.Invite,
		Book: &resealv1.Book{Version: 1, Parts: [][]byte{Random(300)}},
	}
}

func (a *Account) newKeys() {
	a.Code = must(capsule.NewRecoveryCode(rand.Reader))
	a.Keys = capsule.Capsule{
		Account: must(identity.NewAccountKey(rand.Reader)), Row: must(capsule.NewRowKey(rand.Reader)), Book: must(capsule.NewBookKey(rand.Reader)),
		Share: must(capsule.NewShareKey(rand.Reader)), Recovery: a.Code.Key(),
	}
}

// Capsules are the account's capsule and copy for its newest list.
func (a *Account) Capsules() *resealv1.Capsules {
	k := a.Keys
	if a.List == nil {
		k.List = capsule.Head{Version: 1, Hash: [32]byte{1}}
	} else {
		k.List = capsule.Head{Version: a.List.List.Version, Hash: a.List.Hash()}
	}
	p := capsule.Place{Account: a.ID, Credential: 1}
	return &resealv1.Capsules{Capsule: must(k.Seal(rand.Reader, a.export, p)), Copy: must(k.SealCopy(rand.Reader, p))}
}

// Root is the account's root under a code.
func (a *Account) Root(code capsule.RecoveryCode) []byte {
	r := capsule.Root{Account: a.Keys.Account, Next: a.Code.NextKey()}
	return must(r.Seal(rand.Reader, code.RootKey(), a.ID))
}

// NewDevice makes a device's keys and first epoch; the server knows nothing yet.
func (a *Account) NewDevice() *Device {
	d := &Device{Account: a, ID: must(identity.NewDeviceID(rand.Reader)), Key: must(identity.NewDeviceKey(rand.Reader)), Row: capsule.RowID(Random(32))}
	d.Share = must(capsule.NewShareID(rand.Reader))
	d.NewEpoch()
	return d
}

// Entry is the device as lists have it.
func (d *Device) Entry() identity.Device {
	return identity.Device{ID: d.ID, Key: d.Key.Public(), AddedAt: d.W.Time(), Class: identity.Native, How: identity.ByPassword}
}

// NewEpoch makes the next epoch; it is not published.
func (d *Device) NewEpoch() *Epoch {
	e := &Epoch{Key: must(identity.NewEpochKey(rand.Reader)), Auth: must(identity.NewEpochAuthKey(rand.Reader))}
	now := d.W.Time()
	e.Cert = must(identity.SignCertificate(identity.Certificate{
		Account: d.Account.ID, Device: d.ID, Epoch: uint64(len(d.Epochs)) + 1, Key: e.Key.Public(), Auth: e.Auth.Public(),
		MaxVersion: 1, NotBefore: now, NotAfter: now.Add(identity.CertificateLife),
	}, d.Key))
	d.Epochs = append(d.Epochs, e)
	return e
}

// Newest is the newest epoch.
func (d *Device) Newest() *Epoch { return d.Epochs[len(d.Epochs)-1] }

// Certified is an epoch's certificate with the answered challenge.
func (d *Device) Certified(e *Epoch) *resealv1.Certified {
	d.W.T.Helper()
	c := Must[*resealv1.ChallengeEpochResponse](d.W.T)(d.W.Client("").ChallengeEpoch(context.Background(),
		&resealv1.ChallengeEpochRequest{Certificate: e.Cert.Bytes()}))
	proof := must(identity.Answer(e.Key, [identity.EncSize]byte(c.Enc), e.Cert.Hash()))
	return &resealv1.Certified{Certificate: e.Cert.Bytes(), ChallengeState: c.State, ChallengeAnswer: proof[:]}
}

// Publish makes and publishes the next epoch.
func (d *Device) Publish() *Epoch {
	d.W.T.Helper()
	e := d.NewEpoch()
	Must[*resealv1.PublishEpochResponse](d.W.T)(d.C.PublishEpoch(context.Background(), &resealv1.PublishEpochRequest{Certified: d.Certified(e)}))
	return e
}

// APIShare is a fresh sealed share under the device's present share id.
func (d *Device) APIShare() *resealv1.Share {
	s := must(capsule.NewShare(rand.Reader))
	s.ID = d.Share
	return &resealv1.Share{Row: d.Row[:], ShareId: d.Share[:], Sealed: must(s.Seal(rand.Reader, d.Keys.Share, d.Account.ID, d.Row))}
}

// Token is the bearer token of the device's session.
func (d *Device) Token() string {
	s := d.Session.Bytes()
	return base64.RawURLEncoding.EncodeToString(append(append([]byte(nil), d.Account.ID[:]...), s[:]...))
}

// Unbound gives a device a fresh session that is not bound to it, as a login
// would, by a record in the store.
func (d *Device) Unbound() {
	d.Session = must(opaque.NewSessionSecret(rand.Reader))
	hash := d.Session.Hash()
	s := records.Session{Credential: 1, Share: [32]byte(Random(32)), Created: d.W.Time(), Seen: d.W.Time()}
	check(d.W.Store.Commit(context.Background(), records.AccountPartition(d.Account.ID), new(store.Batch).
		Create(records.SessionKey(hash), s.Encode(), store.Token(Random(16)), int64(d.W.Time().Add(3600e9)))))
	d.C = d.W.Client(d.Token())
}

// AddRequest is the request that adds the device to the account's newest list.
func (d *Device) AddRequest() (*resealv1.AddDeviceRequest, *identity.SignedList) {
	d.W.T.Helper()
	d.Refresh()
	next, err := identity.AddDevice(d.List, d.Entry(), d.W.Time())
	if err != nil {
		d.W.T.Fatal(err)
	}
	l := must(identity.SignList(next, d.Keys.Account))
	return &resealv1.AddDeviceRequest{
		Revision: d.Revision, List: l.Bytes(), Certified: d.Certified(d.Newest()), Share: d.APIShare(), Capsules: d.Capsules(), DeviceId: d.ID[:],
	}, l
}

// Join adds a further device to the account.
func (a *Account) Join() *Device {
	a.W.T.Helper()
	d := a.NewDevice()
	d.Unbound()
	req, l := d.AddRequest()
	resp := Must[*resealv1.AddDeviceResponse](a.W.T)(d.C.AddDevice(context.Background(), req))
	a.List, a.Revision, d.Half = l, resp.Revision, resp.SessionShare
	a.Devices = append(a.Devices, d)
	return d
}

// RemoveRequest is the request that removes a device of the account.
func (a *Account) RemoveRequest(gone *Device) (*resealv1.RemoveDeviceRequest, *identity.SignedList) {
	a.Refresh()
	next, err := identity.RemoveDevice(a.List, gone.ID, a.W.Time())
	if err != nil {
		a.W.T.Fatal(err)
	}
	l := must(identity.SignList(next, a.Keys.Account))
	return &resealv1.RemoveDeviceRequest{Revision: a.Revision, List: l.Bytes(), DeviceId: gone.ID[:], Capsules: a.Capsules()}, l
}

// Remove removes a device, by the session of another one.
func (d *Device) Remove(gone *Device) {
	d.W.T.Helper()
	req, l := d.RemoveRequest(gone)
	resp := Must[*resealv1.RemoveDeviceResponse](d.W.T)(d.C.RemoveDevice(context.Background(), req))
	d.List, d.Revision = l, resp.Revision
}

// Refresh reads the account's list and revision as they stand.
func (a *Account) Refresh() {
	a.W.T.Helper()
	ctx, p := context.Background(), records.AccountPartition(a.ID)
	pw, err := a.W.Store.Get(ctx, p, records.Pw)
	if err != nil {
		a.W.T.Fatal(err)
	}
	list := must(a.W.Store.Get(ctx, p, records.List))
	a.Revision, a.List = pw.Rev, must(identity.ParseSignedList(list.Value))
}

// Login logs in by password and returns a device without session binding: the
// answer, and a client with the new session.
func (w *World) Login(name, password string) (*resealv1.FinishLoginResponse, *resealv1.FinishLoginRequest, Client, error) {
	return w.LoginFrom(nil, name, password)
}

// LoginFrom is Login at an installation.
func (w *World) LoginFrom(installation []byte, name, password string) (*resealv1.FinishLoginResponse, *resealv1.FinishLoginRequest, Client, error) {
	h := must(handle.Parse(name))
	l, ke1, err := opaque.StartLogin(h, []byte(password))
	check(err)
	ctx, c := context.Background(), w.Client("")
	ke2, err := c.StartLogin(ctx, &resealv1.StartLoginRequest{Handle: name, Ke1: ke1, Installation: installation})
	if err != nil {
		return nil, nil, c, err
	}
	r, err := l.Finish(ke2.Ke2)
	if err != nil {
		return nil, nil, c, err
	}
	hash := r.Session.Hash()
	req := &resealv1.FinishLoginRequest{State: ke2.State, Ke3: r.KE3, SessionHash: hash[:], Installation: installation}
	resp, err := c.FinishLogin(ctx, req)
	if err != nil {
		return nil, req, c, err
	}
	secret := r.Session.Bytes()
	token := base64.RawURLEncoding.EncodeToString(append(append([]byte(nil), resp.AccountId...), secret[:]...))
	return resp, req, w.Client(token), nil
}

// Name makes a handle out of a number.
func Name(n int) string { return fmt.Sprintf("user%d", n) }

// Sum is SHA-256 as bytes.
func Sum(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
