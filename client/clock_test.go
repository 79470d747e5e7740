package client_test

import (
	"errors"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

const day = 24 * time.Hour

// erased tells whether a device has no key of a message any more.
func erased(d *world.Device) bool { return world.Told[client.Ended](d) > 0 }

func TestExpiryByTheServersTime(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, _ := pair(w)
		c := a.Content(true)
		m := a.SendContent(c, message.Keep, 2*time.Hour, bob)[0]
		w.Run()
		w.Readable(m, b1)
		w.Advance(2*time.Hour - time.Second)
		w.Readable(m, b1)
		w.Advance(time.Second)
		w.State(m, client.Expired, a, b1)
		if !erased(b1) || !erased(a) || len(a.Files) != 0 {
			t.Fatal("not erased although both clocks say so")
		}
		// A day later even the mark goes.
		w.Advance(day + time.Second)
		if n := b1.State.Names("end/"); len(n) != 0 || b1.Is(m) != "" {
			t.Fatal(n, b1.Is(m))
		}
	})
}

func TestAClockThatJumpsForwardHidesAndDoesNotErase(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		m := sent(w, a, message.Keep, bob)
		b1.Disconnect() // nobody confirms
		b1.Skew = 40 * day
		b1.Tick()
		w.State(m, client.Expired, b1)
		if _, err := b1.Engine.Opening(b1.Now(), m.ID()); err == nil || erased(b1) {
			t.Fatal("not hidden, or erased at once")
		}
		// Back again, and the jump is forgotten.
		b1.Skew = 0
		b1.Tick()
		w.Readable(m, b1)
		w.Advance(2 * time.Hour)
		b1.Skew = 40 * day
		b1.Tick()
		w.Advance(59 * time.Minute)
		b1.Skew = 0
		w.Readable(m, b1)
		// Two ticks an hour apart that both see it past erase it.
		b1.Skew = 40 * day
		w.Advance(time.Minute)
		if !erased(b1) {
			t.Fatal("kept although it was past for an hour")
		}
		w.Readable(m, b2)
	})
}

func TestClocksADayApart(t *testing.T) {
	for _, c := range []struct {
		name string
		skew time.Duration
		// after is how long from the start until it is erased.
		kept, after time.Duration
	}{
		{"agree within a day", 23 * time.Hour, 10*day - time.Second, 10 * day},
		{"ahead", 26 * time.Hour, 40*day - time.Second, 40 * day},
		{"behind", -26 * time.Hour, 41 * day, 41*day + 2*time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				_, bob, a, b1, _ := pair(w)
				m := a.SendContent(a.Content(false), message.Keep, 10*day, bob)[0]
				w.Run()
				w.Readable(m, b1)
				b1.Skew = c.skew
				w.Advance(c.kept)
				if erased(b1) || b1.Opens(m) {
					t.Fatal("erased, or still shown")
				}
				w.Advance(c.after - c.kept)
				if !erased(b1) {
					t.Fatal("not erased")
				}
			})
		})
	}
}

// What comes while the clock is ahead is hidden and there when it is right.
func TestNothingIsLostToAWrongClock(t *testing.T) {
	for name, skew := range map[string]time.Duration{"ahead": 45 * day, "behind": -45 * day} {
		t.Run(name, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				_, bob, a, b1, b2 := pair(w)
				b1.Stop()
				b1.Skew = skew
				b1.Start()
				w.Run()
				online := sent(w, a, message.Keep, bob)
				b1.Stop()
				offline := sent(w, a, message.Keep, bob)
				w.Advance(3 * day)
				b1.Start()
				w.Run()
				w.Advance(time.Minute)
				b1.Stop()
				b1.Skew = 0
				b1.Start()
				w.Run()
				w.Advance(10 * time.Second)
				w.Readable(online, b1, b2)
				w.Readable(offline, b1, b2)
				// And it can send, whatever it did meanwhile.
				w.Readable(sent(w, b1, message.Keep, a.Account), a)
			})
		})
	}
}

