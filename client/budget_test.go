package client_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// maxLoop is more than any of the loops below may go round in one go; a world
// that goes round for ever fails by itself.
const maxLoop = 40

// lied lets a server answer every call of one kind with a lie, and counts them.
func lied[Q proto.Message](w *world.World, lie func(x *world.Exchange, req Q)) *int {
	n := new(int)
	w.Answer = func(x *world.Exchange) {
		if req, ok := x.Request.(Q); ok {
			*n++
			lie(x, req)
		}
	}
	return n
}

// refusing is the lie that refuses.
func refusing[Q proto.Message](why resealv1.Reason) func(*world.Exchange, Q) {
	return func(x *world.Exchange, _ Q) { x.Response, x.Err = nil, refusal.New(why) }
}

func bounded(t *testing.T, n *int) {
	t.Helper()
	if *n == 0 || *n > maxLoop {
		t.Fatalf("asked %d times", *n)
	}
}

func TestABookThatIsNeverTaken(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, _, _ := pair(w)
		n := lied(w, refusing[*resealv1.PutBookRequest](resealv1.Reason_REASON_CONFLICT))
		w.Net = func(x *world.Exchange) world.Fate {
			if req, ok := x.Request.(*resealv1.PutBookRequest); ok {
				req.Book = nil // so that it does not happen
			}
			return world.Deliver
		}
		must(t, a.Step(client.ChangeContact{Account: bob.ID, Change: client.Block}))
		w.Run()
		bounded(t, n)
		// It is put when the server is honest again, without a new connection.
		w.Net, w.Answer = nil, nil
		w.Advance(2 * time.Minute)
		other := a.Account.Device()
		if c := contact(t, other, bob); !c.Blocked {
			t.Fatalf("%+v", c)
		}
	})
}

func TestASendThatIsAlwaysTooOld(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, _, _ := pair(w)
		n := lied(w, refusing[*resealv1.SendRequest](resealv1.Reason_REASON_CLOCK))
		m := a.Send(message.Keep, bob)
		w.Run()
		bounded(t, n)
		if w.State(m, client.Refused, a); world.Told[client.NotSent](a) != 1 {
			t.Fatal("nobody was told")
		}
	})
}

func TestAViewThatIsClaimedAndIsNot(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		m := sent(w, a, message.Once, bob)
		must(t, b1.Claim(m))
		n := 0
		w.Net = func(x *world.Exchange) world.Fate {
			if req, ok := x.Request.(*resealv1.PostReceiptRequest); ok {
				if rc, err := message.ParseReceipt(req.Receipt); err == nil && rc.What == message.Viewed {
					req.MessageId = nil // so that it does not happen
				}
			}
			return world.Deliver
		}
		w.Answer = func(x *world.Exchange) {
			if req, ok := x.Request.(*resealv1.PostReceiptRequest); ok && req.MessageId == nil {
				n++
				x.Response, x.Err = nil, refusal.New(resealv1.Reason_REASON_CLAIMED)
			}
		}
		must(t, b1.Do(client.Viewed{ID: m.ID()}))
		w.Run()
		bounded(t, &n)
		w.Net, w.Answer = nil, nil
		b1.Disconnect()
		b1.Connect()
		w.Run()
		w.State(m, client.IsViewed, a, b1, b2)
	})
}

func TestAnEpochThatIsNeverTaken(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, _, _ := pair(w)
		n := lied(w, refusing[*resealv1.PublishEpochRequest](resealv1.Reason_REASON_CONFLICT))
		w.Net = func(x *world.Exchange) world.Fate {
			if req, ok := x.Request.(*resealv1.PublishEpochRequest); ok {
				req.Certified.ChallengeAnswer = nil // so that it does not happen
			}
			return world.Deliver
		}
		w.Pass(8 * day)
		a.Disconnect()
		a.Connect()
		w.Run()
		for range 5 { // ticks in a row
			a.Tick()
			w.Run()
		}
		bounded(t, n)
		w.Net, w.Answer = nil, nil
		w.Advance(2 * time.Minute)
		if w.Readable(sent(w, a, message.Keep, bob), bob.Devices...); len(a.State.Names("epoch/")) != 2 {
			t.Fatal(a.State.Names("epoch/"))
		}
	})
}

// A server and a stranger work together: each question about the stranger's
// list brings a newer one, and never the one that a wrap names.
func TestAListThatIsNeverTheNewest(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob, a, b1, _ := pair(w)
		n := lied(w, func(x *world.Exchange, req *resealv1.GetAccountsRequest) {
			if x.Device == b1 && string(req.Accounts[0].AccountId) == string(ana.ID[:]) {
				ana.Put(ana.Sign(next(ana, nil)))
				x.Response = &resealv1.GetAccountsResponse{Accounts: []*resealv1.AccountKeys{keysOf(ana, ana.List())}}
			}
		})
		w.Stream = func(d *world.Device, ev *world.Event) []*world.Event {
			if p := ev.GetMessage(); p != nil && d == b1 {
				x, err := message.ParseWrap(p.Wraps[0])
				must(t, err)
				x.Context.From.ListVersion = 1 << 40
				p.Wraps[0] = x.Encode()
			}
			return []*world.Event{ev}
		}
		w.Net = func(x *world.Exchange) world.Fate { // and nobody helps
			if _, ok := x.Request.(*resealv1.AskRetryRequest); ok {
				return world.Drop
			}
			return world.Deliver
		}
		m := sent(w, a, message.Keep, bob)
		w.State(m, client.Waiting, b1)
		bounded(t, n)
	})
}

// The same with the second look: each time wraps are added there is one more
// epoch to wrap to.
func TestEpochsThatNeverEnd(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, _ := pair(w)
		epoch := uint64(1)
		more := func() *resealv1.AccountKeys {
			epoch++
			e, err := client.FirstEpoch(bob.ID, b1.ID, b1.Key, epoch, w.Time(), w.Rand())
			must(t, err)
			k := keysOf(bob, bob.List())
			k.Certificates = append(k.Certificates, e.Certificate.Bytes())
			return k
		}
		n := 0
		w.Answer = func(x *world.Exchange) {
			switch r := x.Response.(type) {
			case *resealv1.SendResponse:
				r.Stale = []*resealv1.AccountKeys{more()}
			case *resealv1.AddWrapsResponse:
				n++
				r.Stale = []*resealv1.AccountKeys{more()}
			}
			if _, ok := x.Request.(*resealv1.AddWrapsRequest); ok && x.Err != nil {
				n++
				x.Err, x.Response = nil, &resealv1.AddWrapsResponse{Stale: []*resealv1.AccountKeys{more()}}
			}
		}
		a.Send(message.Keep, bob)
		w.Run()
		bounded(t, &n)
	})
}
