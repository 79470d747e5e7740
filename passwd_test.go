package reseal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client/password"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/store"
)

// gate lets a test stand before and behind every commit of an account's
// records.
type gate struct {
	store.Store
	mu   sync.Mutex
	hook func(b *store.Batch, commit func() error) error
}

func (g *gate) set(f func(b *store.Batch, commit func() error) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hook = f
}

func (g *gate) Commit(ctx context.Context, p store.Partition, b *store.Batch) error {
	g.mu.Lock()
	f := g.hook
	g.mu.Unlock()
	if f == nil || !strings.HasPrefix(string(p), "A/") {
		return g.Store.Commit(ctx, p, b)
	}
	return f(b, func() error { return g.Store.Commit(ctx, p, b) })
}

func gated(t testing.TB) (*world, *gate) {
	w := newWorld(t)
	w.down()
	g := &gate{Store: w.store}
	w.store = g
	w.up()
	return w, g
}

// writes tells whether a batch writes a record of this key.
func writes(b *store.Batch, k store.Key) bool {
	for _, w := range b.Writes {
		if w.Key == k {
			return true
		}
	}
	return false
}

const other = "another horse, another staple"

// returns logs in at an installation that has a section of the account, and
// fails the test unless that section opens and is the same device.
func returns(t *testing.T, in *reseal.Installation, handle, pass string, device identity.DeviceID) *reseal.Account {
	t.Helper()
	a, how, err := in.LogIn(ctx(t), handle, []byte(pass))
	if err != nil {
		t.Fatalf("log in: %v", err)
	}
	if how.NewDevice || how.SetAside || a.Device() != device {
		t.Fatalf("the section did not open: %+v", how)
	}
	return a
}

func leave(t *testing.T, a *reseal.Account) {
	t.Helper()
	if _, err := a.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatalf("log out: %v", err)
	}
}

func TestChangePassword(t *testing.T) {
	w := newWorld(t)
	phone, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	laptopIn, tabletIn := w.phone(), w.phone()
	laptop, _ := w.logIn(laptopIn, "ana") // stays logged in
	tablet, _ := w.logIn(tabletIn, "ana") // is logged out
	id := text(t, ben, "for all devices", "ana")
	for _, a := range []*reseal.Account{ana, laptop, tablet} {
		awaitState(t, a, id, "ready")
	}
	leave(t, tablet)
	number, err := ben.Contact(ctx(t), "ana")
	if err != nil {
		t.Fatal(err)
	}

	if err := ana.ChangePassword(ctx(t), []byte("wrong horse battery"), []byte(other)); !errors.Is(err, reseal.ErrLogin) {
		t.Errorf("with a wrong password: %v", err)
	}
	var weak *password.Weak
	if err := ana.ChangePassword(ctx(t), []byte(secret+"ana"), []byte("12345678")); !errors.As(err, &weak) {
		t.Errorf("to a weak password: %v", err)
	}
	if err := ana.ChangePassword(ctx(t), []byte(secret+"ana"), []byte(other)); err != nil {
		t.Fatal(err)
	}

	// The laptop is told to log in again; this login stays, and survives a
	// restart.
	await(t, "the laptop's session has ended", func() bool { _, open := laptopIn.Account("ana"); return !open })
	if err := ana.Online(ctx(t)); err != nil {
		t.Errorf("the login that changed it: %v", err)
	}
	dir := phone.Dir()
	if err := phone.Close(); err != nil {
		t.Fatal(err)
	}
	all, err := w.install(dir).Resume(ctx(t))
	if err != nil || len(all) != 1 {
		t.Fatalf("resume: %v", err)
	}
	ana = all[0]
	if _, _, err := tabletIn.LogIn(ctx(t), "ana", []byte(secret+"ana")); !errors.Is(err, reseal.ErrLogin) {
		t.Errorf("the old password: %v", err)
	}
	for _, c := range []struct {
		in     *reseal.Installation
		device identity.DeviceID
	}{{tabletIn, tablet.Device()}, {laptopIn, laptop.Device()}} {
		a := returns(t, c.in, "ana", other, c.device)
		if _, body := open(t, a, text(t, ben, "after it", "ana")); string(body) != "after it" {
			t.Errorf("got %q", body)
		}
	}
	// Nothing of it shows to contacts.
	again, err := ben.Contact(ctx(t), "ana")
	if err != nil || again.SafetyNumber != number.SafetyNumber || again.State != "known" {
		t.Errorf("%+v, %v", again, err)
	}
	// And once more, and a share is replaced by each login in between.
	if err := ana.ChangePassword(ctx(t), []byte(other), []byte(secret+"ana")); err != nil {
		t.Fatal(err)
	}
	leave(t, ana)
}

