package reseal_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
)

// A server that calls for a sync without end gets one after the other, ever
// more slowly.
func TestResyncsWithoutEnd(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	l := w.liar(t)
	var syncs, at, most atomic.Int64
	l.tell(lies{
		streamed: func(ev *resealv1.EventsResponse) []*resealv1.EventsResponse {
			all := []*resealv1.EventsResponse{ev}
			if _, ok := ev.Event.(*resealv1.EventsResponse_CaughtUp); ok {
				for range 400 {
					all = append(all, &resealv1.EventsResponse{Event: &resealv1.EventsResponse_Resync{Resync: true}})
				}
			}
			return all
		},
		asked: func(method string, req proto.Message) error {
			if q, ok := req.(*resealv1.ReadDayRequest); ok && len(q.From) == 0 {
				syncs.Add(1)
				most.Store(max(most.Load(), at.Add(1)))
			}
			return nil
		},
		answered: func(method string, _, _ proto.Message) error {
			if method == "ReadDay" {
				at.Add(-1)
			}
			return nil
		},
	})
	_, bob := l.signUp("bob")
	id := text(t, ana, "hello", "bob")
	if _, body := open(t, bob, id); string(body) != "hello" {
		t.Fatalf("%q", body)
	}
	if most.Load() > 1 {
		t.Errorf("%d syncs at once", most.Load())
	}
	if n := syncs.Load() / 32; n > 40 { // a new device reads 33 days at first, then 5
		t.Errorf("%d syncs", n)
	}
}

// A server that always says that somebody else was faster is asked so often and
// no more.
func TestAShareThatIsNeverTaken(t *testing.T) {
	w := newWorld(t)
	l := w.liar(t)
	in, bob := l.signUp("bob")
	if _, err := bob.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	var puts atomic.Int64
	l.tell(lies{asked: func(method string, _ proto.Message) error {
		if method != "PutShare" {
			return nil
		}
		puts.Add(1)
		return refusal.New(resealv1.Reason_REASON_CONFLICT)
	}})
	if _, _, err := in.LogIn(ctx(t), "bob", []byte(secret+"bob")); !errors.Is(err, reseal.ErrServer) {
		t.Fatal(err)
	}
	if n := puts.Load(); n > 20 {
		t.Fatalf("asked %d times", n)
	}
	l.tell(lies{})
	if _, how := w.logIn(in, "bob"); how.NewDevice {
		t.Fatal("the section is lost")
	}
}
