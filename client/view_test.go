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

// Two devices claim the one view, and the first one dies at each point.
func TestOnceWithTwoDevicesAndACrash(t *testing.T) {
	for _, c := range []struct {
		name string
		// first is how far the first device comes before it dies.
		first func(t *testing.T, w *world.World, d *world.Device, m *world.Message)
		// at once and after two minutes, what does the second device get?
		atOnce, later error
		state         client.MessageState
	}{
		{"before the claim", func(_ *testing.T, w *world.World, d *world.Device, m *world.Message) {
			w.Net = func(x *world.Exchange) world.Fate {
				if _, ok := x.Request.(*resealv1.ClaimRequest); ok && x.Device == d {
					return world.Drop
				}
				return world.Deliver
			}
			_ = d.Claim(m)
			w.Net = nil
		}, nil, nil, client.IsViewed},
		{"after the claim, answer lost", func(_ *testing.T, w *world.World, d *world.Device, m *world.Message) {
			w.Net = func(x *world.Exchange) world.Fate {
				if _, ok := x.Request.(*resealv1.ClaimRequest); ok && x.Device == d {
					return world.LoseAnswer
				}
				return world.Deliver
			}
			_ = d.Claim(m)
			w.Net = nil
		}, client.ErrClaimed, nil, client.IsViewed},
		{"after the claim", func(t *testing.T, _ *world.World, d *world.Device, m *world.Message) {
			if err := d.Claim(m); err != nil {
				t.Fatal(err)
			}
		}, client.ErrClaimed, nil, client.IsViewed},
		{"after Viewed, before the receipt went out", func(t *testing.T, w *world.World, d *world.Device, m *world.Message) {
			if err := d.Claim(m); err != nil {
				t.Fatal(err)
			}
			w.Crash = func(_ int, x *world.Device) world.Death {
				if x == d {
					w.Crash = nil
					return world.AfterItIs
				}
				return world.Lives
			}
			if err := d.Step(client.Viewed{ID: m.ID()}); !errors.Is(err, world.ErrCrashed) {
				t.Fatal(err)
			}
		}, client.ErrClaimed, nil, client.IsViewed},
	} {
		t.Run(c.name, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				_, bob, a, b1, b2 := pair(w)
				m := sent(w, a, message.Once, bob)
				c.first(t, w, b1, m)
				b1.Stop()
				if err := b2.Claim(m); !errors.Is(err, c.atOnce) {
					t.Fatalf("at once: %v", err)
				}
				w.Pass(2*time.Minute + time.Second)
				if err := b2.View(m); !errors.Is(err, c.later) {
					t.Fatalf("later: %v", err)
				}
				b1.Start()
				w.Run()
				w.State(m, c.state, a, b1, b2)
				if w.Pending(m) {
					t.Fatal("still pending")
				}
			})
		})
	}
}

// The first viewer's receipt comes back from a long way, the second device
// claimed meanwhile and is gone for good: the message ends all the same.
func TestAViewEndsTheMessageAlthoughAnotherClaimed(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		m := sent(w, a, message.Once, bob)
		if err := b1.Claim(m); err != nil {
			t.Fatal(err)
		}
		b1.Disconnect()
		if err := b1.Step(client.Viewed{ID: m.ID()}); err != nil {
			t.Fatal(err)
		}
		w.Pass(3 * time.Minute)
		if err := b2.Claim(m); err != nil {
			t.Fatal(err)
		}
		b2.Stop()
		b1.Connect()
		w.Run()
		w.State(m, client.IsViewed, b1)
		if !w.Pending(m) {
			t.Fatal("it ended under the second viewer's eyes")
		}
		w.Advance(3 * time.Minute)
		b1.Disconnect()
		b1.Connect()
		w.Run()
		w.State(m, client.IsViewed, a, b1)
		b2.Start()
		w.Run()
		w.State(m, client.IsViewed, b2)
		if n := len(b1.State.Names("post/")); n != 0 || w.Pending(m) {
			t.Fatal("still pending")
		}
	})
}