func TestASendWithAWrongClockIsRefused(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, _ := pair(w)
		a.Skew = 3 * time.Hour
		m := sent(w, a, message.Once, bob)
		var why error
		for _, n := range a.Notices {
			if n, ok := n.(client.NotSent); ok {
				why = n.Why
			}
		}
		var refused *client.RefusalError
		if !errors.As(why, &refused) || refused.Reason != resealv1.Reason_REASON_CLOCK {
			t.Fatalf("%v", why)
		}
		w.State(m, client.Refused, a)
		a.Skew = 0
		w.Readable(sent(w, a, message.Once, bob), b1)
	})
}

// A message that could not be sent for days is made anew, once.
func TestASendThatWaitedForDays(t *testing.T) {
	for _, fate := range []world.Fate{world.Drop, world.LoseAnswer} {
		world.Run(t, 1, func(w *world.World) {
			_, bob, a, b1, b2 := pair(w)
			w.Net = func(x *world.Exchange) world.Fate {
				if _, ok := x.Request.(*resealv1.SendRequest); ok {
					return fate
				}
				return world.Deliver
			}
			a.Send(message.Once, bob)
			w.Run()
			a.Stop()
			w.Advance(5 * day)
			w.Net = nil
			a.Start()
			w.Run()
			for _, d := range []*world.Device{b1, b2} {
				if n := len(d.State.Names("in/")); n != 1 {
					t.Fatalf("%s has %d messages", d.Name, n)
				}
			}
			if world.Told[client.Stored](a) != 1 || a.Engine.Unsecured() != 0 {
				t.Fatalf("%+v", a.Notices)
			}
		})
	}
}

