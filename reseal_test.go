package reseal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
)

func TestTextIsGoneAfterOneView(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	id := text(t, ana, "hello ben", "ben")
	c, body := open(t, ben, id)
	if string(body) != "hello ben" || !c.Text {
		t.Fatalf("got %q, text %v", body, c.Text)
	}
	awaitState(t, ben, id, client.IsViewed)
	awaitState(t, ana, id, client.IsViewed)
	var e *reseal.EndedError
	if err := ben.Open(ctx(t), id, nil, nil); !errors.As(err, &e) {
		t.Fatalf("second view: %v", err)
	}
}

func TestFileOfManySegments(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	file := make([]byte, 20<<20+123)
	if _, err := rand.Read(file); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{int64(len(file)), -1} {
		sent, err := ana.Send(ctx(t), reseal.Outgoing{
			To: []string{"ben"}, File: bytes.NewReader(file), Size: size, Name: "holiday.mp4", Type: "video/mp4", Caption: "look", Policy: reseal.Keep,
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			c, body := open(t, ben, sent[0].Message)
			if !bytes.Equal(body, file) || c.Name != "holiday.mp4" || c.Type != "video/mp4" || c.Caption != "look" || c.Text {
				t.Fatalf("got %d bytes, %+v", len(body), c)
			}
		}
	}
}

func TestLoginOnTheSamePhoneFindsTheOldDevice(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	phone, ben := w.signUp("ben")
	device := ben.Device()
	if _, err := ben.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	id := text(t, ana, "while you were out", "ben")
	ben, how := w.logIn(phone, "ben")
	if how.NewDevice || ben.Device() != device {
		t.Fatalf("another device: %+v", how)
	}
	if _, body := open(t, ben, id); string(body) != "while you were out" {
		t.Fatalf("got %q", body)
	}
	if n := ben.Counters().Retries; n != 0 {
		t.Errorf("%d retries needed, want none", n)
	}
}

func TestHopIsAnsweredByTheSender(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	phone, ben := w.signUp("ben")
	if _, err := ben.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	_ = phone
	id := text(t, ana, "for whichever phone", "ben")
	ben, how := w.logIn(w.phone(), "ben")
	if !how.NewDevice {
		t.Fatal("no new device")
	}
	if _, body := open(t, ben, id); string(body) != "for whichever phone" {
		t.Fatalf("got %q", body)
	}
	if c := ben.Counters(); c.Retries != 1 || c.BySender != 1 {
		t.Errorf("counters: %+v", c)
	}
}

func TestHopIsAnsweredByTheOwnTabletWhileTheSenderIsAway(t *testing.T) {
	w := newWorld(t)
	anas, ana := w.signUp("ana")
	_, tablet := w.signUp("ben")
	id := text(t, ana, "kept", "ben")
	awaitState(t, tablet, id, client.IsReady)
	if err := anas.Close(); err != nil {
		t.Fatal(err)
	}
	ben, _ := w.logIn(w.phone(), "ben")
	if _, body := open(t, ben, id); string(body) != "kept" {
		t.Fatalf("got %q", body)
	}
	if c := ben.Counters(); c.ByOwn != 1 {
		t.Errorf("counters: %+v", c)
	}
	awaitState(t, tablet, id, client.IsViewed)
}

func TestHopWithNobodyThereWaitsForTheSender(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	anas := w.install(dir)
	ana, _, err := anas.SignUp(ctx(t), "ana", []byte(secret+"ana"))
	if err != nil {
		t.Fatal(err)
	}
	_, ben := w.signUp("ben")
	if _, err := ben.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	id := text(t, ana, "later", "ben")
	if err := anas.Close(); err != nil {
		t.Fatal(err)
	}
	ben, _ = w.logIn(w.phone(), "ben")
	awaitState(t, ben, id, client.Waiting)
	if err := ben.Open(ctx(t), id, nil, nil); !errors.Is(err, reseal.ErrWaiting) {
		t.Fatalf("open of a waiting message: %v", err)
	}
	anas = w.install(dir)
	if _, err := anas.Resume(ctx(t)); err != nil {
		t.Fatal(err)
	}
	if _, body := open(t, ben, id); string(body) != "later" {
		t.Fatalf("got %q", body)
	}
}

func TestSharedPhone(t *testing.T) {
	w := newWorld(t)
	phone, ana := w.signUp("ana")
	ben, _, err := phone.SignUp(ctx(t), "ben", []byte(secret+"ben"))
	if err != nil {
		t.Fatal(err)
	}
	id := text(t, ana, "from the same phone", "ben")
	if _, body := open(t, ben, id); string(body) != "from the same phone" {
		t.Fatalf("got %q", body)
	}
	if _, err := ana.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	if in, err := phone.LoggedIn(); err != nil || len(in) != 1 || in[0].Handle != "ben" {
		t.Fatalf("logged in: %+v, %v", in, err)
	}
}

func TestUnsend(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	id := text(t, ana, "never mind", "ben")
	awaitState(t, ben, id, client.IsReady)
	if err := ana.Unsend(ctx(t), id); err != nil {
		t.Fatal(err)
	}
	awaitState(t, ben, id, client.IsUnsent)
	var e *reseal.EndedError
	if err := ben.Open(ctx(t), id, nil, nil); !errors.As(err, &e) {
		t.Fatalf("open: %v", err)
	}
}

func TestRestartNeedsNoPassword(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	dir := t.TempDir()
	phone := w.install(dir)
	ben, _, err := phone.SignUp(ctx(t), "ben", []byte(secret+"ben"))
	if err != nil {
		t.Fatal(err)
	}
	device := ben.Device()
	if err := phone.Close(); err != nil {
		t.Fatal(err)
	}
	id := text(t, ana, "after the restart", "ben")
	phone = w.install(dir)
	all, err := phone.Resume(ctx(t))
	if err != nil || len(all) != 1 || all[0].Device() != device {
		t.Fatalf("resume: %v, %v", all, err)
	}
	if _, body := open(t, all[0], id); string(body) != "after the restart" {
		t.Fatalf("got %q", body)
	}
}

func TestRemovedDevice(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	_, tablet := w.signUp("ben")
	dir := t.TempDir()
	lost := w.install(dir)
	phone, _ := w.logIn(lost, "ben")
	awaitDevices := func(n int) {
		t.Helper()
		await(t, "devices", func() bool { d, err := tablet.Devices(ctx(t)); return err == nil && len(d) == n })
	}
	awaitDevices(2)
	if err := tablet.RemoveDevice(ctx(t), phone.Device(), []byte("not the password at all")); !errors.Is(err, reseal.ErrLogin) {
		t.Fatalf("wrong password: %v", err)
	}
	if err := tablet.RemoveDevice(ctx(t), phone.Device(), []byte(secret+"ben")); err != nil {
		t.Fatal(err)
	}
	awaitDevices(1)
	await(t, "the removed device closes", func() bool {
		_, err := phone.Inbox(context.Background(), reseal.InboxOptions{})
		return errors.Is(err, reseal.ErrClosed)
	})
	text(t, ana, "not for the lost phone", "ben")
	ben, how := w.logIn(lost, "ben")
	if !how.NewDevice || !how.SetAside || ben.Device() == phone.Device() {
		t.Fatalf("the removed section came back: %+v", how)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	in, ana := w.signUp("ana")
	if _, _, err := w.phone().LogIn(ctx(t), "ana", []byte("wrong password here")); !errors.Is(err, reseal.ErrLogin) {
		t.Errorf("wrong password: %v", err)
	}
	if _, _, err := w.phone().LogIn(ctx(t), "nobody", []byte("wrong password here")); !errors.Is(err, reseal.ErrLogin) {
		t.Errorf("unknown account: %v", err)
	}
	if _, _, err := in.LogIn(ctx(t), "ana", []byte(secret)); !errors.Is(err, reseal.ErrLoggedIn) {
		t.Errorf("login twice: %v", err)
	}
	if _, _, err := w.phone().SignUp(ctx(t), "ana", []byte(secret)); !errors.Is(err, reseal.ErrHandleTaken) {
		t.Errorf("handle taken: %v", err)
	}
	var u *reseal.UnknownAccountError
	if _, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"nobody"}, Text: "x"}); !errors.As(err, &u) || u.Handle != "nobody" {
		t.Errorf("unknown recipient: %v", err)
	}
	if _, err := ana.Find(ctx(t), "zz"); !errors.Is(err, reseal.ErrUnknownMessage) {
		t.Errorf("unknown message: %v", err)
	}
}
