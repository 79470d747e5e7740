package client_test

import (
	"testing"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// figure is one counter of a device, and what it is to be.
type figure struct {
	name string
	got  uint64
	want uint64
}

func check(t *testing.T, d *world.Device, all ...figure) {
	t.Helper()
	for _, f := range all {
		if f.got != f.want {
			t.Errorf("%s counts %d %s, want %d", d.Name, f.got, f.name, f.want)
		}
	}
}

// A message counts as sent once the server has it, however often it was asked.
func TestSendsAreMessagesThatTheServerHas(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob, a, _, _ := pair(w)
		carol := w.Account("carol")
		carol.Device()
		a.Meet(carol)
		tries := 0
		w.Net = func(x *world.Exchange) world.Fate {
			if _, ok := x.Request.(*resealv1.SendRequest); !ok {
				return world.Deliver
			}
			if tries++; tries < 3 {
				return world.LoseAnswer
			}
			return world.Drop
		}
		a.SendContent(a.Content(true), message.Keep, message.MaxLife, bob, carol)
		if w.Run(); tries < 3 {
			t.Fatalf("%d tries", tries)
		}
		check(t, a, figure{"sends before an answer", a.Engine.Counters().Sends, 0})
		w.Net = func(x *world.Exchange) world.Fate { return world.Twice }
		a.Disconnect()
		a.Connect()
		w.Run()
		check(t, a, figure{"sends to two", a.Engine.Counters().Sends, 2})
		w.Net = func(x *world.Exchange) world.Fate { return world.Deliver }
		w.Answer = func(x *world.Exchange) {
			if _, ok := x.Request.(*resealv1.SendRequest); ok {
				x.Response, x.Err = nil, refusal.Limit("wraps")
			}
		}
		a.Send(message.Keep, bob)
		w.Run()
		if w.Answer = nil; world.Told[client.NotSent](a) != 1 {
			t.Fatal("it is not refused")
		}
		check(t, a, figure{"sends after a refusal", a.Engine.Counters().Sends, 2})
		// What the server has forgotten is offered again, and is no other send.
		taken := 0
		w.Answer = func(x *world.Exchange) {
			switch q := x.Request.(type) {
			case *resealv1.AddWrapsRequest:
				if len(q.Wraps) == 0 {
					x.Response, x.Err = nil, refusal.New(resealv1.Reason_REASON_UNKNOWN_MESSAGE)
				}
			case *resealv1.SendRequest:
				taken++
				x.Response, x.Err = &resealv1.SendResponse{Stale: []*resealv1.AccountKeys{{AccountId: bob.ID[:], List: bob.List().Bytes()}}}, nil
			}
		}
		a.Disconnect()
		w.Pass(time.Second)
		a.Connect()
		w.Run()
		w.Answer = nil
		if c := a.Engine.Counters(); c.Reoffered == 0 || taken == 0 || c.Sends != 2 || c.Stale != 0 {
			t.Fatalf("%d offered again, %d taken, %d sends, %d stale", c.Reoffered, taken, c.Sends, c.Stale)
		}
		// To itself is a send, too; the other devices' copies are none.
		a2 := ana.Device()
		sent(w, a, message.Keep, ana)
		check(t, a, figure{"sends", a.Engine.Counters().Sends, 3}, figure{"received", a.Engine.Counters().Received, 0})
		check(t, a2, figure{"sends", a2.Engine.Counters().Sends, 0}, figure{"received", a2.Engine.Counters().Received, 1})
	})
}

// A receipt shows that the server has a message, where its answer was lost.
func TestASendThatAReceiptShows(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, _ := pair(w)
		w.Net = func(x *world.Exchange) world.Fate {
			if _, ok := x.Request.(*resealv1.SendRequest); ok {
				return world.LoseAnswer
			}
			return world.Deliver
		}
		m := a.Send(message.Once, bob)
		w.Run()
		must(t, b1.View(m))
		w.State(m, client.IsViewed, a)
		check(t, a, figure{"sends", a.Engine.Counters().Sends, 1})
		w.Net = nil
		a.Disconnect()
		a.Connect()
		w.Run()
		check(t, a, figure{"sends in the end", a.Engine.Counters().Sends, 1})
	})
}

