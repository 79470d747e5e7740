package client_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// A view and an unsend, with a death or an unknown outcome at each commit from
// then on: the end is decided or it is not, and once the server is well everybody
// has heard of it, on every device, and the key is nowhere.
func TestAnEndWithAFaultAtEachCommit(t *testing.T) {
	for _, unsend := range []bool{false, true} {
		for _, fault := range world.Faults {
			for at := range 8 {
				t.Run(fmt.Sprintf("unsend=%v %v at %d", unsend, fault, at), func(t *testing.T) {
					t.Parallel()
					world.Run(t, 1, func(w *world.World) {
						ana, _, a, b1, b2 := pair(w)
						a2 := ana.Device()
						m := sent(w, a, message.Once, b1.Account)
						first := -1
						w.Faulty(func(n int) world.Fault {
							if first < 0 {
								first = n
							}
							if n == first+at {
								return fault
							}
							return world.None
						})
						want := client.IsViewed
						if unsend {
							want = client.IsUnsent
							must(t, a.Step(client.Unsend{ID: m.ID()}))
						} else if err := b1.View(m); err != nil {
							t.Logf("view: %v", err)
						}
						w.Run()
						w.Settle()
						for range 3 {
							for _, d := range []*world.Device{a, a2, b1, b2} {
								d.Disconnect()
								d.Connect()
							}
							w.Run()
							w.Advance(3 * time.Minute)
						}
						if !unsend && b1.Is(m) != client.IsViewed { // the claim failed
							must(t, b1.View(m))
							w.Run()
						}
						w.State(m, want, a, a2, b1, b2)
						for _, d := range []*world.Device{a, a2, b1, b2} {
							if d.Holds(m.Content.CEK[:]) {
								t.Errorf("%s keeps the key", d.Name)
							}
						}
						if w.Pending(m) {
							t.Error("the server keeps the message")
						}
					})
				})
			}
		}
	}
}
