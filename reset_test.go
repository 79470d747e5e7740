package reseal_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/store"
)

// pass moves everybody's clock on. Connections begin anew, since clocks are
// compared when they do.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.down()
	w.offset.Add(int64(d))
	w.up()
	w.back()
}

func askReset(t *testing.T, w *world, a *reseal.Account) reseal.PendingReset {
	t.Helper()
	r, err := a.AskReset(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	if wait := r.Due.Sub(w.now()); !r.This || r.Device != a.Device() || wait < 23*time.Hour || wait > 24*time.Hour {
		t.Fatalf("%+v, in %v", r, wait)
	}
	return r
}

// due makes a's reset one that may happen.
func due(t *testing.T, w *world, a *reseal.Account) {
	t.Helper()
	askReset(t, w, a)
	w.pass(24*time.Hour + time.Minute)
}

// trust agrees to the key that is shown.
func trust(t *testing.T, a *reseal.Account, handle string) {
	t.Helper()
	c, err := a.Contact(ctx(t), handle)
	if err != nil || len(c.Offered) != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := a.Trust(ctx(t), handle, c.Offered[0].Key); err != nil {
		t.Fatal(err)
	}
}

func TestReset(t *testing.T) {
	w := newWorld(t)
	_, ana, code := w.signUpWithCode("ana")
	_, ben := w.signUp("ben")
	laptopIn, tabletIn := w.phone(), w.phone()
	laptop, _ := w.logIn(laptopIn, "ana")
	tablet, _ := w.logIn(tabletIn, "ana")
	kept := keep(t, ben, "kept", "ana")
	for _, a := range []*reseal.Account{ana, laptop, tablet} {
		awaitState(t, a, kept, "ready")
	}
	leave(t, tablet)
	number := verify(t, ben, "ana")
	verify(t, ana, "ben")
	alarms := watch(t, ben, reseal.KindAlarm)

	// Announced on all devices, with the hour.
	seen := watch(t, laptop, reseal.KindAccount)
	if _, err := ana.Reset(ctx(t), []byte(other)); !errors.Is(err, reseal.ErrNoReset) {
		t.Errorf("without asking: %v", err)
	}
	asked := askReset(t, w, ana)
	if again := askReset(t, w, ana); !again.Due.Equal(asked.Due) {
		t.Errorf("asked again: %v, then %v", asked.Due, again.Due)
	}
	await(t, "the laptop is told", func() bool { return told(seen, "reset_asked") })
	if e := seen()[0]; e.Device != ana.Device() || !e.Due.Equal(asked.Due) {
		t.Errorf("told %+v", e)
	}
	if r, ok, err := laptop.PendingReset(ctx(t)); !ok || err != nil || r.This || !r.Due.Equal(asked.Due) {
		t.Errorf("%+v, %v, %v", r, ok, err)
	}
	w.pass(23 * time.Hour)
	var notDue *reseal.NotDueError
	if _, err := ana.Reset(ctx(t), []byte(other)); !errors.As(err, &notDue) || notDue.After > time.Hour {
		t.Errorf("too early: %v", err)
	}
	w.pass(time.Hour + time.Minute)
	if _, err := laptop.Reset(ctx(t), []byte(other)); !errors.Is(err, reseal.ErrNoReset) {
		t.Errorf("by another device than asked: %v", err)
	}
	fresh, err := ana.Reset(ctx(t), []byte(other))
	if err != nil {
		t.Fatal(err)
	}

	// One password, one code, one device.
	await(t, "the laptop's session has ended", func() bool { _, open := laptopIn.Account("ana"); return !open })
	if _, _, err := laptopIn.LogIn(ctx(t), "ana", []byte(secret+"ana")); !errors.Is(err, reseal.ErrLogin) {
		t.Errorf("the old password: %v", err)
	}
	if _, _, _, err := tabletIn.Recover(ctx(t), "ana", code, []byte(other)); !errors.Is(err, reseal.ErrRecoveryCode) {
		t.Errorf("the old code: %v", err)
	}
	if d, err := ana.Devices(ctx(t)); err != nil || len(d) != 1 {
		t.Errorf("%d devices, %v", len(d), err)
	}
	if _, body := open(t, ana, kept); string(body) != "kept" {
		t.Errorf("got %q", body)
	}
	tablet, how, err := tabletIn.LogIn(ctx(t), "ana", []byte(other))
	if err != nil || !how.NewDevice {
		t.Fatalf("a device that the reset shut out: %+v, %v", how, err)
	}
	await(t, "the book came along", func() bool {
		all, err := tablet.Contacts()
		return err == nil && len(all) == 1 && all[0].Handle == "ben" && all[0].Verified
	})

	// The contact is warned, and everything holds until it agrees.
	held, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben"}, Text: "it is me"})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "ben is warned", func() bool { return len(alarms()) > 0 })
	if _, err := ben.Send(ctx(t), reseal.Outgoing{To: []string{"ana"}, Text: "x"}); !errors.Is(err, reseal.ErrAlarm) {
		t.Errorf("a send before the contact agreed: %v", err)
	}
	await(t, "it is here", func() bool { return state(t, ben, held[0].Message) != "" })
	if err := ben.Open(ctx(t), held[0].Message, func(reseal.Content) error { return nil }, nil); err == nil {
		t.Error("opened before the contact agreed")
	}
	c, err := ben.Contact(ctx(t), "ana")
	if err != nil || c.State != "alarm" {
		t.Fatalf("%+v, %v", c, err)
	}
	trust(t, ben, "ana")
	if _, body := open(t, ben, held[0].Message); string(body) != "it is me" {
		t.Errorf("got %q", body)
	}
	c, err = ben.Contact(ctx(t), "ana")
	if err != nil || c.State != "known" || c.Verified || !c.Changed || c.SafetyNumber == number {
		t.Errorf("%+v, %v", c, err)
	}
	if _, body := open(t, ana, text(t, ben, "welcome back", "ana")); string(body) != "welcome back" {
		t.Errorf("got %q", body)
	}
	// The fresh code is as good as the first.
	if _, err := ana.Rotate(ctx(t), []byte(other+" again"), fresh, nil); err != nil {
		t.Error(err)
	}
}

// A retry request of an account that was reset is answered when its user has
// agreed, and not before.
func TestResetHoldsAnswers(t *testing.T) {
	w := newWorld(t)
	phone, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	id := keep(t, ben, "for later", "ana")
	awaitState(t, ana, id, "ready")
	due(t, w, ana)
	if _, err := ana.Reset(ctx(t), []byte(other)); err != nil {
		t.Fatal(err)
	}
	if err := phone.Close(); err != nil { // nobody else has the key
		t.Fatal(err)
	}
	alarms := watch(t, ben, reseal.KindAlarm)
	fresh, _, err := w.phone().LogIn(ctx(t), "ana", []byte(other))
	if err != nil {
		t.Fatal(err)
	}
	awaitState(t, fresh, id, "waiting")
	await(t, "ben is warned", func() bool { return len(alarms()) > 0 })
	if s := state(t, fresh, id); s != "waiting" {
		t.Fatalf("answered before the contact agreed: %v", s)
	}
	trust(t, ben, "ana")
	if _, body := open(t, fresh, id); string(body) != "for later" {
		t.Errorf("got %q", body)
	}
}

// Any device cancels it, and so does whoever shows that nothing is lost.
func TestResetCancelled(t *testing.T) {
	w := newWorld(t)
	_, ana, code := w.signUpWithCode("ana")
	laptop, _ := w.logIn(w.phone(), "ana")
	seen := watch(t, ana, reseal.KindAccount)
	due(t, w, ana)
	if err := laptop.CancelReset(ctx(t)); err != nil {
		t.Fatal(err)
	}
	await(t, "it is told", func() bool { return told(seen, "reset_cancelled") })
	if _, ok, err := ana.PendingReset(ctx(t)); ok || err != nil {
		t.Errorf("it is still announced, %v", err)
	}
	if _, err := ana.Reset(ctx(t), []byte(other)); !errors.Is(err, reseal.ErrNoReset) {
		t.Errorf("cancelled: %v", err)
	}
	if err := laptop.CancelReset(ctx(t)); err != nil {
		t.Errorf("cancelled again: %v", err)
	}
	// By another device: its own 24 hours.
	due(t, w, ana)
	askReset(t, w, laptop)
	if _, err := ana.Reset(ctx(t), []byte(other)); !errors.Is(err, reseal.ErrNoReset) {
		t.Errorf("replaced by another's: %v", err)
	}
	// A change of the password ends it.
	due(t, w, ana)
	if err := ana.ChangePassword(ctx(t), []byte(secret+"ana"), []byte(other)); err != nil {
		t.Fatal(err)
	}
	if _, err := ana.Reset(ctx(t), []byte(other+" two")); !errors.Is(err, reseal.ErrNoReset) {
		t.Errorf("after a change of the password: %v", err)
	}
	// It does not wait for ever.
	due(t, w, ana)
	w.pass(8 * 24 * time.Hour)
	if _, err := ana.Reset(ctx(t), []byte(other+" two")); !errors.Is(err, reseal.ErrNoReset) {
		t.Errorf("a week later: %v", err)
	}
	// So does a rotation, which has the code.
	due(t, w, ana)
	if _, err := ana.Rotate(ctx(t), []byte(other+" three"), code, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ana.Reset(ctx(t), []byte(other+" two")); !errors.Is(err, reseal.ErrNoReset) {
		t.Errorf("after a rotation: %v", err)
	}
}

// Cancelled while it is being made: exactly one of the two happens.
func TestResetAgainstCancel(t *testing.T) {
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("cancelled first %v", first), func(t *testing.T) {
			w, g := gated(t)
			_, ana := w.signUp("ana")
			laptop, _ := w.logIn(w.phone(), "ana")
			due(t, w, ana)
			var cancelled error
			var once atomic.Bool
			g.set(func(b *store.Batch, commit func() error) error {
				if !writes(b, "pw") || !once.CompareAndSwap(false, true) {
					return commit()
				}
				var err error
				if !first {
					err = commit()
				}
				cancelled = laptop.CancelReset(ctx(t))
				if first {
					err = commit()
				}
				return err
			})
			_, err := ana.Reset(ctx(t), []byte(other))
			g.set(nil)
			right, wrong := secret+"ana", other
			if first {
				if cancelled != nil || !errors.Is(err, reseal.ErrNoReset) {
					t.Errorf("cancel %v, reset %v", cancelled, err)
				}
			} else {
				right, wrong = wrong, right
				if err != nil || cancelled == nil {
					t.Errorf("reset %v, cancel %v", err, cancelled)
				}
			}
			in := w.phone()
			if _, _, err := in.LogIn(ctx(t), "ana", []byte(wrong)); !errors.Is(err, reseal.ErrLogin) {
				t.Errorf("both passwords work: %v", err)
			}
			if _, _, err := in.LogIn(ctx(t), "ana", []byte(right)); err != nil {
				t.Errorf("none works: %v", err)
			}
			if err := ana.Online(ctx(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Killed at any step, exactly one password works, the device that asked goes
// on, and its section opens after a logout.
func TestResetKilled(t *testing.T) {
	for _, done := range []bool{false, true} {
		t.Run(fmt.Sprintf("committed %v", done), func(t *testing.T) {
			w, g := gated(t)
			phone, ana := w.signUp("ana")
			_, ben := w.signUp("ben")
			id := keep(t, ben, "before", "ana")
			awaitState(t, ana, id, "ready")
			due(t, w, ana)
			call, kill := context.WithCancel(ctx(t))
			defer kill()
			g.set(func(b *store.Batch, commit func() error) error {
				if !writes(b, "pw") {
					return commit()
				}
				if done {
					_ = commit()
				}
				kill()
				return store.ErrUnknown
			})
			code, err := ana.Reset(call, []byte(other))
			g.set(nil)
			if !errors.Is(err, reseal.ErrUncertain) || code == (reseal.RecoveryCode{}) {
				t.Fatalf("%v; a code: %v", err, code != reseal.RecoveryCode{})
			}
			dir, device := phone.Dir(), ana.Device()
			_ = phone.Close()
			in := w.install(dir)
			all, err := in.Resume(ctx(t))
			if err != nil || len(all) != 1 {
				t.Fatalf("resume: %v", err)
			}
			ana = all[0]
			if err := ana.Online(ctx(t)); err != nil {
				t.Fatal(err)
			}
			right, wrong := secret+"ana", other
			if done {
				right, wrong = wrong, right
			} else if _, err := ana.Reset(ctx(t), []byte(other+" again")); err != nil {
				t.Fatalf("once more: %v", err)
			} else {
				right = other + " again"
			}
			leave(t, ana)
			if _, _, err := in.LogIn(ctx(t), "ana", []byte(wrong)); !errors.Is(err, reseal.ErrLogin) {
				t.Errorf("both passwords work: %v", err)
			}
			ana = returns(t, in, "ana", right, device)
			if _, body := open(t, ana, id); string(body) != "before" {
				t.Errorf("got %q", body)
			}
		})
	}
}
