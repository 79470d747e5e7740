package reseal_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// lie puts another value in place of a record, as a server can that lies.
func (w *world) lie(a *reseal.Account, k store.Key, change func([]byte) []byte) (before []byte) {
	w.t.Helper()
	p := records.AccountPartition(a.ID())
	rec, err := w.store.Get(context.Background(), p, k)
	if err != nil {
		w.t.Fatal(err)
	}
	if change != nil {
		b := new(store.Batch).Replace(k, rec.Rev, change(rec.Value), store.Token{9}, 0)
		if err := w.store.Commit(context.Background(), p, b); err != nil {
			w.t.Fatal(err)
		}
	}
	return rec.Value
}

// junkCopy destroys the copy that the recovery code opens: who has the password
// can write whatever they like there.
func (w *world) junkCopy(a *reseal.Account) {
	w.lie(a, records.Pw, func(v []byte) []byte {
		pw, err := records.ParsePassword(v)
		if err != nil {
			w.t.Fatal(err)
		}
		pw.Copy = make([]byte, len(pw.Copy))
		_, _ = rand.Read(pw.Copy)
		return pw.Encode()
	})
}

// Somebody who knows the password takes the account over: another password,
// the owner's sessions ended, the copy destroyed. The owner has the code, and a
// fresh installation. After that the server lies for the thief.
func TestThiefAndLyingServer(t *testing.T) {
	w := newWorld(t)
	phone, ana, code := w.signUpWithCode("ana")
	_, ben := w.signUp("ben")
	awaitState(t, ana, text(t, ben, "hello", "ana"), "ready")
	verify(t, ben, "ana")
	alarms := watch(t, ben, reseal.KindAlarm)
	thiefIn := w.phone()
	thief, _ := w.logIn(thiefIn, "ana")
	if err := thief.ChangePassword(ctx(t), []byte(secret+"ana"), []byte(other+" mine now")); err != nil {
		t.Fatal(err)
	}
	w.junkCopy(thief)
	await(t, "the owner is out", func() bool { _, open := phone.Account("ana"); return !open })
	if _, _, err := phone.LogIn(ctx(t), "ana", []byte(secret+"ana")); !errors.Is(err, reseal.ErrLogin) {
		t.Fatalf("the owner's password: %v", err)
	}
	stood := w.lie(thief, records.Pw, nil)

	owner, next, how, err := w.phone().Recover(ctx(t), "ana", code, []byte(other))
	if err != nil || !how.Rotated || !how.NewDevice || next == (reseal.RecoveryCode{}) {
		t.Fatalf("the owner is locked out: %+v, %v", how, err)
	}
	await(t, "the thief is out", func() bool { _, open := thiefIn.Account("ana"); return !open })
	if _, _, err := thiefIn.LogIn(ctx(t), "ana", []byte(other+" mine now")); !errors.Is(err, reseal.ErrLogin) {
		t.Errorf("the thief's password: %v", err)
	}
	if d, err := owner.Devices(ctx(t)); err != nil || len(d) != 1 {
		t.Errorf("%d devices, %v", len(d), err)
	}
	if _, body := open(t, ben, text(t, owner, "it is me", "ben")); string(body) != "it is me" {
		t.Errorf("got %q", body)
	}
	if _, body := open(t, owner, text(t, ben, "good", "ana")); string(body) != "good" {
		t.Errorf("got %q", body)
	}
	c, err := ben.Contact(ctx(t), "ana")
	if err != nil || !c.Verified || c.State != "known" || len(alarms()) != 0 {
		t.Errorf("%+v, %v", c, err)
	}

	// The server lies for the thief, who has the old account key out of the
	// capsule: it serves a list of that key with a device of the thief's. Neither
	// the owner nor a contact who saw the rotation believes it.
	if err := owner.Settle(ctx(t)); err != nil {
		t.Fatal(err)
	}
	pw, err := records.ParsePassword(stood)
	if err != nil {
		t.Fatal(err)
	}
	root, err := capsule.OpenRoot(pw.Root, code.RootKey(), owner.ID())
	if err != nil {
		t.Fatal(err)
	}
	real, err := identity.ParseSignedList(w.lie(owner, records.List, nil))
	if err != nil {
		t.Fatal(err)
	}
	key, err := identity.NewDeviceKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l := real.List
	l.Key, l.Next, l.Version, l.Prev = root.Account.Public(), root.Next.Public().Next(), l.Version+1, real.Hash()
	l.Devices = []identity.Device{{ID: identity.DeviceID{7}, Key: key.Public(), AddedAt: l.IssuedAt, Class: identity.Native, How: identity.ByPassword}}
	forged, err := identity.SignList(l, root.Account)
	if err != nil {
		t.Fatal(err)
	}
	w.lie(owner, records.List, func([]byte) []byte { return forged.Bytes() })
	_, _ = ben.Send(ctx(t), reseal.Outgoing{To: []string{"ana"}, Text: "whose is it?", Queue: true})
	await(t, "ben is warned", func() bool { return len(alarms()) > 0 })
	if c, err := ben.Contact(ctx(t), "ana"); err != nil || c.State != "alarm" {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := ben.Send(ctx(t), reseal.Outgoing{To: []string{"ana"}, Text: "a secret"}); !errors.Is(err, reseal.ErrAlarm) {
		t.Errorf("ben sends under the thief's list: %v", err)
	}
	// The owner's device still goes by the list that it published.
	if d, err := owner.Devices(ctx(t)); err != nil && !errors.Is(err, reseal.ErrSessionEnded) || len(d) != 1 {
		t.Errorf("the owner's devices: %d, %v", len(d), err)
	}
}

// A live device rotates although the copy is destroyed; others cannot stay.
func TestRotateWithoutCopy(t *testing.T) {
	w := newWorld(t)
	phone, ana, code := w.signUpWithCode("ana")
	laptop, _ := w.logIn(w.phone(), "ana")
	_, ben := w.signUp("ben")
	id := text(t, ben, "before", "ana")
	awaitState(t, ana, id, "ready")
	w.junkCopy(ana)
	if _, err := ana.Rotate(ctx(t), []byte(other), code, []identity.DeviceID{laptop.Device()}); !errors.Is(err, reseal.ErrCopy) {
		t.Errorf("with another device: %v", err)
	}
	if _, err := ana.Rotate(ctx(t), []byte(other), code, nil); err != nil {
		t.Fatal(err)
	}
	device := ana.Device()
	leave(t, ana)
	a := returns(t, phone, "ana", other, device)
	if _, body := open(t, a, id); string(body) != "before" {
		t.Errorf("got %q", body)
	}
}
