package reseal_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/api/refusal"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/store"
)

func verify(t *testing.T, a *reseal.Account, handle string) string {
	t.Helper()
	c, err := a.Contact(ctx(t), handle)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := a.Verify(ctx(t), handle, c.SafetyNumber); !ok || err != nil {
		t.Fatalf("verify: %v", err)
	}
	return c.SafetyNumber
}

func TestRotate(t *testing.T) {
	w := newWorld(t)
	_, ana, code := w.signUpWithCode("ana")
	_, ben := w.signUp("ben")
	laptopIn, thiefIn := w.phone(), w.phone()
	laptop, _ := w.logIn(laptopIn, "ana")
	thief, _ := w.logIn(thiefIn, "ana") // somebody who knows the password
	kept := text(t, ben, "before", "ana")
	for _, a := range []*reseal.Account{ana, laptop, thief} {
		awaitState(t, a, kept, "ready")
	}
	number := verify(t, ben, "ana")
	verify(t, ana, "ben")
	alarms := watch(t, ben, reseal.KindAlarm)

	for name, c := range map[string]struct {
		password string
		code     reseal.RecoveryCode
		keep     []identity.DeviceID
		want     error
	}{
		"the same password": {secret + "ana", code, nil, reseal.ErrSamePassword},
		"a wrong code":      {other, mustCode(t), nil, reseal.ErrRecoveryCode},
		"unknown device":    {other, code, []identity.DeviceID{{1}}, reseal.ErrUnknownDevice},
	} {
		if _, err := ana.Rotate(ctx(t), []byte(c.password), c.code, c.keep); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	next, err := ana.Rotate(ctx(t), []byte(other), code, []identity.DeviceID{laptop.Device()})
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []*reseal.Installation{laptopIn, thiefIn} {
		await(t, "the other sessions have ended", func() bool { _, open := in.Account("ana"); return !open })
	}
	if _, _, err := thiefIn.LogIn(ctx(t), "ana", []byte(secret+"ana")); !errors.Is(err, reseal.ErrLogin) {
		t.Errorf("the thief's password: %v", err)
	}
	if _, _, _, err := thiefIn.Recover(ctx(t), "ana", code, []byte(other)); !errors.Is(err, reseal.ErrRecoveryCode) {
		t.Errorf("the old code: %v", err)
	}
	laptop = returns(t, laptopIn, "ana", other, laptop.Device())
	id := text(t, ben, "after", "ana")
	for _, a := range []*reseal.Account{ana, laptop} {
		if _, body := open(t, a, text(t, ben, "once", "ana")); string(body) != "once" {
			t.Errorf("got %q", body)
		}
	}
	awaitState(t, ana, id, "ready")
	if d, err := ana.Devices(ctx(t)); err != nil || len(d) != 2 {
		t.Errorf("%d devices, %v", len(d), err)
	}
	// Contacts follow without a warning, both ways; the mark stays though the
	// number is another.
	if _, body := open(t, ben, text(t, ana, "it is me", "ben")); string(body) != "it is me" {
		t.Errorf("got %q", body)
	}
	c, err := ben.Contact(ctx(t), "ana")
	if err != nil || c.State != "known" || !c.Verified || c.SafetyNumber == number || len(alarms()) != 0 {
		t.Errorf("%+v, %v, alarms %v", c, err, alarms())
	}
	// The contact book came along, under a key that the thief never saw.
	fresh, _, err := w.phone().LogIn(ctx(t), "ana", []byte(other))
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the book", func() bool {
		all, err := fresh.Contacts()
		return err == nil && len(all) == 1 && all[0].Handle == "ben" && all[0].Verified
	})
	for _, a := range []*reseal.Account{ana, laptop} {
		if err := a.Online(ctx(t)); err != nil {
			t.Error(err)
		}
	}
	// And again: the next code is as good as the first.
	if _, err := ana.Rotate(ctx(t), []byte(other+" again"), next, nil); err != nil {
		t.Fatal(err)
	}
	if _, body := open(t, ben, text(t, ana, "and again", "ben")); string(body) != "and again" {
		t.Errorf("got %q", body)
	}
}

