package reseal_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/store"
)

// signUpWithCode is signUp for tests that need the recovery code.
func (w *world) signUpWithCode(handle string) (*reseal.Installation, *reseal.Account, reseal.RecoveryCode) {
	w.t.Helper()
	in := w.phone()
	a, code, err := in.SignUp(ctx(w.t), handle, []byte(secret+handle))
	if err != nil {
		w.t.Fatal(err)
	}
	return in, a, code
}

// watch collects an account's events of one kind.
func watch(t *testing.T, a *reseal.Account, kind reseal.EventKind) func() []reseal.Event {
	var mu sync.Mutex
	var all []reseal.Event
	events := a.Events(ctx(t))
	go func() {
		for e := range events {
			if e.Kind == kind {
				mu.Lock()
				all = append(all, e)
				mu.Unlock()
			}
		}
	}()
	return func() []reseal.Event {
		mu.Lock()
		defer mu.Unlock()
		return append([]reseal.Event(nil), all...)
	}
}

func told(events func() []reseal.Event, what string) bool {
	for _, e := range events() {
		if e.What == what {
			return true
		}
	}
	return false
}

func mustCode(t *testing.T) reseal.RecoveryCode {
	t.Helper()
	in := newWorld(t).phone()
	_, code, err := in.SignUp(ctx(t), "somebody", []byte(other))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestRecover(t *testing.T) {
	w := newWorld(t)
	phone, ana, code := w.signUpWithCode("ana")
	_, ben := w.signUp("ben")
	laptopIn := w.phone()
	laptop, _ := w.logIn(laptopIn, "ana")
	id := text(t, ben, "before", "ana")
	awaitState(t, ana, id, "ready")
	number, err := ben.Contact(ctx(t), "ana")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := ben.Verify(ctx(t), "ana", number.SafetyNumber); !ok || err != nil {
		t.Fatal(err)
	}
	leave(t, ana)
	events := watch(t, laptop, reseal.KindAccount)

	wrong := mustCode(t)
	for name, c := range map[string]struct {
		handle string
		code   reseal.RecoveryCode
	}{"wrong code": {"ana", wrong}, "unknown handle": {"nobody", code}} {
		_, again, _, err := phone.Recover(ctx(t), c.handle, c.code, []byte(other))
		if !errors.Is(err, reseal.ErrRecoveryCode) || again != (reseal.RecoveryCode{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	await(t, "the laptop shows the wrong code", func() bool { return told(events, "recovery_tried") })
	if _, _, _, err := phone.Recover(ctx(t), "ana", code, []byte("short")); err == nil {
		t.Error("to a weak password")
	}
	if _, _, _, err := laptopIn.Recover(ctx(t), "ana", code, []byte(other)); !errors.Is(err, reseal.ErrLoggedIn) {
		t.Errorf("where it is logged in: %v", err)
	}

	old := code
	for round, to := range []string{other, other + " again"} {
		a, next, how, err := phone.Recover(ctx(t), "ana", code, []byte(to))
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if how.NewDevice || how.SetAside || a.Device() != ana.Device() || a.ID() != ana.ID() || next.Reveal() == code.Reveal() {
			t.Fatalf("round %d: %+v", round, how)
		}
		if round == 0 {
			if _, body := open(t, a, id); string(body) != "before" {
				t.Errorf("got %q", body)
			}
		}
		leave(t, a)
		code = next
	}
	await(t, "the laptop's session has ended", func() bool { _, in := laptopIn.Account("ana"); return !in })
	if _, _, _, err := phone.Recover(ctx(t), "ana", old, []byte(other)); !errors.Is(err, reseal.ErrRecoveryCode) {
		t.Errorf("the code that was replaced: %v", err)
	}
	if _, _, err := phone.LogIn(ctx(t), "ana", []byte(secret+"ana")); !errors.Is(err, reseal.ErrLogin) {
		t.Errorf("the old password: %v", err)
	}
	a := returns(t, laptopIn, "ana", other+" again", laptop.Device())
	events = watch(t, a, reseal.KindAccount)
	if _, body := open(t, a, text(t, ben, "after", "ana")); string(body) != "after" {
		t.Errorf("got %q", body)
	}
	after, err := ben.Contact(ctx(t), "ana")
	if err != nil || after.SafetyNumber != number.SafetyNumber || !after.Verified || after.State != "known" {
		t.Errorf("%+v, %v", after, err)
	}
	// A new installation comes in by the code too.
	fresh, _, how, err := w.phone().Recover(ctx(t), "ana", code, []byte(other))
	if err != nil || !how.NewDevice {
		t.Fatalf("%+v, %v", how, err)
	}
	devices, err := fresh.Devices(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		if d.This && d.How != "recovery" {
			t.Errorf("the new device came by %q", d.How)
		}
	}
}

// Whatever step a recovery is killed at, the old password and code work, or the
// new ones: never both, never neither.
func TestRecoverKilled(t *testing.T) {
	for _, done := range []bool{false, true} {
		t.Run(fmt.Sprintf("committed %v", done), func(t *testing.T) {
			w, g := gated(t)
			phone, ana, code := w.signUpWithCode("ana")
			leave(t, ana)
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
			_, next, _, err := phone.Recover(call, "ana", code, []byte(other))
			g.set(nil)
			if !errors.Is(err, reseal.ErrUncertain) || next == (reseal.RecoveryCode{}) {
				t.Fatalf("%v", err)
			}
			right, wrong := code, next
			password, not := secret+"ana", other
			if done {
				right, wrong, password, not = wrong, right, not, password
			}
			if _, _, err := phone.LogIn(ctx(t), "ana", []byte(not)); !errors.Is(err, reseal.ErrLogin) {
				t.Errorf("both passwords work: %v", err)
			}
			leave(t, returns(t, phone, "ana", password, ana.Device()))
			if _, _, _, err := phone.Recover(ctx(t), "ana", wrong, []byte(other)); !errors.Is(err, reseal.ErrRecoveryCode) {
				t.Errorf("both codes work: %v", err)
			}
			if _, _, _, err := phone.Recover(ctx(t), "ana", right, []byte(other+" three")); err != nil {
				t.Errorf("no code works: %v", err)
			}
		})
	}
}

// A recovery and a change of the password at once: the later one is refused or
// comes after the other, and one password works.
func TestRecoverAgainstChange(t *testing.T) {
	w, g := gated(t)
	_, ana, code := w.signUpWithCode("ana")
	tablet := w.phone()
	old, _ := w.logIn(tablet, "ana")
	leave(t, old)
	var once sync.Once
	g.set(func(b *store.Batch, commit func() error) error {
		if writes(b, "pw") {
			once.Do(func() {
				g.set(nil)
				if err := ana.ChangePassword(ctx(t), []byte(secret+"ana"), []byte(other)); err != nil {
					t.Errorf("change: %v", err)
				}
			})
		}
		return commit()
	})
	if _, _, _, err := w.phone().Recover(ctx(t), "ana", code, []byte(other+" two")); err == nil {
		t.Error("a recovery that was overtaken put a capsule of before over the new one")
	}
	returns(t, tablet, "ana", other, old.Device())
	if _, _, _, err := w.phone().Recover(ctx(t), "ana", code, []byte(other+" two")); err != nil {
		t.Errorf("after it the code still works: %v", err)
	}
}

// The other way round: a change that a recovery overtook changes nothing, and the
// password of the recovery works.
func TestChangeAgainstRecovery(t *testing.T) {
	w, g := gated(t)
	_, ana, code := w.signUpWithCode("ana")
	tablet := w.phone()
	old, _ := w.logIn(tablet, "ana")
	leave(t, old)
	const recovered = other + " two"
	var once sync.Once
	g.set(func(b *store.Batch, commit func() error) error {
		if writes(b, "pw") {
			once.Do(func() {
				g.set(nil)
				if _, _, _, err := w.phone().Recover(ctx(t), "ana", code, []byte(recovered)); err != nil {
					t.Errorf("recovery: %v", err)
				}
			})
		}
		return commit()
	})
	if err := ana.ChangePassword(ctx(t), []byte(secret+"ana"), []byte(other)); err == nil {
		t.Error("a change that was overtaken put its password over the recovery's")
	}
	returns(t, tablet, "ana", recovered, old.Device())
	for _, pass := range []string{other, secret + "ana"} {
		if _, _, err := w.phone().LogIn(ctx(t), "ana", []byte(pass)); !errors.Is(err, reseal.ErrLogin) {
			t.Errorf("another password: %v", err)
		}
	}
}
