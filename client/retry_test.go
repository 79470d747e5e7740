package client_test

import (
	"slices"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/retry"
)

// asks counts the retry requests that are handed to the server.
func asks(w *world.World) *int {
	n := new(int)
	w.Net = func(x *world.Exchange) world.Fate {
		if q, ok := x.Request.(*resealv1.AskRetryRequest); ok {
			*n += len(q.Requests)
		}
		return world.Deliver
	}
	return n
}

func TestTwelveHopsWhileAMessageIsPending(t *testing.T) {
	world.Run(t, 3, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		m := sent(w, a, message.Keep, bob)
		w.Readable(m, b1, b2)
		b1.Stop()
		b2.Stop()
		lost, garbled := 0, 0
		w.Net = func(x *world.Exchange) world.Fate {
			if _, ok := x.Request.(*resealv1.AddWrapsRequest); ok && lost == 0 {
				lost++
				return world.Drop
			}
			return world.Deliver
		}
		w.Stream = func(_ *world.Device, ev *world.Event) []*world.Event {
			if n := ev.GetWraps(); n != nil && garbled == 0 {
				garbled++
				for _, b := range n.Wraps {
					b[len(b)-1] ^= 1
				}
			}
			return []*world.Event{ev}
		}
		var last *world.Device
		for hop := range 12 {
			d := bob.Device()
			w.Advance(10 * time.Second)
			w.Advance(time.Minute)
			w.Readable(m, d)
			if hop%3 == 2 { // some are removed, most just lie there
				bob.Remove(last)
				w.Run()
			}
			d.Stop()
			last = d
		}
		if lost != 1 || garbled != 1 {
			t.Fatal("nothing was lost or garbled")
		}
		if n := len(bob.List().List.Devices); n > identity.MaxDevices {
			t.Fatalf("%d devices", n)
		}
		last.Start()
		w.Run()
		w.Readable(m, last)
	})
}

func TestKeepIsReadByADeviceThatJoinedLater(t *testing.T) {
	for name, online := range map[string]func(a1, a2, b1 *world.Device) *world.Device{
		"own device":          func(_, _, b1 *world.Device) *world.Device { return b1 },
		"sender":              func(a1, _, _ *world.Device) *world.Device { return a1 },
		"sender other device": func(_, a2, _ *world.Device) *world.Device { return a2 },
	} {
		t.Run(name, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				ana, bob, a1, b1, b2 := pair(w)
				a2 := ana.Device()
				m := sent(w, a1, message.Keep, bob)
				if err := b1.View(m); err != nil {
					t.Fatal(err)
				}
				for _, d := range []*world.Device{a1, a2, b1, b2} {
					d.Stop()
				}
				w.Advance(20 * 24 * time.Hour)
				b3 := bob.Device()
				w.State(m, client.Waiting, b3)
				if got := w.Orphans(); len(got) != 0 {
					t.Fatal(got)
				}
				holder := online(a1, a2, b1)
				holder.Start()
				w.Run()
				w.Readable(m, b3)
				c := b3.Engine.Counters()
				if c.Retries != 1 || c.Retried != 1 || c.ByOwn+c.BySender+c.BySenderOther != 1 {
					t.Fatalf("%+v", c)
				}
				if by := map[*world.Device]uint64{a1: c.BySender, a2: c.BySenderOther, b1: c.ByOwn}; by[holder] != 1 {
					t.Fatalf("%+v", c)
				}
				// The request is withdrawn everywhere.
				if names := b3.State.Names("ask/"); len(names) > 0 || w.Counted("retry_closed") == 0 {
					t.Fatal("the request stays open", names)
				}
				if err := b3.View(m); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestAskingIsRepeated(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		m := sent(w, a, message.Keep, bob)
		a.Stop()
		b1.Stop()
		b2.Stop()
		n := asks(w)
		b3 := bob.Device()
		for i, c := range []struct {
			after time.Duration
			want  int
		}{{0, 2}, {9 * time.Second, 2}, {time.Second, 4}, {49 * time.Second, 4}, {time.Second, 6}, {time.Hour, 6}} {
			w.Advance(c.after)
			if *n != c.want {
				t.Fatalf("row %d: asked %d times, want %d", i, *n, c.want)
			}
		}
		before := b3.State.Names("ask/")
		b3.Disconnect()
		b3.Connect()
		w.Run()
		if *n != 8 || !slices.Equal(before, b3.State.Names("ask/")) {
			t.Fatalf("asked %d times after a sync", *n)
		}
		b3.Stop() // a restart is a sync, too
		b3.Start()
		w.Run()
		if *n != 10 {
			t.Fatalf("asked %d times after a restart", *n)
		}
		a.Start()
		w.Run()
		w.Readable(m, b3)
		b3.Disconnect()
		b3.Connect()
		w.Run()
		if *n != 10 {
			t.Fatal("asked for what is there")
		}
	})
}

func TestManyAreDealtOut(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob, a1, b1, b2 := pair(w)
		a2 := ana.Device()
		var all []*world.Message
		for range retry.DealAbove + 6 {
			all = append(all, a1.Send(message.Keep, bob))
		}
		w.Run()
		b1.Stop()
		b2.Stop()
		b3 := bob.Device()
		for _, m := range all {
			w.Readable(m, b3)
		}
		n1, n2 := a1.Engine.Counters().Answers, a2.Engine.Counters().Answers
		if n1 != 35 || n2 != 35 {
			t.Fatalf("dealt out as %d and %d", n1, n2)
		}
		// A dealt part that is not answered comes with the repeat, to all.
		a2.Stop()
		b3.Stop()
		b4 := bob.Device()
		w.Advance(10 * time.Second)
		for _, m := range all {
			w.Readable(m, b4)
		}
	})
}

func TestAnswersAreTheSameBytesAgain(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		m := sent(w, a, message.Keep, bob)
		b1.Stop()
		b2.Stop()
		var answers []string
		w.Net = func(x *world.Exchange) world.Fate {
			if q, ok := x.Request.(*resealv1.AddWrapsRequest); ok && len(q.Wraps) > 0 {
				answers = append(answers, string(q.Wraps[0]))
				if len(answers) < 4 {
					return world.Drop
				}
			}
			return world.Deliver
		}
		b3 := bob.Device()
		a.Stop() // and the answer, stored before it was sent, goes out again
		a.Start()
		w.Run()
		w.Advance(10 * time.Second)
		w.Readable(m, b3)
		if len(answers) < 4 || len(slices.Compact(answers)) != 1 {
			t.Fatalf("%d answers, not all the same", len(answers))
		}
	})
}

// A garbage answer leaves the request open, and nothing is shown for it.
func TestNoReadyWhileAnswersAreGarbage(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		m := sent(w, a, message.Keep, bob)
		b1.Stop()
		b2.Stop()
		garble := true
		w.Stream = func(d *world.Device, ev *world.Event) []*world.Event {
			if n := ev.GetWraps(); n != nil && garble {
				n.Wraps = [][]byte{make([]byte, message.WrapSize), n.Wraps[0][:100], append([]byte(nil), n.Wraps[0]...)}
				n.Wraps[2][1600] ^= 1
			}
			return []*world.Event{ev}
		}
		b3 := bob.Device()
		w.Advance(10 * time.Second)
		w.State(m, client.Waiting, b3)
		if c := b3.Engine.Counters(); c.BadWraps < 3 || c.Opened != 0 || len(b3.State.Names("ask/")) == 0 {
			t.Fatalf("%+v", c)
		}
		garble = false
		w.Advance(time.Minute)
		w.Readable(m, b3)
	})
}