func TestASendRepeatedAfterTheViewRevivesNothing(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		tries := 0
		w.Net = func(x *world.Exchange) world.Fate {
			if _, ok := x.Request.(*resealv1.SendRequest); !ok {
				return world.Deliver
			}
			tries++
			switch tries {
			case 1:
				return world.Late
			case 2:
				return world.LoseAnswer
			}
			return world.Drop
		}
		m := a.Send(message.Once, bob)
		w.Run()
		w.State(m, client.Queued, a)
		w.Readable(m, b1, b2)
		if err := b1.View(m); err != nil {
			t.Fatal(err)
		}
		if n := w.DeliverLate(); n != 1 {
			t.Fatalf("%d late sends", n)
		}
		w.Net = nil
		a.Stop()
		a.Start()
		w.Run()
		w.State(m, client.IsViewed, a, b1, b2)
		b3 := bob.Device()
		if w.Pending(m) || b3.Is(m) != "" && b3.Is(m) != client.IsViewed || b1.Opens(m) || b2.Opens(m) {
			t.Fatal("the message lives again")
		}
		if world.Told[client.Stored](a) != 1 {
			t.Fatal("the sender was not told that it was stored")
		}
	})
}

// The answer to the send is lost, and the receipt of the view is there first.
func TestAReceiptMayOvertakeTheAnswerToTheSend(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		w.Net = func(x *world.Exchange) world.Fate {
			if _, ok := x.Request.(*resealv1.SendRequest); ok {
				return world.LoseAnswer
			}
			return world.Deliver
		}
		m := a.Send(message.Once, bob)
		w.Run()
		w.State(m, client.Queued, a)
		if err := b2.View(m); err != nil {
			t.Fatal(err)
		}
		w.Net = nil
		w.Run()
		w.State(m, client.IsViewed, a, b1, b2)
		if world.Told[client.Stored](a) != 1 || world.Told[client.Ended](a) != 1 || a.Engine.Unsecured() != 0 {
			t.Fatalf("%+v", a.Notices)
		}
	})
}

