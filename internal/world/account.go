package world

import (
	"bytes"
	"fmt"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/server/mailbox"
	"github.com/reseal/reseal/store"
)

// Account is an account with what its owner knows: the account key, which the
// capsule holds, and the book key.
type Account struct {
	W          *World
	Handle     string
	ID         identity.AccountID
	Key        identity.AccountKey
	Next       identity.AccountKey
	Book       capsule.BookKey
	Devices    []*Device
	credential uint64                          // the number of its password
	list       *identity.SignedList            // the newest, parsed once
	lists      map[uint64]*identity.SignedList // that were the newest when somebody looked
}

// Account makes an account. It comes to the server with its first device.
func (w *World) Account(handle string) *Account {
	w.T.Helper()
	a := &Account{W: w, Handle: handle, credential: 1, lists: map[uint64]*identity.SignedList{}}
	var err error
	a.ID, err = identity.NewAccountID(w.rand)
	must(w, a.ID, err)
	a.Key, err = identity.NewAccountKey(w.rand)
	must(w, a.ID, err)
	a.Next, err = identity.NewAccountKey(w.rand)
	must(w, a.ID, err)
	a.Book, err = capsule.NewBookKey(w.rand)
	must(w, a.ID, err)
	w.accounts = append(w.accounts, a)
	return a
}

// List is the account's list as the server has it, nil before the first device.
func (a *Account) List() *identity.SignedList {
	rec, err := a.W.store.Store.Get(background, records.AccountPartition(a.ID), records.List)
	if err != nil {
		return nil
	}
	if a.list != nil && bytes.Equal(a.list.Bytes(), rec.Value) {
		return a.list
	}
	a.list, err = identity.ParseSignedList(rec.Value)
	a.lists[must(a.W, a.list, err).List.Version] = a.list
	return a.list
}

// ListAt is a version of the account's list that was published, nil for none. The
// server keeps its copy of each for 40 days, and the newest one for ever.
func (a *Account) ListAt(version uint64) *identity.SignedList {
	if a.List(); a.lists[version] != nil {
		return a.lists[version]
	}
	rec, err := a.W.store.Store.Get(background, records.AccountPartition(a.ID), records.ListKey(version))
	if err != nil {
		return nil
	}
	l, err := identity.ParseSignedList(rec.Value)
	return must(a.W, l, err)
}

// Sign signs a list as the account does.
func (a *Account) Sign(l identity.DeviceList) *identity.SignedList {
	s, err := identity.SignList(l, a.Key)
	return must(a.W, s, err)
}

// Device adds a device to the account, as a login on a new installation does,
// and lets it come up.
func (a *Account) Device() *Device {
	a.W.T.Helper()
	d := a.NewDevice()
	if err := d.Join(); err != nil {
		a.W.T.Fatalf("join: %v", err)
	}
	d.Start()
	a.W.Run()
	return d
}

// NewDevice makes a device that nobody knows of yet; see [Device.Join].
func (a *Account) NewDevice() *Device {
	a.W.T.Helper()
	w := a.W
	d := &Device{
		W: w, Account: a, Name: fmt.Sprintf("%s/%d", a.Handle, len(a.Devices)+1), State: newState(),
		Files: map[string][]byte{}, flight: map[string]bool{},
	}
	var err error
	d.ID, err = identity.NewDeviceID(w.rand)
	must(w, d.ID, err)
	d.Key, err = identity.NewDeviceKey(w.rand)
	must(w, d.ID, err)
	d.First, err = client.FirstEpoch(a.ID, d.ID, d.Key, 1, w.now, w.rand)
	must(w, d.ID, err)
	d.First.Published = true
	_, _ = w.rand.Read(d.session[:])
	_, _ = w.rand.Read(d.row[:])
	d.credential = a.credential
	a.Devices = append(a.Devices, d)
	w.devices = append(w.devices, d)
	return d
}

// Join publishes the list with the device: its section is durable first. After
// a failure in passing it may be called again, and repeats the same request.
func (d *Device) Join() error {
	d.W.T.Helper()
	if d.Account.List() == nil {
		return d.found()
	}
	if d.join == nil {
		if err := d.prepare(); err != nil {
			return err
		}
	}
	ctx := caller.With(background, caller.Caller{Account: d.Account.ID, Session: d.session, Credential: d.Account.credential})
	_, err := d.node().auth.AddDevice(ctx, d.join)
	d.W.served(d)
	if err == nil {
		d.joined = true
	}
	return err
}

