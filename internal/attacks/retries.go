package attacks

import (
	"bytes"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/retry"
)

const (
	keyGrab = "a request for a key that nobody entitled makes (the retry receipts of messengers, 2017)"
	refused = "no wrap is made, and to the server it looks like nobody there"
	opens   = "it opens all the same, or when the server is honest again"
)

var retries = Group{"Retry requests and answers", []Attack{
	{"request-by-the-server", keyGrab, refused, ask(func(s *stage, r *retry.Request) (identity.DeviceKey, *world.Account) {
		return s.m.Key, s.bob
	}), ""},
	{"request-by-a-ghost", ghostDevices, refused, ask(func(s *stage, r *retry.Request) (identity.DeviceKey, *world.Account) {
		ghost := s.mallory.NewDevice()
		s.mallory.Devices = s.mallory.Devices[:1]
		r.Device, r.Cert = ghost.ID, ghost.First.Certificate.Hash()
		return ghost.Key, s.bob
	}), ""},
	{"request-by-a-stranger", keyGrab, refused, ask(func(s *stage, r *retry.Request) (identity.DeviceKey, *world.Account) {
		s.as(r, s.m)
		return s.m.Key, s.mallory
	}), ""},
	{"request-by-another-contact", keyGrab + ": carol asks for what went to bob", refused, ask(func(s *stage, r *retry.Request) (identity.DeviceKey, *world.Account) {
		s.as(r, s.c)
		return s.c.Key, s.carol
	}), ""},
	{"request-with-exchanged-keys", mixup, "what ana knows of bob decides, not the keys that came with the request", func(s *stage) {
		m := s.send(message.Keep)
		signed, err := retry.SignRequest(s.request(m), s.b2.Key)
		if err != nil {
			s.t.Fatal(err)
		}
		wrapped := s.wrapsFor(func() { s.asked(s.a, signed.Bytes(), keysOf(s.mallory, s.mallory.List()), m.ID()) })
		if delete(wrapped, s.b2.ID); len(wrapped) != 0 {
			s.t.Fatalf("wrapped for %v", wrapped)
		}
	}, ""},
	{"request-by-another-own-device", mixup, refused, ask(func(s *stage, r *retry.Request) (identity.DeviceKey, *world.Account) {
		return s.b1.Key, s.bob
	}), ""},
	{"request-for-another-certificate", epochSwap, refused, ask(func(s *stage, r *retry.Request) (identity.DeviceKey, *world.Account) {
		r.Cert[0] ^= 1
		return s.b2.Key, s.bob
	}), ""},
	{"request-to-another-account", mixup, refused, ask(func(s *stage, r *retry.Request) (identity.DeviceKey, *world.Account) {
		r.To = s.carol.ID
		return s.b2.Key, s.bob
	}), ""},
	{"request-for-a-message-of-others", keyGrab, refused, ask(func(s *stage, r *retry.Request) (identity.DeviceKey, *world.Account) {
		r.Messages = []message.ID{s.sendFrom(s.a, message.Keep, s.carol)[0].ID()}
		return s.b2.Key, s.bob
	}), ""},
	{"request-for-what-was-viewed", "revival", refused, ask(func(s *stage, r *retry.Request) (identity.DeviceKey, *world.Account) {
		m := s.send(message.Once)
		r.Messages = []message.ID{m.ID()}
		s.view(s.b1, m)
		return s.b2.Key, s.bob
	}), ""},
	{"request-for-what-was-unsent", "revival", refused, ask(func(s *stage, r *retry.Request) (identity.DeviceKey, *world.Account) {
		m := s.send(message.Keep)
		s.over[m] = true
		r.Messages = []message.ID{m.ID()}
		if err := s.a.Step(client.Unsend{ID: m.ID()}); err != nil {
			s.t.Fatal(err)
		}
		s.Run()
		return s.b2.Key, s.bob
	}), ""},
	{"request-for-what-expired", "revival", refused, ask(func(s *stage, r *retry.Request) (identity.DeviceKey, *world.Account) {
		m := s.send(message.Keep)
		s.over[m] = true
		r.Messages = []message.ID{m.ID()}
		s.Advance(31 * 24 * time.Hour)
		for _, other := range s.messages {
			s.over[other] = true
		}
		return s.b2.Key, s.bob
	}), ""},
	{"request-of-a-blocked-account", "the server asks for somebody who is blocked", refused, ask(func(s *stage, r *retry.Request) (identity.DeviceKey, *world.Account) {
		if err := s.a.Step(client.ChangeContact{Account: s.bob.ID, Change: client.Block}); err != nil {
			s.t.Fatal(err)
		}
		s.unblock = true
		return s.b2.Key, s.bob
	}), ""},
	{"request-by-a-removed-device", "a thief's phone asks on after its removal", refused, ask(func(s *stage, r *retry.Request) (identity.DeviceKey, *world.Account) {
		s.bob.Remove(s.b2)
		s.Run()
		s.b2.Stop()
		s.bob.Devices = s.bob.Devices[:1]
		return s.b2.Key, s.bob
	}), ""},
	{"request-bits", malleable, refused + ", whatever bit is changed", func(s *stage) {
		m := s.send(message.Keep)
		r := s.request(m)
		signed, err := retry.SignRequest(r, s.b2.Key)
		if err != nil {
			s.t.Fatal(err)
		}
		good := signed.Bytes()
		wrapped := s.wrapsFor(func() {
			for i := 2; i < len(good); i += 3 {
				s.asked(s.a, flipped(good, i), keysOf(s.bob, s.bob.List()), m.ID())
			}
		})
		if len(wrapped) != 0 {
			s.t.Fatalf("wrapped for %v", wrapped)
		}
	}, ""},
	{"request-cut", malleable, refused, askBytes(func(b []byte) []byte { return b[:len(b)-1] }), ""},
	{"request-extended", malleable, refused, askBytes(func(b []byte) []byte { return append(b, 0) }), ""},
	{"request-empty", malleable, refused, askBytes(func([]byte) []byte { return nil }), ""},
	{"request-of-a-newer-format", "downgrade and confusion of formats", refused, askBytes(func(b []byte) []byte {
		b[1]++
		return b
	}), ""},
	{"request-with-ids-added", "the server adds messages to what the device signed", "what was signed is answered, what was added is not", func(s *stage) {
		wanted, other := s.send(message.Keep), s.send(message.Keep)
		signed, err := retry.SignRequest(s.request(wanted), s.b2.Key)
		if err != nil {
			s.t.Fatal(err)
		}
		var answered []string
		s.tell(lie{call: func(x *world.Exchange) (world.Fate, bool) {
			if q, ok := x.Request.(*resealv1.AddWrapsRequest); ok {
				answered = append(answered, string(q.MessageId))
			}
			return world.Deliver, false
		}})
		s.asked(s.a, signed.Bytes(), keysOf(s.bob, s.bob.List()), wanted.ID(), other.ID())
		for _, id := range answered {
			other := other.ID()
			if id == string(other[:]) {
				s.t.Fatal("answered what was not asked for")
			}
		}
	}, ""},
	{"request-replayed", "a genuine request, again and again", "the same bytes once more; never more wraps than the cap for one device", func(s *stage) {
		m := s.send(message.Keep)
		signed, err := retry.SignRequest(s.request(m), s.b2.Key)
		if err != nil {
			s.t.Fatal(err)
		}
		made := map[string]bool{}
		s.tell(lie{call: func(x *world.Exchange) (world.Fate, bool) {
			if q, ok := x.Request.(*resealv1.AddWrapsRequest); ok && x.Device == s.a {
				for _, b := range q.Wraps {
					made[string(b)] = true
				}
			}
			return world.Deliver, false
		}})
		for range 30 {
			s.asked(s.a, signed.Bytes(), keysOf(s.bob, s.bob.List()), m.ID())
		}
		if len(made) > 1 {
			s.t.Fatalf("%d wraps", len(made))
		}
	}, ""},
	{"requests-without-end", "exhaustion", "bounded work; the next true request is answered", func(s *stage) {
		m := s.send(message.Keep)
		for i := range 400 {
			r := s.request(m)
			r.Nonce[0], r.Nonce[1], r.Nonce[2] = byte(i), byte(i>>8), 1
			signed, err := retry.SignRequest(r, s.m.Key)
			if err != nil {
				s.t.Fatal(err)
			}
			s.asked(s.a, signed.Bytes(), keysOf(s.bob, s.bob.List()), m.ID())
		}
		b3 := s.bob.Device()
		s.Advance(time.Minute)
		s.Readable(m, b3)
	}, ""},
	{"requests-withheld", "suppression", opens, func(s *stage) {
		s.tell(lie{stream: func(_ *world.Device, ev *world.Event) ([]*world.Event, bool) {
			if ev.GetRetry() != nil {
				return nil, true
			}
			return []*world.Event{ev}, false
		}})
		m := s.send(message.Keep)
		b3 := s.bob.Device()
		s.Advance(time.Minute)
		s.hidden(m, b3)
	}, ""},
	{"answers-withheld", "suppression", opens, func(s *stage) {
		m := s.send(message.Keep)
		b3 := s.bob.NewDevice()
		s.tell(aboutWraps(b3, func([][]byte) [][]byte { return nil }))
		if err := b3.Join(); err != nil {
			s.t.Fatal(err)
		}
		b3.Start()
		s.Advance(time.Minute)
		s.hidden(m, b3)
	}, ""},
	{"answer-garbage-first", "a wrong first answer, to settle the request", opens, func(s *stage) {
		m := s.send(message.Keep)
		b3, n := s.bob.NewDevice(), 0
		s.tell(aboutWraps(b3, each(func(b []byte) []byte {
			if n++; n == 1 {
				return flipped(b, -1)
			}
			return b
		})))
		if err := b3.Join(); err != nil {
			s.t.Fatal(err)
		}
		b3.Start()
		s.Run()
		s.Advance(time.Minute)
		s.Advance(time.Hour)
		s.Readable(m, b3)
	}, ""},
	{"answers-garbage", "wrong answers only", "the device waits, shows nothing, and opens with the first true answer", func(s *stage) {
		m := s.send(message.Keep)
		b3 := s.bob.NewDevice()
		s.tell(aboutWraps(b3, each(func(b []byte) []byte { return flipped(b, -1) })))
		if err := b3.Join(); err != nil {
			s.t.Fatal(err)
		}
		b3.Start()
		s.Run()
		for range 20 {
			s.Advance(time.Hour)
		}
		s.hidden(m, b3)
	}, ""},
	{"answer-by-a-co-recipient", "insider forgery in a retry", "no wrap by a device outside the two accounts is tried", func(s *stage) {
		all := s.sendFrom(s.a, message.Keep, s.bob, s.carol)
		b3 := s.bob.NewDevice()
		s.tell(aboutWraps(b3, func([][]byte) [][]byte { return [][]byte{s.last[s.c.ID], s.last[s.b1.ID]} }))
		if err := b3.Join(); err != nil {
			s.t.Fatal(err)
		}
		b3.Start()
		s.Run()
		s.hidden(all[0], b3)
	}, ""},
	{"answers-never-asked-for", "wraps of messages that do not exist", "nothing is kept of them", func(s *stage) {
		for i := range 300 {
			id := make([]byte, 32)
			id[4], id[5] = byte(i), byte(i>>8)
			s.inject(s.b1, &world.Event{Event: &resealv1.EventsResponse_Wraps{Wraps: &resealv1.NewWraps{MessageId: id, Wraps: [][]byte{make([]byte, message.WrapSize)}}}})
		}
		if size := s.b1.State.Size(); size > 100_000 {
			s.t.Fatalf("%d bytes", size)
		}
	}, ""},
	{"retry-closed-made-up", "the server says that a request is settled", opens, func(s *stage) {
		m := s.send(message.Keep)
		closed := 0
		s.tell(lie{stream: func(_ *world.Device, ev *world.Event) ([]*world.Event, bool) {
			q := ev.GetRetry()
			if q == nil {
				return []*world.Event{ev}, false
			}
			r, err := retry.ParseRequest(q.Request)
			if err != nil {
				s.t.Fatal(err)
			}
			id := r.ID()
			closed++
			return []*world.Event{{Event: &resealv1.EventsResponse_RetryClosed{RetryClosed: id[:]}}}, true
		}})
		b3 := s.bob.Device()
		s.Advance(time.Minute)
		s.hidden(m, b3)
	}, ""},
	{"answer-refused-by-a-made-up-end", "the answer to a holder says that the message has ended", "an end that nobody vouches for ends nothing", func(s *stage) {
		m := s.send(message.Keep)
		s.tell(lie{answer: func(x *world.Exchange) bool {
			r, ok := x.Response.(*resealv1.AddWrapsResponse)
			if !ok {
				return false
			}
			rc := s.receiptOf(m, message.Unsent)
			rc.Account, rc.Device = s.ana.ID, s.a.ID
			r.End = message.EndRecord{Sender: s.ana.ID, Message: m.ID(), State: message.StateUnsent, Time: s.Time(), Receipt: rc.Seal(message.R{})}.Encode()
			return true
		}})
		s.bob.Device()
		s.Advance(time.Minute)
		s.Readable(m, s.b1, s.b2)
		s.State(m, client.Sent, s.a)
	}, ""},
	{"answer-stale-for-ever", "the server calls every answer stale", "a bounded number of tries", func(s *stage) {
		n := 0
		s.send(message.Keep)
		s.tell(lie{answer: func(x *world.Exchange) bool {
			r, ok := x.Response.(*resealv1.AddWrapsResponse)
			if ok {
				n++
				r.Stale = []*resealv1.AccountKeys{keysOf(s.bob, s.bob.List())}
			}
			return ok
		}})
		s.bob.Device()
		s.Advance(time.Minute)
		if n > 100 {
			s.t.Fatalf("answered %d times", n)
		}
	}, ""},
}}