func TestUnsendInEveryState(t *testing.T) {
	unsend := func(t *testing.T, d *world.Device, m *world.Message) error {
		t.Helper()
		return d.Step(client.Unsend{ID: m.ID()})
	}
	t.Run("queued: taken back", func(t *testing.T) {
		world.Run(t, 1, func(w *world.World) {
			_, bob, a, b1, _ := pair(w)
			a.Disconnect()
			c := a.Content(true) // not uploaded yet
			all := a.SendContent(c, message.Once, message.MaxLife, bob)
			if err := a.Step(client.Cancel{Clients: []message.ClientID{all[0].Client, {9}}}); err != nil {
				t.Fatal(err)
			}
			a.Connect()
			w.Run()
			if world.Told[client.NotSent](a) != 1 || len(a.Files) != 0 || len(b1.State.Names("in/")) != 0 {
				t.Fatal("it was sent, or its file stays")
			}
		})
	})
	t.Run("request on its way: Cancel leaves it", func(t *testing.T) {
		world.Run(t, 1, func(w *world.World) {
			_, bob, a, b1, _ := pair(w)
			m := a.Send(message.Once, bob)
			if err := a.Step(client.Cancel{Clients: []message.ClientID{m.Client}}); err != nil {
				t.Fatal(err)
			}
			w.Run()
			w.Readable(m, b1)
		})
	})
	for name, fate := range map[string]world.Fate{"before it arrived": world.Late, "never arrived": world.Drop, "stored, answer lost": world.LoseAnswer} {
		t.Run(name, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				_, bob, a, b1, b2 := pair(w)
				n := 0
				w.Net = func(x *world.Exchange) world.Fate {
					if _, ok := x.Request.(*resealv1.SendRequest); ok {
						if n++; n == 1 {
							return fate
						}
						return world.Drop
					}
					return world.Deliver
				}
				m := a.Send(message.Once, bob)
				w.Run()
				if err := unsend(t, a, m); err != nil {
					t.Fatal(err)
				}
				w.Run()
				w.DeliverLate() // and then it arrives after all
				w.Run()
				a.Disconnect()
				a.Connect()
				w.Run()
				w.State(m, client.IsUnsent, a)
				if b1.Opens(m) || b2.Opens(m) || w.Pending(m) {
					t.Fatal("it was delivered")
				}
				w.Advance(72 * time.Hour)
				a.Disconnect()
				a.Connect()
				w.Run()
				if a.Engine.Unsecured() != 0 {
					t.Fatal("the receipt is delivered for ever")
				}
			})
		})
	}
	t.Run("stored, waiting and ready", func(t *testing.T) {
		world.Run(t, 1, func(w *world.World) {
			ana, bob, a, b1, b2 := pair(w)
			a2 := ana.Device()
			m := sent(w, a, message.Keep, bob)
			for _, d := range []*world.Device{a, a2, b1, b2} {
				d.Stop()
			}
			b3 := bob.Device()
			w.State(m, client.Waiting, b3)
			a2.Start() // the other device of the account may do it, too
			if err := unsend(t, a2, &world.Message{From: a, To: bob, Client: m.Client}); err == nil {
				t.Fatal("an unknown message was unsent")
			}
			if err := a2.Step(client.Unsend{ID: m.ID()}); err != nil {
				t.Fatal(err)
			}
			w.Run()
			for _, d := range []*world.Device{a, b1, b2} {
				d.Start()
			}
			w.Run()
			w.State(m, client.IsUnsent, a, a2, b1, b2, b3)
			if len(b3.State.Names("ask/")) > 0 || w.Pending(m) {
				t.Fatal("still asked for, or pending")
			}
		})
	})
	t.Run("ended", func(t *testing.T) {
		world.Run(t, 1, func(w *world.World) {
			_, bob, a, b1, _ := pair(w)
			m := sent(w, a, message.Once, bob)
			if err := b1.View(m); err != nil {
				t.Fatal(err)
			}
			var ended *client.EndedError
			if err := unsend(t, a, m); !errors.As(err, &ended) || ended.State != message.StateViewed {
				t.Fatal(err)
			}
		})
	})
	t.Run("racing a view", func(t *testing.T) {
		for _, viewFirst := range []bool{false, true} {
			world.Run(t, 1, func(w *world.World) {
				_, bob, a, b1, b2 := pair(w)
				m := sent(w, a, message.Once, bob)
				if err := b1.Claim(m); err != nil {
					t.Fatal(err)
				}
				view := func() {
					if err := b1.Step(client.Viewed{ID: m.ID()}); err != nil {
						t.Fatal(err)
					}
				}
				// Both have done it; one arrives first.
				hold := a
				if !viewFirst {
					hold = b1
				}
				w.Net = func(x *world.Exchange) world.Fate {
					if _, ok := x.Request.(*resealv1.PostReceiptRequest); ok && x.Device == hold {
						return world.Drop
					}
					return world.Deliver
				}
				view()
				if err := unsend(t, a, m); err != nil {
					t.Fatal(err)
				}
				w.Run()
				w.Net = nil
				w.Run()
				w.State(m, client.IsViewed, b1)
				want := client.IsUnsent
				if viewFirst {
					want = client.IsViewed
				}
				w.State(m, want, b2) // who did neither hears what stands
				if w.Pending(m) || a.Engine.Unsecured()+b1.Engine.Unsecured() != 0 {
					t.Fatal("not at rest")
				}
			})
		}
	})
}

