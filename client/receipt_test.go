package client_test

import (
	"testing"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

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

// What a receipt says of a list counts with its MAC, and not before.
func TestListsInReceiptsThatAreNotAuthentic(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, _, _ := pair(w)
		altered := 0
		w.Stream = func(d *world.Device, ev *world.Event) []*world.Event {
			if r := ev.GetReceipt(); d == a && len(r) > 130 {
				altered++
				r[130] ^= 1 // in the hash of the recipient's list
			}
			return []*world.Event{ev}
		}
		sent(w, a, message.Keep, bob)
		if altered == 0 || a.Engine.Counters().BadReceipts == 0 {
			t.Fatal("no receipt came")
		}
		if c := contact(t, a, bob); c.Alarm != "" || world.Told[client.Alarm](a) != 0 {
			t.Fatalf("an alarm by anybody's word: %q", c.Alarm)
		}
	})
}