// request is what bob's tablet would ask ana for.
func (s *stage) request(m *world.Message) retry.Request {
	l := s.bob.List()
	return retry.Request{
		Account: s.bob.ID, Device: s.b2.ID, Cert: s.b2.First.Certificate.Hash(), ListVersion: l.List.Version, ListHash: l.Hash(),
		To: s.ana.ID, Messages: []message.ID{m.ID()},
	}
}

// as makes it a request of another account's device.
func (s *stage) as(r *retry.Request, d *world.Device) {
	l := d.Account.List()
	r.Account, r.Device, r.Cert = d.Account.ID, d.ID, d.First.Certificate.Hash()
	r.ListVersion, r.ListHash = l.List.Version, l.Hash()
}

// ask: a request, changed by f, signed with the key and served with the keys of
// the account that f gives, gets no wrap from ana.
func ask(f func(s *stage, r *retry.Request) (identity.DeviceKey, *world.Account)) func(s *stage) {
	return func(s *stage) {
		r := s.request(s.send(message.Keep))
		key, of := f(s, &r)
		signed, err := retry.SignRequest(r, key)
		if err != nil {
			s.t.Fatal(err)
		}
		wrapped := s.wrapsFor(func() { s.asked(s.a, signed.Bytes(), keysOf(of, of.List()), r.Messages...) })
		if len(wrapped) != 0 {
			s.t.Fatalf("wrapped for %v", wrapped)
		}
		if s.unblock {
			if err := s.a.Step(client.ChangeContact{Account: s.bob.ID, Change: client.Unblock}); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

func askBytes(f func(b []byte) []byte) func(s *stage) {
	return func(s *stage) {
		m := s.send(message.Keep)
		signed, err := retry.SignRequest(s.request(m), s.b2.Key)
		if err != nil {
			s.t.Fatal(err)
		}
		b := f(bytes.Clone(signed.Bytes()))
		if wrapped := s.wrapsFor(func() { s.asked(s.a, b, keysOf(s.bob, s.bob.List()), m.ID()) }); len(wrapped) != 0 {
			s.t.Fatalf("wrapped for %v", wrapped)
		}
	}
}

// genuineRequest: the same request unchanged is answered. Without this the
// attacks above would prove nothing.
func genuineRequest(s *stage) {
	m := s.send(message.Keep)
	signed, err := retry.SignRequest(s.request(m), s.b2.Key)
	if err != nil {
		s.t.Fatal(err)
	}
	wrapped := s.wrapsFor(func() { s.asked(s.a, signed.Bytes(), keysOf(s.bob, s.bob.List()), m.ID()) })
	if wrapped[s.b2.ID] == 0 {
		s.t.Fatal("a good request is not answered")
	}
}
