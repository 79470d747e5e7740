package reseal_test

import (
	"testing"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
)

// back waits until everybody who is logged in has a connection to the server
// that has come up. A client whose connections were short takes up to a minute
// between two tries, however short the server was away; an app that knows better
// says so, as here.
func (w *world) back() {
	w.t.Helper()
	w.mu.Lock()
	homes := w.homes
	w.mu.Unlock()
	for _, in := range homes {
		all, err := in.LoggedIn()
		if err != nil {
			continue // closed meanwhile
		}
		for _, l := range all {
			if a, ok := in.Account(l.Handle); ok {
				await(w.t, l.Handle+" is connected again", func() bool {
					if _, open := in.Account(l.Handle); !open || w.fresh(a) {
						return true
					}
					a.Wake()
					return false
				})
			}
		}
	}
}

// fresh tells whether an account is connected to the server that runs now, and
// has not only missed that the one before is gone: it knows that one's clock.
func (w *world) fresh(a *reseal.Account) bool {
	off, known := a.Skew()
	return a.Connected() && known && (off-time.Duration(w.offset.Load())).Abs() < time.Hour
}

// Clocks that jump by days, at everybody and with a restart of the server: how
// long is waited between two tries is no matter of the clock, nor is whether a
// session or a connection is good. All are online again and go on.
func TestClockJumps(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	phone, ben := w.signUp("ben")
	device := ben.Device()
	const day = 24 * time.Hour
	for _, by := range []time.Duration{8 * day, -8 * day, 20 * day, day, day, day, day} {
		awaitState(t, ben, text(t, ana, "before "+by.String(), "ben"), client.IsReady)
		w.pass(by)
		for _, a := range []*reseal.Account{ana, ben} {
			await(t, a.Handle()+" is online", func() bool {
				a.Wake()
				return w.fresh(a) && a.Online(ctx(t)) == nil
			})
		}
	}
	awaitState(t, ben, text(t, ana, "after all", "ben"), client.IsReady)
	awaitState(t, ana, text(t, ben, "and back", "ana"), client.IsReady)
	leave(t, ben)
	returns(t, phone, "ben", secret+"ben", device)
}

// Wake ends every pause: that of the connection, and the one after an event
// stream that did not last, which grew to ten seconds with each short one.
func TestWakeEndsThePause(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	awaitState(t, ben, text(t, ana, "before", "ben"), client.IsReady)
	reseal.HoldPauses(ben)
	lost := watch(t, ben, reseal.KindDisconnected)
	w.down()
	await(t, "ben notices", func() bool { return len(lost()) > 0 })
	w.up()
	w.back()
	await(t, "ben is online", func() bool {
		ben.Wake()
		return ben.Online(ctx(t)) == nil
	})
	await(t, "ana is online", func() bool { return ana.Online(ctx(t)) == nil })
	awaitState(t, ben, text(t, ana, "after", "ben"), client.IsReady)
}
