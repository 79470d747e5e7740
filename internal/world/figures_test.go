package world_test

import (
	"fmt"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// counted fails the test unless the server counts what it should: pairs of a
// name and a number.
func counted(t *testing.T, w *world.World, when string, pairs ...any) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got := w.Counted(pairs[i].(string)); got != pairs[i+1].(int) {
			t.Errorf("%s: %d %s, want %d", when, got, pairs[i], pairs[i+1])
		}
	}
}

// hop is a kept message from ana's first phone to bob, and bob's second phone
// which has no key of it; everybody who has is away.
func hop(w *world.World) (m *world.Message, holders map[string]*world.Device, b2 *world.Device) {
	ana, bob := w.Account("ana"), w.Account("bob")
	a1, a2, b1 := ana.Device(), ana.Device(), bob.Device()
	a1.Meet(bob)
	b1.Meet(ana)
	w.Run()
	m = a1.Send(message.Keep, bob)
	w.Run()
	m.ID()
	for _, d := range []*world.Device{a1, a2, b1} {
		d.Stop()
	}
	return m, map[string]*world.Device{"sender": a1, "sender_other": a2, "own": b1}, bob.Device()
}

// The server counts a retry once, by who answered, with its time from the first
// asking, whatever is repeated.
func TestTheServerCountsRetries(t *testing.T) {
	kinds := []string{"own", "sender", "sender_other"}
	for _, by := range kinds {
		t.Run(by, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				m, holders, b2 := hop(w)
				counted(t, w, "asked", "retries_needed", 1, "retry_requests/own", 1, "retry_requests/sender", 1)
				w.Advance(10 * time.Second)
				counted(t, w, "asked again", "retries_needed", 1, "retry_requests/own", 2, "retry_requests/sender", 2)
				b2.Stop()
				b2.Start() // asks again at its sync
				w.Run()
				counted(t, w, "after a restart", "retries_needed", 1, "retry_requests/own", 3)
				lost := 0
				w.Net = func(x *world.Exchange) world.Fate {
					if q, ok := x.Request.(*resealv1.AddWrapsRequest); ok && len(q.Wraps) > 0 {
						if lost++; lost < 3 {
							return world.LoseAnswer
						}
						return world.Twice
					}
					return world.Deliver
				}
				w.Advance(5 * time.Second)
				holders[by].Start()
				w.Run()
				w.Readable(m, b2)
				if lost < 3 {
					t.Fatalf("%d answers", lost)
				}
				for _, k := range kinds {
					want, times := 0, "[]"
					if k == by {
						want, times = 1, "[15s]"
					}
					counted(t, w, "answered", "retry_answered/"+k, want)
					if got := fmt.Sprint(w.AnswerTimes(k)); got != times {
						t.Errorf("times of %s: %s, want %s", k, got, times)
					}
				}
				counted(t, w, "answered", "wraps_added/retry", 1, "wraps_added/sender", 0, "retries_needed", 1)
			})
		})
	}
}

// What the sending device adds because of its second look is no retry, and the
// send is stale once, also where its answer was lost.
func TestTheServerCountsStaleSends(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob := w.Account("ana"), w.Account("bob")
		a, _ := ana.Device(), bob.Device()
		a.Meet(bob)
		sends := 0
		w.Net = func(x *world.Exchange) world.Fate {
			if _, ok := x.Request.(*resealv1.SendRequest); ok {
				if sends++; sends == 1 {
					if err := bob.NewDevice().Join(); err != nil {
						t.Fatal(err)
					}
				}
				if sends < 3 {
					return world.LoseAnswer
				}
			}
			return world.Deliver
		}
		a.Send(message.Keep, bob)
		w.Run()
		counted(t, w, "sent", "sends", 3, "messages_stored/keep", 1, "stale_sends", 1,
			"wraps_added/sender", 1, "wraps_added/retry", 0, "retry_answered/sender", 0, "retries_needed", 0)
	})
}

// Of messages that expire, those are unread of which no device of the recipient
// said that it can read them.
func TestTheServerCountsWhatExpires(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob := w.Account("ana"), w.Account("bob")
		a, b := ana.Device(), bob.Device()
		a.Meet(bob)
		b.Meet(ana)
		w.Run()
		send := func(life time.Duration) *world.Message {
			m := a.SendContent(a.Content(false), message.Keep, life, bob)[0]
			w.Run()
			m.ID()
			return m
		}
		send(2 * time.Hour) // received
		viewed := a.Send(message.Once, bob)
		w.Run()
		if err := b.View(viewed); err != nil {
			t.Fatal(err)
		}
		b.Stop()
		send(time.Hour)
		send(2 * time.Hour) // at the very moment of the one that is received
		send(2 * time.Hour)
		w.Advance(time.Hour - time.Second)
		sweep := func() {
			w.Pass(time.Minute) // the store sweeps with its commits, a while after
			send(20 * 24 * time.Hour)
		}
		sweep()
		counted(t, w, "after an hour", "messages_expired/unread", 1, "messages_expired/received", 0)
		w.Advance(time.Hour)
		sweep()
		counted(t, w, "after two hours", "messages_expired/unread", 3, "messages_expired/received", 1)
		w.Advance(40 * 24 * time.Hour)
		sweep()
		sweep()
		// What was viewed is none.
		counted(t, w, "in the end", "messages_expired/unread", 5, "messages_expired/received", 1)
	})
}

// Where several answer, each answer counts, and the time of the first alone.
func TestTheServerCountsTheTimeOfTheFirstAnswer(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		m, holders, b2 := hop(w)
		w.Advance(3 * time.Second)
		w.Stream = func(d *world.Device, ev *world.Event) []*world.Event {
			if d == b2 && ev.GetWraps() != nil {
				return nil // so that it does not withdraw its request
			}
			return []*world.Event{ev}
		}
		for _, by := range []string{"own", "sender", "sender_other"} {
			holders[by].Start()
			w.Run()
			w.Advance(2 * time.Second)
		}
		counted(t, w, "answered", "retry_answered/own", 1, "retry_answered/sender", 1, "retry_answered/sender_other", 1)
		if got := fmt.Sprint(w.AnswerTimes("own"), w.AnswerTimes("sender"), w.AnswerTimes("sender_other")); got != "[3s] [] []" {
			t.Errorf("times: %s", got)
		}
		w.Stream = nil
		b2.Disconnect()
		b2.Connect()
		w.Run()
		w.Readable(m, b2)
	})
}
