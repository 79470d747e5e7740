package reseal_test

import (
	"errors"
	"testing"

	"github.com/reseal/reseal"
)

// A removed device says so at its next contact: one that runs by an event, one
// that was away when it comes back. What is sealed on it opens with no password.
func TestRemovedDevicesSaySo(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	id := text(t, ana, "for ben", "ben")
	here := w.phone()
	running, _ := w.logIn(here, "ben")
	dir := t.TempDir()
	in := w.install(dir)
	away, _ := w.logIn(in, "ben")
	device := away.Device()
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	events := running.Events(ctx(t))
	for _, d := range []*reseal.Account{running, away} {
		if err := ben.RemoveDevice(ctx(t), d.Device(), []byte(secret+"ben")); err != nil {
			t.Fatal(err)
		}
	}
	removed, ended := false, error(nil)
	for e := range events {
		removed = removed || e.Kind == reseal.KindRemoved
		if e.Kind == reseal.KindSessionEnded {
			ended = e.Err
			break
		}
	}
	if !removed || !errors.Is(ended, reseal.ErrRemoved) || !errors.Is(ended, reseal.ErrSessionEnded) {
		t.Errorf("running: told of the removal: %v, of the end: %v", removed, ended)
	}
	// A call that is repeated until its answer is definite ends with the session:
	// no connection comes again.
	if err := running.CancelReset(ctx(t)); !errors.Is(err, reseal.ErrClosed) && !errors.Is(err, reseal.ErrSessionEnded) {
		t.Errorf("a call after the end: %v", err)
	}
	in = w.install(dir)
	if _, err := in.Resume(ctx(t)); !errors.Is(err, reseal.ErrRemoved) || !errors.Is(err, reseal.ErrSessionEnded) {
		t.Errorf("away: %v", err)
	}
	// Both installations keep why, until somebody logs in or out there.
	for name, at := range map[string]*reseal.Installation{"running": here, "away": in} {
		await(t, name+" has noted it", func() bool {
			return errors.Is(at.Ended(), reseal.ErrRemoved) && errors.Is(at.Ended(), reseal.ErrSessionEnded)
		})
	}
	again, how, err := in.LogIn(ctx(t), "ben", []byte(secret+"ben"))
	if err != nil || !how.NewDevice || !how.SetAside || again.Device() == device {
		t.Errorf("login: %+v, %v", how, err)
	}
	if err := in.Ended(); err != nil {
		t.Errorf("after a login: %v", err)
	}
	if err := here.Forget("ben"); !errors.Is(err, reseal.ErrNotLoggedIn) || here.Ended() != nil {
		t.Errorf("after a logout of what is no more: %v, %v", err, here.Ended())
	}
	// An ended session that is no removal is told as such.
	if err := again.Online(ctx(t)); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	all, err := ben.Devices(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		for _, s := range d.Sessions {
			if d.ID == again.Device() {
				if err := ben.EndSession(ctx(t), s.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if _, err := w.install(dir).Resume(ctx(t)); errors.Is(err, reseal.ErrRemoved) || !errors.Is(err, reseal.ErrSessionEnded) {
		t.Errorf("ended: %v", err)
	}
	if _, body := open(t, ben, id); string(body) != "for ben" {
		t.Errorf("got %q", body)
	}
}
