package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"time"

	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/seal"
	"github.com/reseal/reseal/wrap"
)

// selfTests are round trips through what everything rests on, with an altered
// byte each that has to be seen.
var selfTests = []struct {
	name string
	run  func() error
}{
	{"content sealed and opened", testSeal},
	{"key wrapped and opened", testWrap},
	{"signed list checked", testList},
	{"password login", testLogin},
}

var (
	errDiffers = errors.New("what comes out is not what went in")
	errTaken   = errors.New("altered bytes were taken")
)

func testSeal() error {
	cek, err := seal.NewCEK(rand.Reader)
	if err != nil {
		return err
	}
	id, err := seal.NewContentID(rand.Reader)
	if err != nil {
		return err
	}
	plain := make([]byte, 300_000)
	_, _ = rand.Read(plain)
	from := identity.AccountID{1}
	var sealed bytes.Buffer
	w, err := seal.NewWriter(&sealed, rand.Reader, cek, seal.Context{Kind: 1, Content: id, Sender: from, Created: identity.TimeOf(time.Now())},
		seal.Meta{Name: "self-test", Size: uint64(len(plain))})
	if err != nil {
		return err
	}
	if _, err := w.Write(plain); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	res, err := w.Result()
	if err != nil {
		return err
	}
	segs, err := seal.ParseSegments(res.Segments, res.Digest)
	if err != nil {
		return err
	}
	read := func(b []byte) ([]byte, error) {
		r, err := segs.NewReader(bytes.NewReader(b), cek, seal.Origin{Kind: 1, Sender: from})
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	got, err := read(sealed.Bytes())
	if err != nil {
		return err
	}
	if !bytes.Equal(got, plain) {
		return errDiffers
	}
	sealed.Bytes()[sealed.Len()/2] ^= 1
	if _, err := read(sealed.Bytes()); err == nil {
		return errTaken
	}
	return nil
}

func testWrap() (err error) {
	var epochs [2]identity.EpochKey
	var auths [2]identity.EpochAuthKey
	for i := range epochs {
		if epochs[i], err = identity.NewEpochKey(rand.Reader); err != nil {
			return err
		}
		if auths[i], err = identity.NewEpochAuthKey(rand.Reader); err != nil {
			return err
		}
	}
	now := identity.TimeOf(time.Now())
	s := wrap.Secret{CEK: seal.CEK{3}, R: message.R{4}, Digest: message.Digest{5}}
	h := message.Header{
		Kind: message.KindContent, Sender: identity.AccountID{1}, Recipient: identity.AccountID{2}, SenderDevice: identity.DeviceID{1},
		Created: now, Expires: now.Add(time.Hour), Policy: message.Once, Suite: message.Cobblestone256, Blob: message.BlobID{6},
		Length: 1 << 20, Digest: s.Digest,
	}
	h.ID = message.NewID(now.Day(), h.Sender, h.Recipient, message.ClientID{7}, h.Digest)
	ctx := message.WrapContext{
		From: message.WrapFrom{
			Account: h.Sender, Key: identity.AccountPublic{1}, Device: h.SenderDevice, DeviceKey: identity.DevicePublic{1},
			Auth: auths[0].Public(), Epoch: 1, ListVersion: 1, At: now,
		},
		To: message.WrapTo{
			Account: h.Recipient, Key: identity.AccountPublic{2}, Device: identity.DeviceID{2}, DeviceKey: identity.DevicePublic{2},
			Epoch: 1, ListVersion: 1,
		},
	}
	w, err := wrap.Seal(ctx, epochs[1].Public(), auths[1].Public(), auths[0], h, s)
	if err != nil {
		return err
	}
	got, err := wrap.Open(w, epochs[1], auths[1], auths[0].Public(), h)
	if err != nil {
		return err
	}
	if got != s {
		return errDiffers
	}
	h.Policy = message.Keep
	if _, err := wrap.Open(w, epochs[1], auths[1], auths[0].Public(), h); err == nil {
		return errTaken
	}
	return nil
}

func testList() error {
	k, err := identity.NewAccountKey(rand.Reader)
	if err != nil {
		return err
	}
	dev, err := identity.NewDeviceKey(rand.Reader)
	if err != nil {
		return err
	}
	now := identity.TimeOf(time.Now())
	d := identity.Device{ID: identity.DeviceID{1}, Key: dev.Public(), AddedAt: now, Class: identity.Native, How: identity.ByPassword}
	next, err := identity.NewAccountKey(rand.Reader)
	if err != nil {
		return err
	}
	l, err := identity.SignList(identity.FirstList(identity.AccountID{1}, k.Public(), next.Public().Next(), d, now), k)
	if err != nil {
		return err
	}
	if _, err := identity.ParseSignedList(l.Bytes()); err != nil {
		return err
	}
	b := bytes.Clone(l.Bytes())
	b[len(b)-1] ^= 1
	if _, err := identity.ParseSignedList(b); err == nil {
		return errTaken
	}
	return nil
}

func testLogin() error {
	setup, err := opaque.NewSetup(rand.Reader)
	if err != nil {
		return err
	}
	s, err := opaque.NewServer(setup)
	if err != nil {
		return err
	}
	const who, password = handle.Handle("self.test"), "four words of the self-test"
	reg, request, err := opaque.StartRegistration(who, []byte(password))
	if err != nil {
		return err
	}
	response, err := s.Register(who, request)
	if err != nil {
		return err
	}
	record, export, err := reg.Finish(response)
	if err != nil {
		return err
	}
	known := &opaque.Known{Account: identity.AccountID{1}, Credential: 1, Record: record}
	now := identity.TimeOf(time.Now())
	login := func(password string) (opaque.Result, error) {
		l, ke1, err := opaque.StartLogin(who, []byte(password))
		if err != nil {
			return opaque.Result{}, err
		}
		ke2, state, err := s.StartLogin(rand.Reader, who, known, ke1, now)
		if err != nil {
			return opaque.Result{}, err
		}
		res, err := l.Finish(ke2)
		if err != nil {
			return opaque.Result{}, err
		}
		_, err = s.FinishLogin(state, res.KE3, res.Session.Hash(), now)
		return res, err
	}
	res, err := login(password)
	if err != nil {
		return err
	}
	if res.Export != export {
		return errDiffers
	}
	if _, err := login(password + "!"); !errors.Is(err, opaque.ErrLogin) {
		return errors.New("a wrong password was taken")
	}
	return nil
}