func TestEpochs(t *testing.T) {
	newest := func(t *testing.T, d *world.Device) (n uint64) {
		t.Helper()
		_, certs, err := d.Engine.OwnKeys()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range certs {
			if c.Certificate.Device == d.ID {
				n = c.Certificate.Epoch
			}
		}
		return n
	}
	t.Run("a new one after 7 days, before a send", func(t *testing.T) {
		world.Run(t, 1, func(w *world.World) {
			_, bob, a, b1, _ := pair(w)
			a.Disconnect()
			w.Pass(7*day - time.Second)
			a.Connect()
			w.Run()
			if newest(t, a) != 1 {
				t.Fatal("too early")
			}
			a.Disconnect()
			w.Pass(time.Second)
			var order []string
			w.Net = func(x *world.Exchange) world.Fate {
				switch x.Request.(type) {
				case *resealv1.SendRequest:
					order = append(order, "send")
				case *resealv1.PublishEpochRequest:
					if x.Device == a {
						order = append(order, "publish")
					}
				}
				return world.Deliver
			}
			m := a.Send(message.Once, bob)
			a.Connect()
			w.Run()
			if newest(t, a) != 2 || len(order) != 2 || order[0] != "publish" {
				t.Fatal(newest(t, a), order)
			}
			w.Readable(m, b1)
		})
	})
	t.Run("a wrap to an epoch superseded for 6 days is stale", func(t *testing.T) {
		world.Run(t, 1, func(w *world.World) {
			_, bob, a, b1, b2 := pair(w)
			b2.Stop()
			// Ana does not hear of b1's second epoch.
			a.Disconnect()
			w.Stream = func(d *world.Device, ev *world.Event) []*world.Event {
				if d == a && ev.GetAccount() != nil {
					return nil
				}
				return []*world.Event{ev}
			}
			w.Advance(7 * day)
			if newest(t, b1) != 2 {
				t.Fatal(newest(t, b1))
			}
			w.Advance(6*day - 2*time.Hour)
			a.Connect()
			w.Readable(sent(w, a, message.Keep, bob), b1)
			if w.Counted("stale_sends") != 0 {
				t.Fatal("stale before its time")
			}
			a.Disconnect()
			w.Advance(3 * time.Hour)
			a.Connect()
			m := sent(w, a, message.Keep, bob)
			w.Readable(m, b1)
			if w.Counted("stale_sends") == 0 {
				t.Fatal("not stale")
			}
			if b1.Engine.Counters().Retries != 0 {
				t.Fatal("it needed a retry")
			}
		})
	})
	t.Run("the private half goes at a sync 7 days after", func(t *testing.T) {
		world.Run(t, 1, func(w *world.World) {
			_, _, a, _, _ := pair(w)
			w.Advance(7 * day)
			resync := func() int {
				a.Disconnect()
				a.Connect()
				w.Run()
				return len(a.State.Names("epoch/"))
			}
			if n := resync(); n != 2 {
				t.Fatal(n)
			}
			w.Pass(7*day - time.Second)
			// Without a complete sync nothing goes, however late.
			if a.Tick(); len(a.State.Names("epoch/")) < 2 {
				t.Fatal("gone without a sync")
			}
			a.Disconnect()
			w.Net = func(x *world.Exchange) world.Fate {
				if _, ok := x.Request.(*resealv1.ReadDayRequest); ok {
					return world.Drop
				}
				return world.Deliver
			}
			w.Pass(2 * time.Second)
			a.Connect()
			w.Run()
			if _, ok := a.State.Get("epoch/0000000000000001"); !ok {
				t.Fatal("gone before a complete sync")
			}
			w.Net = nil
			resync()
			if _, ok := a.State.Get("epoch/0000000000000001"); ok {
				t.Fatal("kept for ever")
			}
		})
	})
	t.Run("a publication whose outcome is unknown, or that waited for days", func(t *testing.T) {
		for _, fate := range []world.Fate{world.LoseAnswer, world.Drop} {
			for _, later := range []time.Duration{0, 3 * day} {
				world.Run(t, 1, func(w *world.World) {
					_, bob, a, b1, _ := pair(w)
					w.Net = func(x *world.Exchange) world.Fate {
						if _, ok := x.Request.(*resealv1.PublishEpochRequest); ok && x.Device == a {
							return fate
						}
						return world.Deliver
					}
					w.Advance(7 * day)
					a.Stop()
					w.Pass(later)
					w.Net = nil
					a.Start()
					w.Run()
					w.Advance(time.Second)
					if n := newest(t, a); n != 2 {
						t.Fatalf("fate %d, %v later: epoch %d", fate, later, n)
					}
					w.Readable(sent(w, a, message.Once, bob), b1)
				})
			}
		}
	})
	t.Run("a copy of the device took the number", func(t *testing.T) {
		world.Run(t, 1, func(w *world.World) {
			_, bob, a, b1, _ := pair(w)
			old := a.State.Clone()
			w.Advance(7 * day)
			a.Stop()
			a.State = old // a restored backup
			a.Start()
			w.Run()
			w.Advance(time.Second)
			if n := newest(t, a); n != 3 {
				t.Fatalf("epoch %d", n)
			}
			w.Readable(sent(w, a, message.Once, bob), b1)
			w.Readable(sent(w, b1, message.Once, a.Account), a)
		})
	})
	t.Run("unused for 90 days, it gets no wraps and asks", func(t *testing.T) {
		world.Run(t, 1, func(w *world.World) {
			_, bob, a, b1, b2 := pair(w)
			b2.Stop()
			for range 4 { // sessions that are in use live on
				w.Advance(23 * day)
			}
			m := sent(w, a, message.Keep, bob)
			if b2.Start(); !b2.Ended {
				t.Fatal("the session of an unused device lives")
			}
			b2.Login()
			w.Run()
			w.Advance(10 * time.Second)
			w.Readable(m, b1, b2)
			if b2.Engine.Counters().Retried != 1 {
				t.Fatal("no retry needed")
			}
		})
	})
}