// A co-recipient of the same content and the server together end nothing.
func TestForgedReceiptsEndNothing(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, _ := pair(w)
		carol := w.Account("carol")
		c1 := carol.Device()
		c := a.Content(false)
		all := a.SendContent(c, message.Once, message.MaxLife, bob, carol)
		toBob, toCarol := all[0], all[1]
		// Carol's genuine receipt, of her own message.
		var genuine []byte
		w.Net = func(x *world.Exchange) world.Fate {
			if q, ok := x.Request.(*resealv1.PostReceiptRequest); ok && x.Device == c1 {
				genuine = q.Receipt
			}
			return world.Deliver
		}
		w.Run()
		if err := c1.View(toCarol); err != nil {
			t.Fatal(err)
		}
		w.State(toCarol, client.IsViewed, a)
		rc, err := message.ParseReceipt(genuine)
		if err != nil {
			t.Fatal(err)
		}
		// What the co-recipient and the server can make of it: Bob's name, and
		// R of hers, or no R at all.
		rc.Message, rc.Account, rc.Device = toBob.ID(), bob.ID, b1.ID
		moved := append([]byte(nil), genuine...)
		id := toBob.ID()
		copy(moved[2:34], id[:])
		copy(moved[34:50], bob.ID[:])
		copy(moved[50:66], b1.ID[:])
		for i, forged := range [][]byte{rc.Seal(message.R{}), rc.Seal(message.R{1}), moved, genuine[:100], nil} {
			end := message.EndRecord{Sender: a.Account.ID, Message: toBob.ID(), State: message.StateViewed, Time: w.Time(), Receipt: forged}.Encode()
			for _, d := range []*world.Device{a, b1} {
				before := d.Engine.Counters().BadReceipts
				for _, ev := range []*world.Event{
					{Event: &resealv1.EventsResponse_Receipt{Receipt: forged}}, {Event: &resealv1.EventsResponse_End{End: end}},
				} {
					if err := d.Step(client.Streamed{Event: ev}); err != nil {
						t.Fatal(err)
					}
				}
				if d.Engine.Counters().BadReceipts != before+2 {
					t.Fatalf("row %d: not counted as bad", i)
				}
			}
		}
		// An expiry that the server claims is no end before the clock says so.
		expired := message.EndRecord{Sender: a.Account.ID, Message: toBob.ID(), State: message.StateExpired, Time: w.Time()}.Encode()
		_ = b1.Step(client.Streamed{Event: &world.Event{Event: &resealv1.EventsResponse_End{End: expired}}})
		w.Run()
		w.State(toBob, client.Sent, a)
		w.Readable(toBob, b1)
		if err := b1.View(toBob); err != nil {
			t.Fatal(err)
		}
		w.State(toBob, client.IsViewed, a)
	})
}

func TestReceiptsReplayedAndReordered(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		var held []*world.Event
		w.Stream = func(d *world.Device, ev *world.Event) []*world.Event {
			if ev.GetReceipt() != nil && d == a {
				held = append(held, ev)
				return nil
			}
			return []*world.Event{ev}
		}
		m := sent(w, a, message.Keep, bob)
		for _, d := range []*world.Device{b1, b2} {
			if err := d.View(m); err != nil {
				t.Fatal(err)
			}
		}
		if len(held) < 4 {
			t.Fatalf("%d receipts", len(held))
		}
		for range 3 {
			for i := len(held) - 1; i >= 0; i-- { // last first, and again
				if err := a.Step(client.Streamed{Event: held[i]}); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, _, err := a.Engine.Get(a.Now(), m.ID())
		if err != nil || len(got.Receipts) != 4 || world.Told[client.Receipted](a) != 4 {
			t.Fatalf("%v, %d receipts, told %d", err, len(got.Receipts), world.Told[client.Receipted](a))
		}
		w.Stream = nil
		if err := a.Step(client.Unsend{ID: m.ID()}); err != nil {
			t.Fatal(err)
		}
		w.Run()
		for _, ev := range held { // after the end they are nothing
			_ = a.Step(client.Streamed{Event: ev})
		}
		w.State(m, client.IsUnsent, a, b1, b2)
	})
}

