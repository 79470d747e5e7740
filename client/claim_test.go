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

// Who waits for the grant gets it, or its refusal, after a lost connection too.
func TestAClaimIsMadeAgainAfterALostConnection(t *testing.T) {
	for name, cut := range map[string]world.Fate{"before it came": world.Deliver, "with its answer": world.LoseAnswer} {
		t.Run(name, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				_, bob, a, b1, b2 := pair(w)
				m := sent(w, a, message.Once, bob)
				must(t, b1.Step(client.View{ID: m.ID()}))
				if cut == world.LoseAnswer {
					w.Net = func(*world.Exchange) world.Fate { return cut }
					b1.Perform("claim/")
					w.Net = nil
				}
				b1.Disconnect()
				b1.Connect()
				w.Run()
				if n := world.Told[client.Granted](b1); n != 1 {
					t.Fatalf("granted %d times", n)
				}
				// Once it is granted, later connections claim nothing.
				claims := 0
				w.Net = func(x *world.Exchange) world.Fate {
					if _, ok := x.Request.(*resealv1.ClaimRequest); ok {
						claims++
					}
					return world.Deliver
				}
				b1.Disconnect()
				b1.Connect()
				w.Run()
				if claims != 0 {
					t.Fatal("claimed although nobody asked")
				}
				must(t, b1.Do(client.Viewed{ID: m.ID()}))
				w.Run()
				w.State(m, client.IsViewed, a, b1, b2)
			})
		})
	}
}

// claims counts the claims that go out, which are lost while hold is set.
func claims(w *world.World, hold *bool) *int {
	n := new(int)
	w.Net = func(x *world.Exchange) world.Fate {
		if _, ok := x.Request.(*resealv1.ClaimRequest); !ok {
			return world.Deliver
		}
		if *n++; *hold {
			return world.Drop
		}
		return world.Deliver
	}
	return n
}

// Whoever waits for the grant hears of an end that comes meanwhile.
func TestAClaimOfAMessageThatEndsIsDenied(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, _ := pair(w)
		m := sent(w, a, message.Once, bob)
		hold := true
		claims(w, &hold)
		must(t, b1.Step(client.View{ID: m.ID()}))
		must(t, a.Step(client.Unsend{ID: m.ID()}))
		w.Run()
		w.State(m, client.IsUnsent, b1)
		hold = false
		b1.Disconnect()
		b1.Connect()
		w.Run()
		var why *client.EndedError
		for _, n := range b1.Notices {
			if d, ok := n.(client.Denied); ok && !errors.As(d.Why, &why) {
				t.Fatal(d.Why)
			}
		}
		if why == nil || why.State != message.StateUnsent || world.Told[client.Granted](b1) != 0 {
			t.Fatalf("%v", why)
		}
	})
}

// A view that takes longer than a claim lives stays this device's, until it is
// given up.
func TestAClaimIsRenewedWhileItIsShown(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		m := sent(w, a, message.Once, bob)
		n := claims(w, new(bool))
		must(t, b1.Claim(m))
		for i := range 10 {
			w.Advance(30 * time.Second)
			if err := b2.Claim(m); !errors.Is(err, client.ErrClaimed) {
				t.Fatalf("another device: %v %d, claims %d", err, i, *n)
			}
		}
		if got := world.Told[client.Granted](b1); got != 1 {
			t.Fatalf("granted %d times", got)
		}
		must(t, b1.Step(client.EndView{ID: m.ID()}))
		*n = 0
		w.Advance(3 * time.Minute)
		b1.Disconnect()
		b1.Connect()
		w.Run()
		if *n != 0 {
			t.Fatal("claimed although nobody shows it")
		}
		must(t, b2.View(m))
		w.State(m, client.IsViewed, a, b1, b2)
	})
}

// Who gave up waiting claims nothing at the next connection.
func TestAnOpeningThatWasGivenUpClaimsNothing(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		m := sent(w, a, message.Once, bob)
		must(t, b1.Step(client.View{ID: m.ID()}))
		b1.Disconnect()
		must(t, b1.Step(client.EndView{ID: m.ID()}))
		b1.Connect()
		w.Run()
		must(t, b2.View(m))
		w.State(m, client.IsViewed, a, b1, b2)
	})
}