// A send is stale once, however many devices come one after the other, and not
// for those that came after its second look.
func TestStaleSendsAreThoseOfTheSecondLook(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		sent(w, a, message.Keep, bob)
		check(t, a, figure{"stale sends", a.Engine.Counters().Stale, 0})
		for n := range 2 { // two looks that find somebody new
			w.Net = func(x *world.Exchange) world.Fate {
				switch q := x.Request.(type) {
				case *resealv1.SendRequest:
					must(t, bob.NewDevice().Join())
				case *resealv1.AddWrapsRequest:
					if x.Device == a && len(q.Wraps) > 0 && n == 1 {
						w.Net = nil
						must(t, bob.NewDevice().Join())
					}
				}
				return world.Deliver
			}
			sent(w, a, message.Keep, bob)
			w.Net = nil
			check(t, a, figure{"stale sends", a.Engine.Counters().Stale, uint64(n + 1)})
		}
		// A device that comes later asks; the answer finds yet another one.
		b1.Stop()
		b2.Stop()
		w.Net = func(x *world.Exchange) world.Fate {
			if q, ok := x.Request.(*resealv1.AddWrapsRequest); ok && x.Device == a && len(q.Wraps) > 0 {
				w.Net = nil
				must(t, bob.NewDevice().Join())
			}
			return world.Deliver
		}
		bob.Device()
		w.Run()
		check(t, a, figure{"stale sends", a.Engine.Counters().Stale, 2}, figure{"sends", a.Engine.Counters().Sends, 3})
	})
}

// waitsFor is a message that a device of bob's waits for: everybody who has its
// key is away. It is asked for.
func waitsFor(w *world.World, p message.Policy, life time.Duration) (m *world.Message, a, b1, b2, b3 *world.Device) {
	_, bob, a, b1, b2 := pair(w)
	m = a.SendContent(a.Content(true), p, life, bob)[0]
	w.Run()
	m.ID()
	for _, d := range []*world.Device{a, b1, b2} {
		d.Stop()
	}
	return m, a, b1, b2, bob.Device()
}

// A message needs one retry, however often it is asked for, and none where its
// keys are late only.
func TestRetriesNeededCountMessages(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, a, b1, _, b3 := waitsFor(w, message.Keep, message.MaxLife)
		n := asks(w)
		w.Advance(10 * time.Second)
		w.Advance(time.Minute)
		b3.Stop()
		b3.Start()
		w.Run()
		w.Advance(8 * 24 * time.Hour) // another epoch: other requests
		if *n < 6 {
			t.Fatalf("asked %d times", *n)
		}
		c := b3.Engine.Counters()
		check(t, b3, figure{"received", c.Received, 1}, figure{"retries", c.Retries, 1}, figure{"answered", c.Retried, 0}, figure{"opened", c.Opened, 0})
		a.Start()
		b1.Start()
		w.Run()
		w.Advance(10 * time.Second)
		c = b3.Engine.Counters()
		check(t, b3, figure{"answered", c.Retried, 1}, figure{"by somebody", c.ByOwn + c.BySender + c.BySenderOther, 1}, figure{"opened", c.Opened, 1})
		c = b1.Engine.Counters()
		check(t, b1, figure{"retries with a wrap at once", c.Retries, 0}, figure{"received", c.Received, 1}, figure{"opened", c.Opened, 1})
	})
}

// A stranger's first message waits for his keys, not for a retry.
func TestKeysThatAreLateAreNoRetry(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		bob := w.Account("bob")
		b := bob.Device()
		carol := w.Account("carol")
		c := carol.Device()
		w.Net = func(x *world.Exchange) world.Fate {
			if _, ok := x.Request.(*resealv1.GetAccountsRequest); ok && x.Device == b {
				return world.Drop
			}
			return world.Deliver
		}
		m := sent(w, c, message.Keep, bob)
		w.Advance(time.Minute)
		w.State(m, client.Waiting, b)
		check(t, b, figure{"retries", b.Engine.Counters().Retries, 0})
		w.Net = nil
		b.Disconnect()
		b.Connect()
		w.Run()
		w.Readable(m, b)
		check(t, b, figure{"retries", b.Engine.Counters().Retries, 0}, figure{"opened", b.Engine.Counters().Opened, 1})
		if once, retried := b.Engine.Times(); once.Count() != 1 || once.Max() < time.Minute || retried.Count() != 0 {
			t.Errorf("%v of %d without a retry, %d with", once.Max(), once.Count(), retried.Count())
		}
	})
}