// Whatever step a change is killed at, exactly one password works, and with it
// every section opens.
func TestChangePasswordKilled(t *testing.T) {
	for _, done := range []bool{false, true} {
		t.Run(fmt.Sprintf("committed %v", done), func(t *testing.T) {
			w, g := gated(t)
			phone, ana := w.signUp("ana")
			laptopIn := w.phone()
			laptop, _ := w.logIn(laptopIn, "ana")
			leave(t, laptop)
			call, kill := context.WithCancel(ctx(t))
			defer kill()
			var tries atomic.Int32
			g.set(func(b *store.Batch, commit func() error) error {
				if !writes(b, "pw") {
					return commit()
				}
				tries.Add(1)
				if done {
					_ = commit()
				}
				kill()
				return store.ErrUnknown
			})
			err := ana.ChangePassword(call, []byte(secret+"ana"), []byte(other))
			g.set(nil)
			if err == nil || tries.Load() == 0 || !errors.Is(err, reseal.ErrUncertain) {
				t.Fatalf("after %d tries: %v", tries.Load(), err)
			}
			dir := phone.Dir()
			_ = phone.Close()
			right, wrong := secret+"ana", other
			if done {
				right, wrong = wrong, right
			}
			if _, _, err := laptopIn.LogIn(ctx(t), "ana", []byte(wrong)); !errors.Is(err, reseal.ErrLogin) {
				t.Errorf("both passwords work: %v", err)
			}
			returns(t, laptopIn, "ana", right, laptop.Device())
			in := w.install(dir)
			all, err := in.Resume(ctx(t))
			if err != nil || len(all) != 1 {
				t.Fatalf("resume: %v", err)
			}
			leave(t, all[0])
			returns(t, in, "ana", right, ana.Device())
		})
	}
}

// The answer is lost, and the client asks again: it happened once.
func TestChangePasswordRepeated(t *testing.T) {
	w, g := gated(t)
	_, ana := w.signUp("ana")
	var lost atomic.Int32
	g.set(func(b *store.Batch, commit func() error) error {
		err := commit()
		if writes(b, "pw") && lost.Add(1) <= 3 {
			return errors.Join(store.ErrUnknown, err)
		}
		return err
	})
	if err := ana.ChangePassword(ctx(t), []byte(secret+"ana"), []byte(other)); err != nil {
		t.Fatal(err)
	}
	g.set(nil)
	leave(t, ana)
}

// Two changes at once: one of them happens.
func TestChangePasswordTwice(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	laptopIn := w.phone()
	laptop, _ := w.logIn(laptopIn, "ana")
	third := w.phone()
	tablet, _ := w.logIn(third, "ana")
	leave(t, tablet)
	passwords := []string{other + " one", other + " two"}
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i, a := range []*reseal.Account{ana, laptop} {
		wg.Go(func() { errs[i] = a.ChangePassword(ctx(t), []byte(secret+"ana"), []byte(passwords[i])) })
	}
	wg.Wait()
	works := -1
	for i, err := range errs {
		if err == nil {
			works = i
		} else if !errors.Is(err, reseal.ErrLogin) && !errors.Is(err, reseal.ErrSessionEnded) {
			t.Errorf("change %d: %v", i, err)
		}
	}
	if works < 0 || (errs[0] == nil && errs[1] == nil) {
		t.Fatalf("not exactly one happened: %v", errs)
	}
	for _, wrong := range []string{passwords[1-works], secret + "ana"} {
		if _, _, err := third.LogIn(ctx(t), "ana", []byte(wrong)); !errors.Is(err, reseal.ErrLogin) {
			t.Errorf("another password works: %v", err)
		}
	}
	returns(t, third, "ana", passwords[works], tablet.Device())
}

// A login that a change overtakes, at each of its commits: it ends in an error
// or is the old device, and the section opens with the new password.
func TestChangePasswordAgainstLogin(t *testing.T) {
	for step := range 4 {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			w, g := gated(t)
			_, ana := w.signUp("ana")
			laptopIn := w.phone()
			laptop, _ := w.logIn(laptopIn, "ana")
			leave(t, laptop)
			var n atomic.Int32
			var reached atomic.Bool
			g.set(func(b *store.Batch, commit func() error) error {
				if int(n.Add(1)) == step+1 {
					reached.Store(true)
					g.set(nil)
					if err := ana.ChangePassword(ctx(t), []byte(secret+"ana"), []byte(other)); err != nil {
						t.Errorf("change: %v", err)
					}
				}
				return commit()
			})
			a, how, err := laptopIn.LogIn(ctx(t), "ana", []byte(secret+"ana"))
			g.set(nil)
			if !reached.Load() {
				t.Fatalf("the login made %d commits", n.Load())
			}
			if err == nil {
				// It was over before the change, or its session has ended by now.
				if how.NewDevice || how.SetAside || a.Device() != laptop.Device() {
					t.Errorf("%+v", how)
				}
				await(t, "the session has ended", func() bool { _, open := laptopIn.Account("ana"); return !open })
				await(t, "the session record has gone", func() bool { all, _ := laptopIn.LoggedIn(); return len(all) == 0 })
			}
			returns(t, laptopIn, "ana", other, laptop.Device())
			if d, err := ana.Devices(ctx(t)); err != nil || len(d) != 2 {
				t.Errorf("%d devices, %v", len(d), err)
			}
		})
	}
}

// The first login on a new device, overtaken before its device is published.
func TestChangePasswordAgainstNewDevice(t *testing.T) {
	w, g := gated(t)
	_, ana := w.signUp("ana")
	var once sync.Once
	g.set(func(b *store.Batch, commit func() error) error {
		if writes(b, "list") {
			once.Do(func() {
				g.set(nil)
				if err := ana.ChangePassword(ctx(t), []byte(secret+"ana"), []byte(other)); err != nil {
					t.Errorf("change: %v", err)
				}
			})
		}
		return commit()
	})
	in := w.phone()
	if _, _, err := in.LogIn(ctx(t), "ana", []byte(secret+"ana")); err == nil {
		t.Error("a login by the old password went on after the change")
	}
	g.set(nil)
	a, _, err := in.LogIn(ctx(t), "ana", []byte(other))
	if err != nil {
		t.Fatal(err)
	}
	if d, err := a.Devices(ctx(t)); err != nil || len(d) != 2 {
		t.Errorf("%d devices, %v", len(d), err)
	}
}
