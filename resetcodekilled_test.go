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

// Killed at the write that begins the account anew: one password works, the
// operator's code goes on working where nothing happened, and nowhere else.
func TestResetByCodeKilled(t *testing.T) {
	for _, done := range []bool{false, true} {
		t.Run(fmt.Sprintf("committed %v", done), func(t *testing.T) {
			w, g := gated(t)
			w.signUp("ana")
			code := announce(t, w, "ana")
			w.pass(24*time.Hour + time.Minute)
			in := w.phone()
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
			_, recovery, err := in.ResetByCode(call, "ana", code, []byte(other))
			g.set(nil)
			if !errors.Is(err, reseal.ErrUncertain) || recovery == (reseal.RecoveryCode{}) {
				t.Fatalf("%v; a code: %v", err, recovery != reseal.RecoveryCode{})
			}
			dir := in.Dir()
			if err := in.Close(); err != nil {
				t.Fatal(err)
			}
			in = w.install(dir)
			if all, err := in.Resume(ctx(t)); err != nil || len(all) != 0 {
				t.Fatalf("%d accounts are logged in, %v", len(all), err)
			}
			if done {
				if _, _, err := in.ResetByCode(ctx(t), "ana", code, []byte(other+" again")); !errors.Is(err, reseal.ErrResetCode) {
					t.Errorf("the code is good twice: %v", err)
				}
				if _, _, err := in.LogIn(ctx(t), "ana", []byte(secret+"ana")); !errors.Is(err, reseal.ErrLogin) {
					t.Errorf("both passwords work: %v", err)
				}
				// The device that the reset made is the one that comes back.
				a, how, err := in.LogIn(ctx(t), "ana", []byte(other))
				if err != nil || how.NewDevice || how.SetAside {
					t.Fatalf("%+v, %v", how, err)
				}
				if d, err := a.Devices(ctx(t)); err != nil || len(d) != 1 {
					t.Errorf("%d devices, %v", len(d), err)
				}
				if _, _, _, err := w.phone().Recover(ctx(t), "ana", recovery, []byte(other+" two")); err != nil {
					t.Errorf("the code that was shown: %v", err)
				}
				return
			}
			if _, _, err := in.LogIn(ctx(t), "ana", []byte(other)); !errors.Is(err, reseal.ErrLogin) {
				t.Errorf("both passwords work: %v", err)
			}
			if _, _, _, err := w.phone().Recover(ctx(t), "ana", recovery, []byte(other+" two")); !errors.Is(err, reseal.ErrRecoveryCode) {
				t.Errorf("the code of a reset that did not happen: %v", err)
			}
			a, _, err := in.ResetByCode(ctx(t), "ana", code, []byte(other+" again"))
			if err != nil {
				t.Fatalf("once more: %v", err)
			}
			device := a.Device()
			leave(t, a)
			returns(t, in, "ana", other+" again", device)
		})
	}
}

// A device cancels the operator's reset while it is being made: exactly one of
// the two happens.
func TestResetByCodeAgainstCancel(t *testing.T) {
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("cancelled first %v", first), func(t *testing.T) {
			w, g := gated(t)
			_, ana := w.signUp("ana")
			code := announce(t, w, "ana")
			w.pass(24*time.Hour + time.Minute)
			var cancelled error
			var once atomic.Bool
			g.set(func(b *store.Batch, commit func() error) error {
				if !writes(b, "pw") || !once.CompareAndSwap(false, true) {
					return commit()
				}
				if first {
					cancelled = ana.CancelReset(ctx(t))
					return commit()
				}
				err := commit()
				cancelled = ana.CancelReset(ctx(t))
				return err
			})
			_, _, err := w.phone().ResetByCode(ctx(t), "ana", code, []byte(other))
			g.set(nil)
			right, wrong := secret+"ana", other
			if first {
				if cancelled != nil || !errors.Is(err, reseal.ErrResetCode) {
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
		})
	}
}

// What waits for the account is answered to the device that the operator's reset
// made when the contact has agreed to the new key, and not before.
func TestResetByCodeHoldsAnswers(t *testing.T) {
	w := newWorld(t)
	phone, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	id := keep(t, ben, "for later", "ana")
	awaitState(t, ana, id, "ready")
	code := announce(t, w, "ana")
	w.pass(24*time.Hour + time.Minute)
	if err := phone.Close(); err != nil { // it is lost
		t.Fatal(err)
	}
	alarms := watch(t, ben, reseal.KindAlarm)
	fresh, _, err := w.phone().ResetByCode(ctx(t), "ana", code, []byte(other))
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
