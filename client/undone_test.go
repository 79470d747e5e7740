package client_test

import (
	"testing"

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
