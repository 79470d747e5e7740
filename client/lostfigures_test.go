package client_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// Lost is what a device could not read until it expired, and nothing else.
func TestLost(t *testing.T) {
	const life = time.Hour
	for _, c := range []struct {
		name string
		p    message.Policy
		// after is done while b3 waits for the key.
		after func(t *testing.T, w *world.World, m *world.Message, a, b1, b3 *world.Device)
		want  uint64
	}{
		{"no key ever came", message.Keep, nil, 1},
		{"no key ever came, once", message.Once, nil, 1},
		{"over a restart", message.Keep, func(_ *testing.T, w *world.World, _ *world.Message, _, _, b3 *world.Device) {
			b3.Stop()
			b3.Start()
			w.Run()
		}, 1},
		{"readable and never read", message.Keep, func(_ *testing.T, w *world.World, _ *world.Message, a, _, _ *world.Device) {
			a.Start()
			w.Run()
		}, 0},
		{"viewed on another device", message.Once, func(t *testing.T, w *world.World, m *world.Message, _, b1, _ *world.Device) {
			w.Net = func(x *world.Exchange) world.Fate { // the view comes before the answer
				if _, ok := x.Request.(*resealv1.AddWrapsRequest); ok {
					return world.Drop
				}
				return world.Deliver
			}
			b1.Start()
			w.Run()
			must(t, b1.View(m))
		}, 0},
		{"taken back", message.Keep, func(t *testing.T, w *world.World, m *world.Message, a, _, _ *world.Device) {
			w.Net = func(x *world.Exchange) world.Fate {
				if _, ok := x.Request.(*resealv1.AddWrapsRequest); ok {
					return world.Drop
				}
				return world.Deliver
			}
			a.Start()
			w.Run()
			must(t, a.Do(client.Unsend{ID: m.ID()}))
			w.Run()
		}, 0},
		{"blocked", message.Keep, func(t *testing.T, _ *world.World, _ *world.Message, a, _, b3 *world.Device) {
			must(t, b3.Do(client.ChangeContact{Account: a.Account.ID, Change: client.Block}))
		}, 0},
		{"the ciphertext is not to be had", message.Keep, func(t *testing.T, w *world.World, m *world.Message, a, _, b3 *world.Device) {
			a.Start()
			w.Run()
			must(t, b3.Do(client.Unreadable{ID: m.ID()}))
		}, 1},
		{"the ciphertext is gone after it was read", message.Keep, func(t *testing.T, w *world.World, m *world.Message, a, _, b3 *world.Device) {
			a.Start()
			w.Run()
			must(t, b3.View(m))
			must(t, b3.Do(client.Unreadable{ID: m.ID()}))
		}, 0},
		{"the ciphertext was late", message.Keep, func(t *testing.T, w *world.World, m *world.Message, a, _, b3 *world.Device) {
			a.Start()
			w.Run()
			must(t, b3.Do(client.Unreadable{ID: m.ID()}))
			must(t, b3.Do(client.Downloaded{ID: m.ID(), File: "f"}))
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				m, a, b1, _, b3 := waitsFor(w, c.p, life)
				if c.after != nil {
					c.after(t, w, m, a, b1, b3)
				}
				w.Advance(life - time.Second)
				check(t, b3, figure{"lost before the expiry", b3.Engine.Counters().Lost, 0})
				w.Advance(2 * time.Second)
				w.Advance(time.Minute)
				check(t, b3, figure{"lost", b3.Engine.Counters().Lost, c.want})
				w.Advance(2 * day) // once
				check(t, b3, figure{"lost in the end", b3.Engine.Counters().Lost, c.want})
				for _, d := range []*world.Device{a, b1} {
					if d.Engine != nil {
						check(t, d, figure{"lost by somebody else", d.Engine.Counters().Lost, 0})
					}
				}
			})
		})
	}
}

// A copy of what another device of the account sent is in no figure, with a key
// and without.
func TestCopiesAreInNoFigure(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob, a, _, _ := pair(w)
		a2, a3 := ana.Device(), ana.Device()
		strip := func(m *resealv1.Pending) {
			if m.GetCopy() {
				m.Wraps = nil
			}
		}
		w.Stream = func(d *world.Device, ev *world.Event) []*world.Event {
			if d == a3 {
				strip(ev.GetMessage())
			}
			return []*world.Event{ev}
		}
		w.Answer = func(x *world.Exchange) {
			if day, ok := x.Response.(*resealv1.ReadDayResponse); ok && x.Device == a3 {
				for _, m := range day.Messages {
					strip(m)
				}
			}
		}
		m := a.SendContent(a.Content(false), message.Keep, 2*day, bob)[0]
		w.Run()
		if m.ID(); a2.Is(m) != client.Sent || len(a3.State.Names("in/")) != 1 {
			t.Fatalf("the copies are %q and %q", a2.Is(m), a3.State.Names("in/"))
		}
		for _, d := range []*world.Device{a2, a3} {
			w.Advance(time.Minute)
			c := d.Engine.Counters()
			check(t, d, figure{"received", c.Received, 0}, figure{"retries", c.Retries, 0}, figure{"opened", c.Opened, 0})
		}
		w.Advance(2*day + time.Hour)
		w.Advance(2 * day)
		check(t, a2, figure{"lost", a2.Engine.Counters().Lost, 0})
		check(t, a3, figure{"lost", a3.Engine.Counters().Lost, 0})
	})
}

