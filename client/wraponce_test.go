package client_test

import (
	"bytes"
	"testing"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// What a device adds after a second look and what it answers a retry request
// with are the same bytes: the server has one place for both.
func TestOneWrapForADeviceAndEpochIsAddedWhateverFor(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		b3 := bob.NewDevice()
		type place struct {
			id   message.ID
			from identity.DeviceID
		}
		added, asked, adds := map[place][]byte{}, false, 0
		w.Net = func(x *world.Exchange) world.Fate {
			switch q := x.Request.(type) {
			case *resealv1.AskRetryRequest:
				asked = asked || x.Device == b3
			case *resealv1.AddWrapsRequest:
				for _, b := range q.Wraps {
					v, err := message.ParseWrap(b)
					must(t, err)
					if v.Context.To.Device != b3.ID {
						continue
					}
					at := place{message.ID(q.MessageId), x.Device.ID}
					if old := added[at]; old != nil && !bytes.Equal(old, b) {
						t.Error("two wraps for one place")
					}
					added[at] = b
					if x.Device == a {
						adds++
					}
				}
				if !asked {
					return world.Drop // the new device asks before it comes
				}
			}
			return world.Deliver
		}
		m := a.Send(message.Keep, bob)
		must(t, b3.Join())
		b1.Stop()
		b2.Stop()
		w.Run()
		b3.Start()
		w.Run()
		m.ID()
		if w.Readable(m, b3); adds < 2 || !asked {
			t.Fatalf("added %d times, asked: %v", adds, asked)
		}
	})
}