// prepare makes the request that adds the device to the list as it is now.
func (d *Device) prepare() error {
	a, w := d.Account, d.W
	old := a.List()
	entry := identity.Device{ID: d.ID, Key: d.Key.Public(), AddedAt: w.now, Class: identity.Native, How: identity.ByPassword}
	var certs []*identity.SignedCertificate
	next, err := identity.AddDeviceDropping(old, entry, identity.OldestDevice(old, certs), w.now)
	if err != nil {
		return err
	}
	l := a.Sign(next)
	if err := d.birth(l); err != nil {
		return err
	}
	d.credential = a.credential
	p := records.AccountPartition(a.ID)
	if _, err := w.store.Store.Get(background, p, records.SessionKey(d.session)); err != nil {
		s := records.Session{Credential: a.credential, Created: w.now, Seen: w.now}
		if err := w.store.Store.Commit(background, p, new(store.Batch).Create(records.SessionKey(d.session), s.Encode(), token, 0)); err != nil {
			return err
		}
	}
	pw, err := w.store.Store.Get(background, p, records.Pw)
	if err != nil {
		return err
	}
	certified, err := d.certified(d.First)
	if err != nil {
		return err
	}
	d.join = &resealv1.AddDeviceRequest{
		Revision: pw.Rev, List: l.Bytes(), Certified: certified, DeviceId: d.ID[:],
		Share:    &resealv1.Share{Row: d.row[:], ShareId: make([]byte, 16), Sealed: []byte("share")},
		Capsules: &resealv1.Capsules{Capsule: []byte("capsule"), Copy: []byte("copy")},
	}
	return nil
}

var token = store.Token{1}

func (d *Device) birth(l *identity.SignedList) error {
	key := d.Account.Book.Bytes()
	b, err := client.Birth{
		Account: d.Account.ID, Handle: d.Account.Handle, Device: d.ID, Key: d.Key, BookKey: key[:], Row: d.row[:],
		List: l.Bytes(), Epoch: d.First, Now: d.W.now,
	}.Records()
	if err == nil {
		d.State.Commit(b)
	}
	return err
}

func (d *Device) certified(e *client.EpochKeys) (*resealv1.Certified, error) {
	resp, err := d.W.first().auth.ChallengeEpoch(background, &resealv1.ChallengeEpochRequest{Certificate: e.Certificate.Bytes()})
	if err != nil {
		return nil, err
	}
	answer, err := identity.Answer(e.Key, [identity.EncSize]byte(resp.Enc), e.Certificate.Hash())
	return &resealv1.Certified{Certificate: e.Certificate.Bytes(), ChallengeState: resp.State, ChallengeAnswer: answer[:]}, err
}

// found makes the account at the server, as a sign-up leaves it.
func (d *Device) found() error {
	a, w := d.Account, d.W
	entry := identity.Device{ID: d.ID, Key: d.Key.Public(), AddedAt: w.now, Class: identity.Native, How: identity.ByPassword}
	l := a.Sign(identity.FirstList(a.ID, a.Key.Public(), a.Next.Public().Next(), entry, w.now))
	if err := d.birth(l); err != nil {
		return err
	}
	pw := records.Password{Credential: a.credential, Opaque: []byte("record"), Capsule: []byte("capsule"), Copy: []byte("copy"), Handle: a.Handle}
	s := records.Session{Device: d.ID, Row: d.row, Credential: a.credential, Created: w.now, Seen: w.now}
	cert := d.First.Certificate
	err := w.store.Store.Commit(background, records.AccountPartition(a.ID), new(store.Batch).
		Create(records.Pw, pw.Encode(), token, 0).
		Create(records.List, l.Bytes(), token, 0).
		Create(records.SessionKey(d.session), s.Encode(), token, 0).
		PutOnce(records.ListKey(1), l.Bytes(), 0).
		PutOnce(records.CertKey(d.ID, 1), cert.Bytes(), 0))
	if err != nil {
		return err
	}
	d.joined = true
	return w.store.Store.Commit(background, records.HandlePartition(a.Handle), new(store.Batch).
		Create(records.HandleID, records.EncodeAccount(a.ID), token, 0))
}