// Figures outlast the process, and a crash at any step neither loses nor
// doubles what they count.
func TestFiguresOutlastEveryCrash(t *testing.T) {
	type total struct {
		sends, received, opened, retries, answered, lost, times uint64
	}
	tell := func(w *world.World) (all []total) {
		m, a, b1, _, b3 := waitsFor(w, message.Keep, 3*day)
		w.Advance(10 * time.Second)
		a.Start()
		w.Run()
		w.Advance(time.Minute)
		a.Disconnect()
		a.Connect()
		w.Run()
		w.Readable(m, b3)
		b1.Start()
		w.Run()
		gone := b3.Send(message.Keep, b3.Account) // for nobody who is there
		w.Run()
		gone.ID()
		b3.Stop()
		b1.Stop()
		b4 := b3.Account.NewDevice()
		must(t, b4.Join())
		b4.Start()
		w.Run()
		w.Advance(31 * day)
		w.Advance(time.Minute)
		w.Crash = nil
		for _, d := range []*world.Device{a, b1, b3, b4} {
			d.Stop()
			d.Start()
			w.Run()
			c := d.Engine.Counters()
			once, retried := d.Engine.Times()
			all = append(all, total{c.Sends, c.Received, c.Opened, c.Retries, c.Retried, c.Lost, once.Count() + retried.Count()})
		}
		return all
	}
	var want []total
	world.Run(t, 1, func(w *world.World) { want = tell(w) })
	if len(want) != 4 || want[0].sends != 1 || want[2].answered != 1 || want[3].lost != 1 {
		t.Fatalf("without a crash: %+v", want)
	}
	for _, death := range []world.Death{world.BeforeItIs, world.AfterItIs} {
		for offset := range every {
			world.Run(t, 1, func(w *world.World) {
				w.Crash = func(n int, _ *world.Device) world.Death {
					if n%every == offset {
						return death
					}
					return world.Lives
				}
				if got := tell(w); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("death %v at steps %dn+%d:\n%+v, want\n%+v", death, every, offset, got, want)
				}
			})
		}
	}
}

// What came to nothing makes no write of its own, and is stored all the same.
func TestBadThingsCauseNoWrites(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, _, _, b1, _ := pair(w)
		before := b1.State.Clone()
		for range 5 {
			must(t, b1.Step(client.Streamed{Event: &world.Event{Event: &resealv1.EventsResponse_Receipt{Receipt: []byte("no receipt")}}}))
		}
		if !b1.State.Equal(before) {
			t.Error("a bad receipt is a write")
		}
		check(t, b1, figure{"bad receipts", b1.Engine.Counters().BadReceipts, 5})
		b1.Tick()
		b1.Stop()
		b1.Start()
		check(t, b1, figure{"bad receipts after a restart", b1.Engine.Counters().BadReceipts, 5})
		must(t, b1.Step(client.Streamed{Event: &world.Event{Event: &resealv1.EventsResponse_Receipt{Receipt: []byte("no receipt")}}}))
		b1.Disconnect() // as when the app is closed
		b1.Stop()
		b1.Start()
		check(t, b1, figure{"bad receipts after a farewell", b1.Engine.Counters().BadReceipts, 6})
	})
}

// The figures name nobody, and their record does not grow with the years.
func TestTheRecordOfFiguresIsSmallAndNamesNobody(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob, a, b1, b2 := pair(w)
		m, _ := sent(w, a, message.Keep, bob), sent(w, b1, message.Once, ana)
		record, ok := b2.State.Get("counters")
		if !ok || len(record) > 200 {
			t.Fatalf("%d bytes", len(record))
		}
		id := m.ID()
		for _, d := range []*world.Device{a, b1, b2} {
			record, _ := d.State.Get("counters")
			for _, secret := range [][]byte{id[:8], ana.ID[:], bob.ID[:], a.ID[:], b1.ID[:], b2.ID[:], []byte("ana"), []byte("bob")} {
				if bytes.Contains(record, secret) {
					t.Errorf("%s: %x is in the record", d.Name, secret)
				}
			}
		}
		if n := client.MaxFigures(); n > 16<<10 {
			t.Errorf("the record can take %d bytes", n)
		}
		// One that cannot be read is begun anew; the device works.
		b2.State.Commit(client.Batch{{Name: "counters", Value: []byte{0xff}}})
		b2.Stop()
		b2.Start()
		w.Run()
		w.Readable(m, b2)
		if c := b2.Engine.Counters(); c != (client.Counters{}) {
			t.Errorf("%+v", c)
		}
	})
}