// The time to readable begins when the device hears of the message, or is back.
func TestTimeToReadable(t *testing.T) {
	for _, c := range []struct {
		name string
		// away is how long the device is away when the message comes, and login
		// how long its user waits before it is connected.
		away, login time.Duration
		want        time.Duration
	}{
		{"connected", 0, 0, 0},
		{"back after an hour", time.Hour, 0, 0},
		{"logged in after an hour", time.Hour, 3 * time.Second, 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				_, bob, a, b1, _ := pair(w)
				if c.away > 0 {
					b1.Stop()
				}
				m := sent(w, a, message.Keep, bob)
				if c.away > 0 {
					w.Advance(c.away)
					b1.Start()
					must(t, b1.Step(client.Connected{Since: b1.Now().Add(-c.login)}))
					w.Run()
				}
				w.Readable(m, b1)
				if once, retried := b1.Engine.Times(); once.Count() != 1 || once.Max() != c.want || retried.Count() != 0 {
					t.Errorf("%v, of %d without a retry and %d with", once.Max(), once.Count(), retried.Count())
				}
			})
		})
	}
	t.Run("live messages after a login", func(t *testing.T) {
		world.Run(t, 1, func(w *world.World) {
			_, bob, a, b1, _ := pair(w)
			b1.Start() // its sync comes with the connection
			must(t, b1.Step(client.Connected{Since: b1.Now().Add(-time.Minute)}))
			w.Run()
			w.Readable(sent(w, a, message.Keep, bob), b1)
			if once, _ := b1.Engine.Times(); once.Count() != 1 || once.Max() != 0 {
				t.Errorf("%v", once.Max())
			}
		})
	})
	t.Run("a retry, over a restart", func(t *testing.T) {
		world.Run(t, 1, func(w *world.World) {
			m, a, _, _, b3 := waitsFor(w, message.Keep, message.MaxLife)
			w.Advance(20 * time.Second)
			b3.Stop()
			w.Pass(time.Hour)
			b3.Start()
			w.Run()
			a.Start()
			w.Run()
			w.Readable(m, b3)
			once, retried := b3.Engine.Times()
			if once.Count() != 0 || retried.Count() != 1 || retried.Max() != time.Hour+20*time.Second {
				t.Errorf("%d without a retry; %v of %d with", once.Count(), retried.Max(), retried.Count())
			}
		})
	})
}

// What waits for its user is in no time.
func TestTimesLeaveOutWhatWaitsForItsUser(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		m, a, _, _, b3 := waitsFor(w, message.Keep, message.MaxLife)
		must(t, b3.Do(client.ChangeContact{Account: a.Account.ID, Change: client.Block}))
		a.Start()
		w.Run()
		w.State(m, client.Held, b3)
		w.Advance(time.Hour)
		must(t, b3.Do(client.ChangeContact{Account: a.Account.ID, Change: client.Unblock}))
		w.Run()
		w.Advance(time.Minute)
		w.Readable(m, b3)
		once, retried := b3.Engine.Times()
		check(t, b3, figure{"opened", b3.Engine.Counters().Opened, 1}, figure{"times", once.Count() + retried.Count(), 0})
	})
}

// So is what came with its key from somebody who is blocked on this device.
func TestTimesLeaveOutWhatABlockHeldBack(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob, a, b1, _ := pair(w)
		w.Net = func(x *world.Exchange) world.Fate {
			if _, ok := x.Request.(*resealv1.SetBlockedRequest); ok {
				return world.Drop // the server has not heard of it yet
			}
			return world.Deliver
		}
		must(t, b1.Do(client.ChangeContact{Account: ana.ID, Change: client.Block}))
		var came *world.Event
		w.Stream = func(d *world.Device, ev *world.Event) []*world.Event {
			if d == b1 && ev.GetMessage() != nil {
				came = ev
				return nil
			}
			return []*world.Event{ev}
		}
		m := sent(w, a, message.Keep, bob)
		b1.Disconnect()
		must(t, b1.Step(client.Streamed{Event: came})) // the last thing that it hears
		w.State(m, client.Held, b1)
		w.Pass(time.Hour)
		must(t, b1.Do(client.ChangeContact{Account: ana.ID, Change: client.Unblock}))
		w.Readable(m, b1)
		c := b1.Engine.Counters()
		once, retried := b1.Engine.Times()
		check(t, b1, figure{"opened", c.Opened, 1}, figure{"retries", c.Retries, 0}, figure{"times", once.Count() + retried.Count(), 0})
	})
}
