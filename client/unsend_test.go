package client_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

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
				want := client.IsUnsent
				if viewFirst {
					want = client.IsViewed
				}
				w.State(m, want, a, b1, b2) // also who did the other
				if w.Pending(m) || a.Engine.Unsecured()+b1.Engine.Unsecured() != 0 {
					t.Fatal("not at rest")
				}
			})
		}
	})
}

// The end comes before the key: the sender is unknown and his list on its way
// when the message is unsent, and the wrap opens a moment later.
func TestUnsentBeforeTheKeyIsThere(t *testing.T) {
	for _, p := range []message.Policy{message.Once, message.Keep} {
		world.Run(t, 1, func(w *world.World) {
			ana, bob := w.Account("ana"), w.Account("bob")
			a, b1 := ana.Device(), bob.Device()
			held := true
			w.Net = func(x *world.Exchange) world.Fate {
				if q, ok := x.Request.(*resealv1.GetAccountsRequest); ok && held && x.Device == b1 && bytes.Equal(q.Accounts[0].AccountId, ana.ID[:]) {
					return world.Drop
				}
				return world.Deliver
			}
			m := a.Send(p, bob)
			w.Run()
			w.State(m, client.Waiting, b1)
			if err := a.Do(client.Unsend{ID: m.ID()}); err != nil {
				t.Fatal(err)
			}
			w.Run()
			held = false
			w.Run()
			w.State(m, client.IsUnsent, b1)
			if b1.Opens(m) || b1.Holds(m.Content.CEK[:]) {
				t.Error("the key stays")
			}
		})
	}
}

// A view and an unsend cross: the server takes the one that came first, and
// every device tells the same in the end.
func TestAViewAndAnUnsendThatCross(t *testing.T) {
	for name, c := range map[string]struct {
		viewFirst, lie bool
		want, viewer   client.MessageState
	}{
		"the view first":                    {true, false, client.IsViewed, client.IsViewed},
		"the unsend first":                  {false, false, client.IsUnsent, client.IsUnsent},
		"an unsend that nobody vouches for": {false, true, client.IsUnsent, client.IsViewed},
	} {
		t.Run(name, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				ana, bob, a, b1, b2 := pair(w)
				a2 := ana.Device()
				m := sent(w, a, message.Once, bob)
				must(t, b1.Claim(m))
				must(t, b1.Step(client.Viewed{ID: m.ID()}))
				must(t, a.Step(client.Unsend{ID: m.ID()}))
				first := a
				if c.viewFirst {
					first = b1
				}
				if !first.Perform("post/" + m.ID().String()) {
					t.Fatal("no receipt to post")
				}
				if c.lie {
					w.Answer = func(x *world.Exchange) {
						if r, ok := x.Response.(*resealv1.PostReceiptResponse); ok && len(r.End) > 0 {
							r.End[len(r.End)-1] ^= 1
						}
					}
					w.Stream = func(d *world.Device, ev *world.Event) []*world.Event {
						if e := ev.GetEnd(); d == b1 && len(e) > 0 {
							e[len(e)-1] ^= 1
						}
						return []*world.Event{ev}
					}
				}
				w.Run()
				w.State(m, c.want, a, a2, b2)
				w.State(m, c.viewer, b1)
				if n := len(b1.State.Names("post/")) + len(a.State.Names("post/")); n != 0 {
					t.Errorf("%d receipts are left, with what they are checked by", n)
				}
			})
		})
	}
}