// Remove removes a device from the list.
func (a *Account) Remove(gone *Device) {
	a.W.T.Helper()
	next, err := identity.RemoveDevice(a.List(), gone.ID, a.W.now)
	must(a.W, 0, err)
	pw, err := a.W.store.Store.Get(background, records.AccountPartition(a.ID), records.Pw)
	must(a.W, 0, err)
	ctx := caller.With(background, caller.Caller{Account: a.ID, Credential: a.credential})
	_, err = a.W.first().auth.RemoveDevice(ctx, &resealv1.RemoveDeviceRequest{
		Revision: pw.Rev, List: a.Sign(next).Bytes(), DeviceId: gone.ID[:],
		Capsules: &resealv1.Capsules{Capsule: []byte("capsule"), Copy: []byte("copy")},
	})
	must(a.W, 0, err)
}

// Rotate hands the account over to its next key, with all of its devices. Sessions
// end as they do after every change of the password.
func (a *Account) Rotate() {
	a.W.T.Helper()
	fresh, err := identity.NewAccountKey(a.W.rand)
	must(a.W, 0, err)
	var keep []identity.DeviceID
	for _, d := range a.List().List.Devices {
		keep = append(keep, d.ID)
	}
	next, err := identity.Rotate(a.List(), a.Next.Public(), fresh.Public().Next(), keep, a.W.now)
	must(a.W, 0, err)
	l, err := identity.SignRotation(next, a.Key, a.Next)
	must(a.W, 0, err)
	p := records.AccountPartition(a.ID)
	pw, err := a.W.store.Store.Get(background, p, records.Pw)
	must(a.W, 0, err)
	record, err := records.ParsePassword(pw.Value)
	must(a.W, 0, err)
	list, err := a.W.store.Store.Get(background, p, records.List)
	must(a.W, 0, err)
	record.Credential++
	must(a.W, 0, a.W.store.Store.Commit(background, p, new(store.Batch).
		Replace(records.Pw, pw.Rev, record.Encode(), token, 0).
		Replace(records.List, list.Rev, l.Bytes(), token, 0).
		PutOnce(records.ListKey(l.List.Version), l.Bytes(), 0)))
	a.Key, a.Next, a.credential = a.Next, fresh, record.Credential
	for _, topic := range []string{mailbox.DirectoryTopic(a.ID), mailbox.SessionTopic(a.ID)} {
		a.W.first().mailbox.Bus.Publish(topic, nil)
	}
	a.W.rest()
}

// Put makes the server serve a list as the account's newest, whatever it is: a
// rotation or a reset, which no call makes yet, or a lie.
func (a *Account) Put(l *identity.SignedList) {
	a.W.T.Helper()
	p := records.AccountPartition(a.ID)
	rec, err := a.W.store.Store.Get(background, p, records.List)
	must(a.W, 0, err)
	b := new(store.Batch).Replace(records.List, rec.Rev, l.Bytes(), token, 0)
	if _, err := a.W.store.Store.Get(background, p, records.ListKey(l.List.Version)); err != nil {
		b.PutOnce(records.ListKey(l.List.Version), l.Bytes(), 0)
	}
	must(a.W, 0, a.W.store.Store.Commit(background, p, b))
}

// Login gives a device a new session, as a login with the password does, and
// starts it with the list that came with it.
func (d *Device) Login() {
	d.W.T.Helper()
	d.Stop()
	d.Ended = false
	_, _ = d.W.rand.Read(d.session[:])
	d.credential = d.Account.credential
	s := records.Session{Device: d.ID, Row: d.row, Credential: d.Account.credential, Created: d.W.now, Seen: d.W.now}
	must(d.W, 0, d.W.store.Store.Commit(background, records.AccountPartition(d.Account.ID),
		new(store.Batch).Create(records.SessionKey(d.session), s.Encode(), token, 0)))
	d.boot()
	if l := d.Account.List(); d.Step(client.LoggedIn{List: l.Bytes()}) != nil {
		d.Start() // it crashed, or its disk failed
		return
	}
	d.Connect()
}

// Again forgets the request of a Join that was refused: the next one is made from
// the list as it is then.
func (d *Device) Again() { d.join = nil }