// A device that rotated alone lies under another row key: it is found again
// after a logout, whatever step it was killed at.
func TestRotateKilled(t *testing.T) {
	for _, done := range []bool{false, true} {
		t.Run(fmt.Sprintf("committed %v", done), func(t *testing.T) {
			w, g := gated(t)
			phone, ana, code := w.signUpWithCode("ana")
			_, ben := w.signUp("ben")
			id := text(t, ben, "before", "ana")
			awaitState(t, ana, id, "ready")
			call, kill := context.WithCancel(ctx(t))
			defer kill()
			g.set(func(b *store.Batch, commit func() error) error {
				if !writes(b, "pw") || !writes(b, "list") {
					return commit()
				}
				if done {
					_ = commit()
				}
				kill()
				return store.ErrUnknown
			})
			next, err := ana.Rotate(call, []byte(other), code, nil)
			g.set(nil)
			if !errors.Is(err, reseal.ErrUncertain) || next == (reseal.RecoveryCode{}) {
				t.Fatalf("%v", err)
			}
			device, dir := ana.Device(), phone.Dir()
			_ = phone.Close()
			right, wrong, use := secret+"ana", other, code
			if done {
				right, wrong, use = wrong, right, next
			}
			in := w.install(dir)
			all, err := in.Resume(ctx(t))
			if err != nil || len(all) != 1 {
				t.Fatalf("resume: %v", err)
			}
			if err := all[0].Online(ctx(t)); err != nil {
				t.Fatal(err)
			}
			leave(t, all[0])
			if _, _, err := in.LogIn(ctx(t), "ana", []byte(wrong)); !errors.Is(err, reseal.ErrLogin) {
				t.Errorf("both passwords work: %v", err)
			}
			a := returns(t, in, "ana", right, device)
			if _, body := open(t, a, id); string(body) != "before" {
				t.Errorf("got %q", body)
			}
			if _, err := a.Rotate(ctx(t), []byte(other+" once more"), use, nil); err != nil {
				t.Errorf("rotate once more: %v", err)
			}
			leave(t, a)
			a = returns(t, in, "ana", other+" once more", device)
			if _, body := open(t, ben, text(t, a, "me", "ben")); string(body) != "me" {
				t.Errorf("got %q", body)
			}
		})
	}
}

// A rotation after a recovery uses the next key that moved into the new root.
func TestRotateAfterRecovery(t *testing.T) {
	w := newWorld(t)
	phone, ana, code := w.signUpWithCode("ana")
	_, ben := w.signUp("ben")
	awaitState(t, ana, text(t, ben, "hello", "ana"), "ready")
	leave(t, ana)
	ana, code, _, err := phone.Recover(ctx(t), "ana", code, []byte(other))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ana.Rotate(ctx(t), []byte(other+" again"), code, nil); err != nil {
		t.Fatal(err)
	}
	alarms := watch(t, ben, reseal.KindAlarm)
	if _, body := open(t, ben, text(t, ana, "me", "ben")); string(body) != "me" || len(alarms()) != 0 {
		t.Errorf("got %q, %v", body, alarms())
	}
}

// A server that keeps no book of the size that this device has does not keep
// anybody from a rotation: the book that it has goes on, and what only this device
// knows stays here.
func TestRotateWithABookThatIsTooLarge(t *testing.T) {
	w := newWorld(t)
	w.signUp("ben")
	w.signUp("carl")
	l := w.liar(t)
	ana, code, err := l.behind(t.TempDir()).SignUp(ctx(t), "ana", []byte(secret+"ana"))
	if err != nil {
		t.Fatal(err)
	}
	text(t, ana, "hello", "ben")
	second, _, err := w.phone().LogIn(ctx(t), "ana", []byte(secret+"ana"))
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the book is at the server", func() bool {
		all, err := second.Contacts()
		return err == nil && len(all) == 1
	})
	full := refusal.Limit("bytes of the contact book")
	var rotations atomic.Int32
	l.tell(lies{asked: func(method string, _ proto.Message) error {
		if method == "PutBook" || (method == "Rotate" && rotations.Add(1) == 1) {
			return full
		}
		return nil
	}})
	text(t, ana, "hello", "carl")
	if _, err := ana.Rotate(ctx(t), []byte(other), code, nil); err != nil {
		t.Fatal(err)
	}
	if n := rotations.Load(); n != 2 {
		t.Errorf("%d rotations were asked for", n)
	}
	third, _, err := w.phone().LogIn(ctx(t), "ana", []byte(other))
	if err != nil {
		t.Fatal(err)
	}
	if err := third.Online(ctx(t)); err != nil {
		t.Fatal(err)
	}
	if all, err := third.Contacts(); err != nil || len(all) != 1 || all[0].Handle != "ben" {
		t.Errorf("the book of a new device: %+v %v", all, err)
	}
	if all, err := ana.Contacts(); err != nil || len(all) != 2 {
		t.Errorf("the device that rotated knows %+v %v", all, err)
	}
}
