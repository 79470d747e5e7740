package attacks

import (
	"slices"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

const (
	aad    = "what is not authenticated is the server's to choose (EFAIL 2018)"
	absent = "it counts as not there; with the true header it opens"
)

var headers = Group{"Headers and queues", []Attack{
	{"header-sender", "a message in somebody else's name", absent, headerLie(func(s *stage, h *message.Header) { h.Sender = s.carol.ID }), ""},
	{"header-sender-device", mixup, absent, headerLie(func(s *stage, h *message.Header) { h.SenderDevice = s.c.ID }), ""},
	{"header-recipient", "surreptitious forwarding (Davis 2001)", absent, headerLie(func(s *stage, h *message.Header) { h.Recipient = s.mallory.ID }), ""},
	{"header-id", "another name for the message, to have it twice", absent, headerLie(func(_ *stage, h *message.Header) { h.ID[20] ^= 1 }), ""},
	{"header-day", "another day, to have it kept elsewhere", absent, headerLie(func(_ *stage, h *message.Header) { h.ID[3]++ }), ""},
	{"header-created", aad, absent, headerLie(func(_ *stage, h *message.Header) { h.Created = h.Created.Add(-time.Minute) }), ""},
	{"header-expires-later", "a message that outlives what its sender said", absent, headerLie(func(_ *stage, h *message.Header) {
		h.Expires = h.Created.Add(message.MaxLife - time.Second)
	}), ""},
	{"header-expires-sooner", "a message that is dropped early", "not shown; it opens with the true header, and until its true expiry", headerLie(func(_ *stage, h *message.Header) {
		h.Expires = h.Created.Add(time.Hour)
	}), ""},
	{"header-once-to-keep", "a view-once photo that stays", absent, func(s *stage) {
		s.tell(altering(s.b1, func(p *resealv1.Pending) {
			h := s.header(p)
			h.Policy = message.Keep
			p.Header = h.Encode()
		}))
		s.hidden(s.send(message.Once), s.b1)
	}, ""},
	{"header-keep-to-once", "a message that goes with its first view", absent, headerLie(func(_ *stage, h *message.Header) { h.Policy = message.Once }), ""},
	{"header-kind", "confusion of kinds", absent, headerLie(func(_ *stage, h *message.Header) { h.Kind = 2 }), ""},
	{"header-suite", "downgrade of the cipher", absent, headerLie(func(_ *stage, h *message.Header) { h.Suite = 2 }), ""},
	{"header-blob", "another ciphertext", absent, headerLie(func(_ *stage, h *message.Header) { h.Blob[0] = 1 }), ""},
	{"header-length", "truncation", absent, headerLie(func(_ *stage, h *message.Header) { h.Length-- }), ""},
	{"header-digest", "another content", absent, headerLie(func(_ *stage, h *message.Header) { h.Digest[31] ^= 1 }), ""},
	{"header-rewrapper", "a header that names who made another wrap", absent, headerLie(func(s *stage, h *message.Header) {
		*h = h.WithRewrapper(s.bob.ID, s.b2.ID)
	}), ""},
	{"header-of-another-message", mixup, "a wrap opens nothing under another header; by retry the right one comes", func(s *stage) {
		var first *resealv1.Pending
		s.tell(altering(s.b1, func(p *resealv1.Pending) {
			if first == nil {
				first = p
				return
			}
			p.Wraps = first.Wraps
		}))
		s.send(message.Keep)
		s.send(message.Keep)
		if s.b1.Engine.Counters().BadWraps == 0 {
			s.t.Fatal("the wrap was taken")
		}
	}, ""},
	{"header-bits", malleable, absent + ", whatever bit is changed", func(s *stage) {
		i := 1
		s.tell(altering(s.b1, func(p *resealv1.Pending) {
			i += 5
			p.Header = flipped(p.Header, i%(message.HeaderSize-32)) // behind it a rewrapper
		}))
		for range 42 {
			s.hidden(s.send(message.Keep), s.b1)
		}
	}, ""},
	{"header-cut", malleable, absent, bytesLie(func(b []byte) []byte { return b[:100] }), ""},
	{"header-extended", malleable, absent, bytesLie(func(b []byte) []byte { return append(b, 0) }), ""},
	{"header-empty", malleable, absent, bytesLie(func([]byte) []byte { return nil }), ""},
	{"header-of-a-newer-format", "downgrade and confusion of formats", "waits for an update; the true one opens", bytesLie(func(b []byte) []byte {
		b[1]++
		return b
	}), ""},
	{"message-to-another-account", "misdelivery", "mallory's device takes nothing that is not for her", func(s *stage) {
		var p *resealv1.Pending
		s.tell(altering(s.b1, func(q *resealv1.Pending) { p = q }))
		s.send(message.Keep)
		s.inject(s.m, &world.Event{Event: &resealv1.EventsResponse_Message{Message: p}})
		in, err := s.m.Engine.Inbox(s.m.Now(), true)
		if err != nil || len(in) != 0 {
			s.t.Fatalf("%v, %d messages", err, len(in))
		}
	}, ""},
	{"message-doubled", "replay", "one message, one notice", func(s *stage) {
		s.tell(aboutMessages(s.b1, func(p *resealv1.Pending) []*resealv1.Pending { return slices.Repeat([]*resealv1.Pending{p}, 20) }))
		s.send(message.Keep)
		s.reconnect(s.b1)
		in, err := s.b1.Engine.Inbox(s.b1.Now(), true)
		if n := world.Told[client.Ready](s.b1); err != nil || len(in) != 1 || n != 1 {
			s.t.Fatalf("%v, %d messages, told %d times", err, len(in), n)
		}
	}, ""},
	{"messages-reordered", "reordering", "all open, each as it was sent", func(s *stage) {
		var held []*resealv1.Pending
		s.tell(aboutMessages(s.b1, func(p *resealv1.Pending) []*resealv1.Pending {
			if held = append(held, p); len(held) < 8 {
				return nil
			}
			slices.Reverse(held)
			return held
		}))
		for range 8 {
			s.send(message.Keep)
		}
		s.Readable(s.messages[0], s.b1)
		s.Readable(s.messages[7], s.b1)
	}, ""},
	{"message-after-its-unsend", "revival", "gone is gone", func(s *stage) {
		var p *resealv1.Pending
		s.tell(altering(s.b1, func(q *resealv1.Pending) { p = q }))
		m := s.send(message.Keep)
		s.over[m] = true
		if err := s.a.Step(client.Unsend{ID: m.ID()}); err != nil {
			s.t.Fatal(err)
		}
		s.Run()
		s.inject(s.b1, &world.Event{Event: &resealv1.EventsResponse_Message{Message: p}})
		s.State(m, client.IsUnsent, s.b1)
		if s.b1.Holds(m.Content.CEK[:]) {
			s.t.Fatal("the key came back")
		}
	}, ""},
	{"message-after-its-expiry", "revival, whatever the server says", "expired by the device's own clock", func(s *stage) {
		var p *resealv1.Pending
		s.tell(aboutMessages(s.b1, func(q *resealv1.Pending) []*resealv1.Pending {
			p = q
			return nil
		}))
		m := s.send(message.Keep)
		s.over[m] = true
		s.Advance(31 * 24 * time.Hour)
		s.inject(s.b1, &world.Event{Event: &resealv1.EventsResponse_Message{Message: p}})
		s.hidden(m, s.b1, s.b2)
	}, ""},
	{"message-withheld", "suppression", "nothing can show it; it opens when the server serves it again", func(s *stage) {
		s.tell(aboutMessages(s.b1, func(*resealv1.Pending) []*resealv1.Pending { return nil }))
		m := s.send(message.Keep)
		s.hidden(m, s.b1)
		s.Readable(m, s.b2)
	}, ""},
	{"send-swallowed", "the server acknowledges a send and keeps nothing", "the sender shows it as sent but never as received; no other message suffers", func(s *stage) {
		s.tell(lie{call: func(x *world.Exchange) (world.Fate, bool) {
			_, ok := x.Request.(*resealv1.SendRequest)
			return world.Deliver, ok
		}, stream: func(d *world.Device, ev *world.Event) ([]*world.Event, bool) {
			return nil, ev.GetMessage() != nil
		}})
		m := s.send(message.Keep)
		s.hidden(m, s.b1, s.b2)
		if got, _, err := s.a.Engine.Get(s.a.Now(), m.ID()); err != nil || len(got.Receipts) != 0 {
			s.t.Fatalf("%v, %d receipts", err, len(got.Receipts))
		}
	}, ""},
	{"send-stale-for-ever", "the server calls every send stale, with the same list", "a bounded number of tries; other messages go on", func(s *stage) {
		n := 0
		s.tell(lie{answer: func(x *world.Exchange) bool {
			r, ok := x.Response.(*resealv1.SendResponse)
			if ok {
				n++
				r.Stale = []*resealv1.AccountKeys{keysOf(s.bob, s.bob.List())}
			}
			return ok
		}})
		s.send(message.Keep)
		s.Advance(time.Minute)
		if n > 50 {
			s.t.Fatalf("sent %d times", n)
		}
	}, ""},
	{"send-ended-by-a-made-up-end", "the answer to a send says that the message has ended", "an end that nobody vouches for ends nothing", func(s *stage) {
		s.tell(lie{answer: func(x *world.Exchange) bool {
			r, ok := x.Response.(*resealv1.SendResponse)
			if !ok {
				return false
			}
			h, err := message.ParseHeader(x.Request.(*resealv1.SendRequest).Header)
			if err != nil {
				s.t.Fatal(err)
			}
			rc := message.Receipt{Message: h.ID, Account: s.bob.ID, Device: s.b1.ID, What: message.Viewed, Time: s.Time()}
			r.End = message.EndRecord{Sender: h.Sender, Message: h.ID, State: message.StateViewed, Time: s.Time(), Receipt: rc.Seal(message.R{})}.Encode()
			return true
		}})
		m := s.send(message.Once)
		s.State(m, client.Sent, s.a)
	}, ""},
}}

func headerLie(f func(s *stage, h *message.Header)) func(s *stage) {
	return func(s *stage) {
		s.tell(altering(s.b1, func(p *resealv1.Pending) {
			h := s.header(p)
			f(s, &h)
			p.Header = h.Encode()
		}))
		m := s.send(message.Keep)
		s.Advance(time.Minute)
		s.hidden(m, s.b1)
		s.Readable(m, s.b2)
	}
}

func bytesLie(f func(b []byte) []byte) func(s *stage) {
	return func(s *stage) {
		s.tell(altering(s.b1, func(p *resealv1.Pending) { p.Header = f(slices.Clone(p.Header)) }))
		m := s.send(message.Keep)
		s.Advance(time.Minute)
		s.hidden(m, s.b1)
	}
}
