package presealed

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"sync"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/opaque"
)

// Account is an account with what its owner knows. It is not safe for concurrent
// use while a device joins; its fields are read by many goroutines otherwise.
type Account struct {
	ID      identity.AccountID
	Handle  handle.Handle
	List    *identity.SignedList
	Devices []*Device

	host     *Host
	password []byte // nil: nobody logs in
	keys     capsule.Capsule
	code     capsule.RecoveryCode
	export   opaque.ExportKey
	revision uint64
}

// Device is one device of an account.
type Device struct {
	*Account
	ID identity.DeviceID

	key     identity.DeviceKey
	epoch   identity.EpochKey
	auth    identity.EpochAuthKey
	cert    *identity.SignedCertificate
	row     capsule.RowID
	share   capsule.ShareID
	session opaque.SessionSecret
}

func now() identity.Time { return identity.TimeOf(time.Now()) }

// SignUp makes an account with one device. Without a password nobody can log in
// to it; with one, it takes two tenths of a second for Argon2id.
func (h *Host) SignUp(ctx context.Context, name string, password []byte) (*Device, error) {
	a := &Account{host: h, password: password}
	var err error
	if a.Handle, err = handle.Parse(name); err != nil {
		return nil, err
	}
	if a.ID, err = identity.NewAccountID(rand.Reader); err != nil {
		return nil, err
	}
	record, err := a.register(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.newKeys(); err != nil {
		return nil, err
	}
	d, err := a.newDevice()
	if err != nil {
		return nil, err
	}
	first := identity.FirstList(a.ID, a.keys.Account.Public(), a.code.NextKey().Public().Next(), d.entry(), now())
	if a.List, err = identity.SignList(first, a.keys.Account); err != nil {
		return nil, err
	}
	capsules, err := a.capsules(a.List)
	if err != nil {
		return nil, err
	}
	root, err := a.code.Root(a.keys.Account).Seal(rand.Reader, a.code.RootKey(), a.ID)
	if err != nil {
		return nil, err
	}
	certified, err := d.certified(ctx)
	if err != nil {
		return nil, err
	}
	share, err := d.newShare()
	if err != nil {
		return nil, err
	}
	if d.session, err = opaque.NewSessionSecret(rand.Reader); err != nil {
		return nil, err
	}
	hash, recovery := d.session.Hash(), a.code.Auth().Hash()
	resp, err := h.account.FinishSignup(ctx, &resealv1.FinishSignupRequest{
		Handle: string(a.Handle), AccountId: a.ID[:], OpaqueRecord: record, Capsules: capsules, RecoveryAuthHash: recovery[:], RecoveryRoot: root,
		List: a.List.Bytes(), Certified: certified, Share: share, SessionHash: hash[:],
		Book: &resealv1.Book{Version: 1, Parts: [][]byte{random(300)}},
	})
	if err != nil {
		return nil, err
	}
	a.revision, a.Devices = resp.Revision, []*Device{d}
	return d, nil
}

// Knock begins a login at a handle that nobody has, which costs the server as much
// as one at a handle that somebody has. It may be called from many goroutines.
func (h *Host) Knock(ctx context.Context) error {
	ke1, err := nobodys()
	if err != nil {
		return err
	}
	_, err = h.account.StartLogin(ctx, &resealv1.StartLoginRequest{Handle: "nobody-at-all", Ke1: ke1})
	return err
}

// nobodys is the first message of a login.
var nobodys = sync.OnceValues(func() ([]byte, error) {
	_, ke1, err := opaque.StartLogin("nobody-at-all", random(16))
	return ke1, err
})

// register is the account's password record: its own, or a stranger's.
func (a *Account) register(ctx context.Context) (record []byte, err error) {
	if a.password == nil {
		return stranger()
	}
	r, request, err := opaque.StartRegistration(a.Handle, a.password)
	if err != nil {
		return nil, err
	}
	resp, err := a.host.account.StartSignup(ctx, &resealv1.StartSignupRequest{Handle: string(a.Handle), RegistrationRequest: request, AccountId: a.ID[:]})
	if err != nil {
		return nil, err
	}
	record, a.export, err = r.Finish(resp.RegistrationResponse)
	return record, err
}

// stranger is a password record that belongs to nobody: the server keeps it and
// never looks into it before a login.
var stranger = sync.OnceValues(func() ([]byte, error) {
	setup, err := opaque.NewSetup(rand.Reader)
	if err != nil {
		return nil, err
	}
	s, err := opaque.NewServer(setup)
	if err != nil {
		return nil, err
	}
	r, request, err := opaque.StartRegistration("nobody", random(16))
	if err != nil {
		return nil, err
	}
	response, err := s.Register("nobody", request)
	if err != nil {
		return nil, err
	}
	record, _, err := r.Finish(response)
	return record, err
})

func (a *Account) newKeys() (err error) {
	k := &a.keys
	if k.Account, err = identity.NewAccountKey(rand.Reader); err != nil {
		return err
	}
	if k.Row, err = capsule.NewRowKey(rand.Reader); err != nil {
		return err
	}
	if k.Book, err = capsule.NewBookKey(rand.Reader); err != nil {
		return err
	}
	if k.Share, err = capsule.NewShareKey(rand.Reader); err != nil {
		return err
	}
	if a.code, err = capsule.NewRecoveryCode(rand.Reader); err != nil {
		return err
	}
	k.Recovery = a.code.Key()
	return nil
}

// capsules are the account's capsule and its copy, with a list as their floor.
func (a *Account) capsules(l *identity.SignedList) (*resealv1.Capsules, error) {
	k, p := a.keys, capsule.Place{Account: a.ID, Credential: 1}
	k.List = capsule.Head{Version: l.List.Version, Hash: l.Hash()}
	sealed, err := k.Seal(rand.Reader, a.export, p)
	if err != nil {
		return nil, err
	}
	copied, err := k.SealCopy(rand.Reader, p)
	if err != nil {
		return nil, err
	}
	return &resealv1.Capsules{Capsule: sealed, Copy: copied}, nil
}

// newDevice makes a device's keys and its first certificate; the server knows
// nothing of it yet.
func (a *Account) newDevice() (*Device, error) {
	d := &Device{Account: a, row: capsule.RowID(random(len(capsule.RowID{})))}
	var err error
	if d.ID, err = identity.NewDeviceID(rand.Reader); err != nil {
		return nil, err
	}
	if d.key, err = identity.NewDeviceKey(rand.Reader); err != nil {
		return nil, err
	}
	if d.epoch, err = identity.NewEpochKey(rand.Reader); err != nil {
		return nil, err
	}
	if d.auth, err = identity.NewEpochAuthKey(rand.Reader); err != nil {
		return nil, err
	}
	at := now()
	d.cert, err = identity.SignCertificate(identity.Certificate{
		Account: a.ID, Device: d.ID, Epoch: 1, Key: d.epoch.Public(), Auth: d.auth.Public(), MaxVersion: 1,
		NotBefore: at, NotAfter: at.Add(identity.CertificateLife),
	}, d.key)
	return d, err
}

// entry is the device as lists have it.
func (d *Device) entry() identity.Device {
	return identity.Device{ID: d.ID, Key: d.key.Public(), AddedAt: now(), Class: identity.Native, How: identity.ByPassword}
}

// certified is the device's certificate with the server's challenge answered.
func (d *Device) certified(ctx context.Context) (*resealv1.Certified, error) {
	c, err := d.host.account.ChallengeEpoch(ctx, &resealv1.ChallengeEpochRequest{Certificate: d.cert.Bytes()})
	if err != nil {
		return nil, err
	}
	if len(c.Enc) != identity.EncSize {
		return nil, errAnswer
	}
	proof, err := identity.Answer(d.epoch, [identity.EncSize]byte(c.Enc), d.cert.Hash())
	if err != nil {
		return nil, err
	}
	return &resealv1.Certified{Certificate: d.cert.Bytes(), ChallengeState: c.State, ChallengeAnswer: proof[:]}, nil
}

// newShare is a fresh share for the device's row.
func (d *Device) newShare() (*resealv1.Share, error) {
	s, err := capsule.NewShare(rand.Reader)
	if err != nil {
		return nil, err
	}
	d.share = s.ID
	sealed, err := s.Seal(rand.Reader, d.keys.Share, d.Account.ID, d.row)
	if err != nil {
		return nil, err
	}
	return &resealv1.Share{Row: d.row[:], ShareId: s.ID[:], Sealed: sealed}, nil
}

// token is the bearer token of the device's session.
func (d *Device) token() string {
	secret := d.session.Bytes()
	return base64.RawURLEncoding.EncodeToString(append(append([]byte(nil), d.Account.ID[:]...), secret[:]...))
}

// Authorize lets a request act as the device: requests for blobs do not go over
// its connection.
func (d *Device) Authorize(h http.Header) error {
	h.Set("Authorization", "Bearer "+d.token())
	return nil
}

// random is n random bytes; crypto/rand never fails.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// At is the device with another connection to its server: one that was started
// again, say, at another address.
func (d *Device) At(h *Host) *Device {
	a := *d.Account
	a.host = h
	moved := *d
	moved.Account = &a
	return &moved
}