// A waiting device has nothing to check an end by: it stops asking, and opens
// what comes after all.
func TestAnEndThatNobodyVouchesForHidesOnly(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		m := sent(w, a, message.Keep, bob)
		a.Stop()
		b2.Stop()
		w.Net = func(x *world.Exchange) world.Fate {
			if _, ok := x.Request.(*resealv1.AddWrapsRequest); ok {
				return world.Late
			}
			return world.Deliver
		}
		b3 := bob.Device()
		b1.Stop()
		w.State(m, client.Waiting, b3)
		rc := message.Receipt{Message: m.ID(), Account: a.Account.ID, Device: a.ID, What: message.Unsent, Time: w.Time()}
		end := message.EndRecord{Sender: a.Account.ID, Message: m.ID(), State: message.StateUnsent, Time: w.Time(), Receipt: rc.Seal(message.R{})}
		_ = b3.Step(client.Streamed{Event: &world.Event{Event: &resealv1.EventsResponse_End{End: end.Encode()}}})
		w.Run()
		w.State(m, client.IsUnsent, b3)
		if len(b3.State.Names("ask/")) != 0 || world.Told[client.Ended](b3) != 0 {
			t.Fatal("still asked for, or told as ended")
		}
		// It was a lie: an answer that was on its way opens it.
		if w.DeliverLate() == 0 {
			t.Fatal("no answer was on its way")
		}
		w.Run()
		w.Readable(m, b3)
	})
}

func TestStrangersHearNothingBeforeTheyAreAccepted(t *testing.T) {
	for name, accept := range map[string]func(w *world.World, b *world.Device, m *world.Message){
		"accepted": func(_ *world.World, b *world.Device, m *world.Message) {
			_ = b.Step(client.ChangeContact{Account: m.From.Account.ID, Change: client.Accept})
		},
		"addressed": func(_ *world.World, b *world.Device, m *world.Message) { b.Meet(m.From.Account) },
		"opened":    func(_ *world.World, b *world.Device, m *world.Message) { _ = b.Claim(m) },
	} {
		t.Run(name, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				ana, bob := w.Account("ana"), w.Account("bob")
				a, b := ana.Device(), bob.Device()
				m := sent(w, a, message.Keep, bob)
				w.Readable(m, b)
				if n := w.Counted("receipts/received"); n != 0 {
					t.Fatal("a stranger was told")
				}
				accept(w, b, m)
				w.Run()
				if n := w.Counted("receipts/received"); n != 1 || world.Told[client.Receipted](a) != 1 {
					t.Fatalf("%d receipts", n)
				}
			})
		})
	}
}

func TestBlockedContacts(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob, a, b1, b2 := pair(w)
		before := sent(w, a, message.Once, bob)
		if err := b1.Step(client.ChangeContact{Account: ana.ID, Change: client.Block}); err != nil {
			t.Fatal(err)
		}
		w.Run()
		w.State(before, client.Held, b1, b2) // the other device learns it by the book
		if err := b1.Claim(before); !errors.Is(err, client.ErrHeld) {
			t.Fatal(err)
		}
		if err := b1.Step(client.Send{Content: b1.Content(false).ID}); !errors.Is(err, client.ErrUnknownContent) {
			t.Fatal(err)
		}
		c := b1.Content(false)
		_ = b1.Step(c)
		if err := b1.Step(client.Send{Content: c.ID, Policy: message.Once, To: []client.Recipient{{Account: ana.ID}}}); !errors.Is(err, client.ErrBlocked) {
			t.Fatal(err)
		}
		// The sender notices nothing, and nothing arrives.
		during := sent(w, a, message.Once, bob)
		w.State(during, client.Sent, a)
		if b1.Is(during) != "" || b2.Is(during) != "" {
			t.Fatal("a blocked account's message arrived")
		}
		if err := b1.Step(client.ChangeContact{Account: ana.ID, Change: client.Unblock}); err != nil {
			t.Fatal(err)
		}
		w.Run()
		w.Readable(before, b1, b2)
		after := sent(w, a, message.Once, bob)
		w.Readable(after, b1, b2)
	})
}
