package attacks

import (
	"bytes"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

const (
	madeUp  = "a receipt that the server makes up"
	nothing = "counted as bad; the message stays what it is, on both sides"
)

var ends = Group{"Receipts and ends", []Attack{
	{"viewed-made-up", madeUp, nothing, badEnd(func(s *stage, m *world.Message) []byte {
		return s.receiptOf(m, message.Viewed).Seal(message.R{})
	}), ""},
	{"viewed-by-a-co-recipient", madeUp + " with the help of somebody who got the same content (she does not know the message's R)", nothing, badEnd(func(s *stage, m *world.Message) []byte {
		return s.receiptOf(m, message.Viewed).Seal(message.R(m.Content.CEK))
	}), ""},
	{"viewed-of-another-message", "a genuine receipt for another message", nothing, badEnd(func(s *stage, m *world.Message) []byte {
		b := bytes.Clone(s.genuine(message.Once, message.Viewed))
		id := m.ID()
		copy(b[2:], id[:])
		return b
	}), ""},
	{"viewed-of-another-device", "a genuine receipt in another device's name", nothing, badEnd(func(s *stage, m *world.Message) []byte {
		b := bytes.Clone(s.genuine(message.Once, message.Viewed))
		id := m.ID()
		copy(b[2:], id[:])
		copy(b[50:], s.b2.ID[:])
		return b
	}), ""},
	{"viewed-cut", malleable, nothing, badEnd(func(s *stage, m *world.Message) []byte {
		return s.receiptOf(m, message.Viewed).Seal(message.R{})[:100]
	}), ""},
	{"viewed-of-a-newer-format", "downgrade and confusion of formats", "the message stays what it is", badEnd(func(s *stage, m *world.Message) []byte {
		b := s.receiptOf(m, message.Viewed).Seal(message.R{})
		b[1]++
		return b
	}), ""},
	{"viewed-by-the-sender", "a receipt of the wrong side", nothing, badEnd(func(s *stage, m *world.Message) []byte {
		rc := s.receiptOf(m, message.Viewed)
		rc.Account, rc.Device = s.ana.ID, s.a.ID
		return rc.Seal(message.R{})
	}), ""},
	{"unsent-made-up", madeUp + ", to take a message back", nothing, badEnd(func(s *stage, m *world.Message) []byte {
		rc := s.receiptOf(m, message.Unsent)
		rc.Account, rc.Device = s.ana.ID, s.a.ID
		return rc.Seal(message.R{})
	}), ""},
	{"receipt-bits", malleable, "not believed, whatever bit is changed", func(s *stage) {
		good := s.genuine(message.Keep, message.Received)
		for i := 2; i < len(good); i += 4 {
			before := s.a.Engine.Counters().BadReceipts
			s.receipt(s.a, flipped(good, i))
			if s.a.Engine.Counters().BadReceipts == before && !s.unknown(flipped(good, i)) {
				s.t.Fatalf("byte %d: not counted as bad", i)
			}
		}
	}, ""},
	{"receipts-replayed", "replay", "each counts once", func(s *stage) {
		good := s.genuine(message.Keep, message.Received)
		n := world.Told[client.Receipted](s.a)
		for range 30 {
			s.receipt(s.a, good)
		}
		if world.Told[client.Receipted](s.a) != n {
			s.t.Fatal("told again")
		}
	}, ""},
	{"receipts-withheld", "suppression", "nothing is shown that is not known; they count when they come", func(s *stage) {
		s.tell(aboutReceipts(s.a, func([]byte) [][]byte { return nil }))
		m := s.send(message.Keep)
		got, _, err := s.a.Engine.Get(s.a.Now(), m.ID())
		if err != nil || len(got.Receipts) != 0 {
			s.t.Fatalf("%v, %d receipts", err, len(got.Receipts))
		}
		s.honest()
		if got, _, _ = s.a.Engine.Get(s.a.Now(), m.ID()); len(got.Receipts) == 0 {
			s.t.Fatal("the receipts are lost")
		}
	}, ""},
	{"expired-too-early", "the server lets a message expire before its time", "it stays: the device's own clock decides", func(s *stage) {
		m := s.send(message.Keep)
		for _, d := range []*world.Device{s.a, s.b1, s.b2} {
			s.ended(d, message.EndRecord{Sender: s.ana.ID, Message: m.ID(), State: message.StateExpired, Time: s.Time()})
		}
		s.Readable(m, s.b1, s.b2)
		s.State(m, client.Sent, s.a)
	}, ""},
	{"end-without-receipt", madeUp, nothing, func(s *stage) {
		m := s.send(message.Keep)
		b := message.EndRecord{Sender: s.ana.ID, Message: m.ID(), State: message.StateUnsent, Time: s.Time()}.Encode()
		s.inject(s.b1, &world.Event{Event: &resealv1.EventsResponse_End{End: b}})
		s.Readable(m, s.b1)
	}, ""},
	{"end-of-another-kind", "a genuine viewed receipt in an end that says unsent", nothing, func(s *stage) {
		good := s.genuine(message.Once, message.Viewed)
		m := s.send(message.Once)
		rc, err := message.ParseReceipt(good)
		if err != nil {
			s.t.Fatal(err)
		}
		rc.Message = m.ID()
		e := message.EndRecord{Sender: s.ana.ID, Message: m.ID(), State: message.StateUnsent, Time: s.Time(), Receipt: rc.Seal(message.R{})}
		s.ended(s.b1, e)
		s.Readable(m, s.b1)
	}, ""},
	{"end-at-an-absurd-time", "false times", nothing, func(s *stage) {
		m := s.send(message.Keep)
		for _, at := range []uint64{0, 1, 253402300799999, 1 << 63} {
			e := message.EndRecord{Sender: s.ana.ID, Message: m.ID(), State: message.StateExpired, Time: s.Time()}
			b := e.Encode()
			for i := range 8 {
				b[51+i] = byte(at >> (56 - 8*i))
			}
			s.inject(s.b1, &world.Event{Event: &resealv1.EventsResponse_End{End: b}})
		}
		s.Readable(m, s.b1)
	}, ""},
	{"end-withheld", "the unsend is kept from one device", "it is gone as soon as the server tells, and on every device that heard", func(s *stage) {
		s.tell(withholding(s.b1, func(ev *world.Event) bool { return ev.GetEnd() != nil || ev.GetReceipt() != nil }))
		m := s.send(message.Keep)
		s.over[m] = true
		if err := s.a.Step(client.Unsend{ID: m.ID()}); err != nil {
			s.t.Fatal(err)
		}
		s.Run()
		s.State(m, client.IsUnsent, s.b2)
		s.honest()
		s.State(m, client.IsUnsent, s.b1)
	}, ""},
	{"end-before-the-message", "reordering", "the message never shows", func(s *stage) {
		var held []*world.Event
		s.tell(lie{stream: func(d *world.Device, ev *world.Event) ([]*world.Event, bool) {
			if d != s.b1 || ev.GetMessage() == nil {
				return []*world.Event{ev}, false
			}
			held = append(held, ev)
			return nil, true
		}})
		m := s.send(message.Once)
		s.view(s.b2, m)
		for _, ev := range held {
			s.step(s.b1, ev)
		}
		s.hidden(m, s.b1)
		if s.b1.Holds(m.Content.CEK[:]) {
			s.t.Fatal("the key is kept")
		}
	}, ""},
	{"end-for-a-waiting-device", madeUp + " for a device that has nothing to check it by", "it stops asking, and opens what comes after all", func(s *stage) {
		s.tell(aboutWraps(s.b1, func([][]byte) [][]byte { return nil }))
		m := s.send(message.Keep)
		rc := s.receiptOf(m, message.Unsent)
		rc.Account, rc.Device = s.ana.ID, s.a.ID
		s.ended(s.b1, message.EndRecord{Sender: s.ana.ID, Message: m.ID(), State: message.StateUnsent, Time: s.Time(), Receipt: rc.Seal(message.R{})})
		s.hidden(m, s.b1)
	}, ""},
	{"claim-refused-for-ever", "the server lets nobody view a message that is read once", "the message waits and is not lost", func(s *stage) {
		m := s.send(message.Once)
		refuse := true
		s.tell(lie{call: func(x *world.Exchange) (world.Fate, bool) {
			if _, ok := x.Request.(*resealv1.ClaimRequest); ok && refuse {
				return world.Drop, true
			}
			return world.Deliver, false
		}})
		_ = s.b1.Claim(m)
		refuse = false
		s.Advance(time.Hour)
		s.reconnect(s.b1)
		if !s.b1.Opens(m) {
			s.view(s.b1, m)
		}
	}, ""},
	{"claim-of-an-absurd-time", "false times", "the device views by its own clock", func(s *stage) {
		m := s.send(message.Once)
		s.tell(lie{answer: func(x *world.Exchange) bool {
			r, ok := x.Response.(*resealv1.ClaimResponse)
			if ok {
				r.UntilMs = 0
			}
			return ok
		}})
		_ = s.b1.Claim(m)
		s.tell(lie{answer: func(x *world.Exchange) bool {
			r, ok := x.Response.(*resealv1.ClaimResponse)
			if ok {
				r.UntilMs = 1<<64 - 1
			}
			return ok
		}})
		s.view(s.b1, m)
		s.State(m, client.IsViewed, s.a, s.b1, s.b2)
	}, ""},
}}

// receiptOf is what bob's phone might say of a message, without its MAC.
func (s *stage) receiptOf(m *world.Message, what message.What) message.Receipt {
	return message.Receipt{Message: m.ID(), Account: s.bob.ID, Device: s.b1.ID, What: what, Time: s.Time()}
}

// genuine is a true receipt of bob's phone about a message of its own.
func (s *stage) genuine(p message.Policy, what message.What) (got []byte) {
	s.t.Helper()
	was := s.lie
	s.lie = lie{call: func(x *world.Exchange) (world.Fate, bool) {
		if q, ok := x.Request.(*resealv1.PostReceiptRequest); ok && x.Device == s.b1 {
			if rc, err := message.ParseReceipt(q.Receipt); err == nil && rc.What == what {
				got = q.Receipt
			}
		}
		return world.Deliver, false
	}}
	m := s.send(p)
	if what == message.Viewed {
		s.view(s.b1, m)
	}
	s.lie = was
	if got == nil {
		s.t.Fatal("no receipt was made")
	}
	return got
}

// unknown tells whether a receipt is of a message that ana does not know: nobody
// can say whether it is good.
func (s *stage) unknown(b []byte) bool {
	rc, err := message.ParseReceipt(b)
	if err != nil {
		return false
	}
	_, _, err = s.a.Engine.Get(s.a.Now(), rc.Message)
	return err != nil
}

// badEnd: a receipt, alone and in an end record, reaches ana's phone and bob's.
func badEnd(f func(s *stage, m *world.Message) []byte) func(s *stage) {
	return func(s *stage) {
		m := s.send(message.Once)
		forged := f(s, m)
		state := message.StateViewed
		if rc, err := message.ParseReceipt(forged); err == nil && rc.What == message.Unsent {
			state = message.StateUnsent
		}
		for _, d := range []*world.Device{s.a, s.b1, s.b2} {
			s.receipt(d, forged)
			s.ended(d, message.EndRecord{Sender: s.ana.ID, Message: m.ID(), State: state, Time: s.Time(), Receipt: forged})
		}
		s.State(m, client.Sent, s.a)
		s.Readable(m, s.b1, s.b2)
	}
}
