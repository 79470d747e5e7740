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
