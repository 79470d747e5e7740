package attacks

import (
	"bytes"
	"slices"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/wrap"
)

const (
	waits = "the device does not open it, and asks; with a true wrap it opens"
	mixup = "identity misbinding: what belongs together is exchanged"
)

var wraps = Group{"Wraps", []Attack{
	{"wrap-key-altered", malleable, waits, wrapsLie(func(_ *stage, b []byte) []byte { return flipped(b, message.ContextSize+5) }), ""},
	{"wrap-box-altered", malleable, waits, wrapsLie(func(_ *stage, b []byte) []byte { return flipped(b, -1) }), ""},
	{"wrap-label-altered", malleable, waits, wrapsLie(func(_ *stage, b []byte) []byte { return flipped(b, 3) }), ""},
	{"wrap-context-bits", "the context names other lists, keys, certificates or times than those sealed", waits + ", whatever bit is changed", func(s *stage) {
		i := 0
		s.tell(aboutWraps(s.b1, func(all [][]byte) [][]byte {
			i += 7
			return each(func(b []byte) []byte { return flipped(b, 23+i%(message.ContextSize-23)) })(all)
		}))
		for range 40 {
			s.hidden(s.send(message.Keep), s.b1)
		}
	}, ""},
	{"wrap-cut", malleable, waits, wrapsLie(func(_ *stage, b []byte) []byte { return b[:len(b)-1] }), ""},
	{"wrap-extended", malleable, waits, wrapsLie(func(_ *stage, b []byte) []byte { return append(bytes.Clone(b), 0) }), ""},
	{"wrap-empty", malleable, waits, wrapsLie(func(*stage, []byte) []byte { return nil }), ""},
	{"wraps-dropped", "suppression of a device's key", waits, func(s *stage) {
		s.tell(aboutWraps(s.b1, func([][]byte) [][]byte { return nil }))
		m := s.send(message.Keep)
		s.Advance(time.Minute)
		s.hidden(m, s.b1)
		s.Readable(m, s.b2)
	}, ""},
	{"wraps-dropped-once", "suppression of a device's key", "opens by retry, in spite of the lie", func(s *stage) {
		s.tell(altering(s.b1, func(p *resealv1.Pending) { p.Wraps = nil }))
		m := s.send(message.Keep)
		s.Advance(time.Minute)
		s.Readable(m, s.b1, s.b2)
	}, ""},
	{"wrap-of-another-message", mixup, waits, func(s *stage) {
		first := s.wrapOf(s.b1, func() { s.send(message.Keep) })
		s.tell(aboutWraps(s.b1, func([][]byte) [][]byte { return [][]byte{first} }))
		s.hidden(s.send(message.Keep), s.b1)
	}, ""},
	{"wrap-of-another-message-of-one-content", mixup + ": the key is right, the message is not", waits, func(s *stage) {
		c := s.a.Content(false)
		var first []byte
		both := func() []*world.Message {
			all := s.a.SendContent(c, message.Keep, message.MaxLife, s.bob)
			s.Run()
			all[0].ID()
			s.messages = append(s.messages, all...)
			return all
		}
		first = s.wrapOf(s.b1, func() { both() })
		s.tell(aboutWraps(s.b1, func([][]byte) [][]byte { return [][]byte{first} }))
		s.hidden(both()[0], s.b1)
	}, ""},
	{"wrap-of-another-device", mixup, waits, func(s *stage) {
		s.tell(aboutWraps(s.b1, func([][]byte) [][]byte { return [][]byte{s.last[s.b2.ID]} }))
		s.hidden(s.send(message.Keep), s.b1)
	}, ""},
	{"wrap-of-another-account", mixup + ", of one content to two accounts", waits, func(s *stage) {
		s.tell(aboutWraps(s.b1, func([][]byte) [][]byte { return [][]byte{s.last[s.c.ID]} }))
		all := s.sendFrom(s.a, message.Keep, s.bob, s.carol)
		s.hidden(all[0], s.b1)
		s.Readable(all[1], s.c)
	}, ""},
	{"wrap-of-another-kind", "a holder's copy as a received message", "copies are not shown, and wraps of copies open no inbox message", func(s *stage) {
		a2 := s.ana.Device()
		s.tell(altering(a2, func(p *resealv1.Pending) { p.Copy = false }))
		s.send(message.Keep)
		in, err := a2.Engine.Inbox(a2.Now(), true)
		if err != nil || len(in) != 0 {
			s.t.Fatalf("%v, shown %d", err, len(in))
		}
	}, ""},
	{"message-as-a-copy", "a received message as a holder's copy, to hide it", "not taken for a copy; it opens when it is served as what it is", func(s *stage) {
		s.tell(altering(s.b1, func(p *resealv1.Pending) { p.Copy = true }))
		s.hidden(s.send(message.Keep), s.b1)
	}, ""},
	{"wrap-garbage-first", "a bad wrap before the good one, to burn the attempt", "opens", func(s *stage) {
		s.tell(aboutWraps(s.b1, func(all [][]byte) [][]byte {
			return append([][]byte{make([]byte, message.WrapSize), {1}, flipped(all[0], -1)}, all...)
		}))
		s.Readable(s.send(message.Keep), s.b1)
	}, ""},
	{"wrap-garbage-after", "a bad wrap after the good one, to replace it", "opens", func(s *stage) {
		s.tell(aboutWraps(s.b1, func(all [][]byte) [][]byte {
			return append(slices.Clone(all), flipped(all[0], -1), make([]byte, message.WrapSize))
		}))
		s.Readable(s.send(message.Keep), s.b1)
	}, ""},
	{"wraps-without-end", "exhaustion: thousands of bad wraps for one message", "bounded work; a good wrap opens afterwards", func(s *stage) {
		s.tell(aboutWraps(s.b1, func(all [][]byte) [][]byte {
			for range 3000 {
				all = append(all, flipped(all[0], -1))
			}
			return all[1:]
		}))
		s.send(message.Keep)
		if n := s.b1.Engine.Counters().BadWraps; n > 500 {
			s.t.Fatalf("tried %d", n)
		}
	}, ""},
	{"wrap-of-a-newer-format", "downgrade and confusion of formats", "waits for an update; nothing is asked for; the true one opens", func(s *stage) {
		s.tell(aboutWraps(s.b1, each(func(b []byte) []byte {
			b = bytes.Clone(b)
			b[22]++
			return b
		})))
		m := s.send(message.Keep)
		s.State(m, client.Update, s.b1)
	}, ""},
	{"wrap-by-a-co-recipient", "insider forgery: carol knows the key of the content and makes bob a wrap in ana's name with it", waits, func(s *stage) {
		s.forge(func(x *message.Wrap, h message.Header, secret wrap.Secret) []byte {
			x.Context.From.Auth = s.c.First.Auth.Public()
			y, err := wrap.Seal(x.Context, s.b1.First.Key.Public(), s.b1.First.Auth.Public(), s.c.First.Auth, h, secret)
			if err != nil {
				s.t.Fatal(err)
			}
			return y.Encode()
		})
	}, ""},
	{"wrap-by-a-co-recipient-relabelled", "the same, with ana's key written over hers", waits, func(s *stage) {
		s.forge(func(x *message.Wrap, h message.Header, secret wrap.Secret) []byte {
			anas, carols := x.Context.From.Auth, s.c.First.Auth.Public()
			x.Context.From.Auth = carols
			y, err := wrap.Seal(x.Context, s.b1.First.Key.Public(), s.b1.First.Auth.Public(), s.c.First.Auth, h, secret)
			if err != nil {
				s.t.Fatal(err)
			}
			return replaced(y.Encode(), carols[:], anas[:])
		})
	}, ""},
	{"wrap-by-a-third-account", "the same, in her own name", waits, func(s *stage) {
		s.forge(func(x *message.Wrap, h message.Header, secret wrap.Secret) []byte {
			l, cert := s.carol.List(), s.c.First.Certificate
			x.Context.From = message.WrapFrom{
				Account: s.carol.ID, Key: s.carol.Key.Public(), Device: s.c.ID, DeviceKey: s.c.Key.Public(), Auth: s.c.First.Auth.Public(),
				Epoch: 1, Cert: cert.Hash(), ListVersion: l.List.Version, ListHash: l.Hash(), At: s.Time(),
			}
			y, err := wrap.Seal(x.Context, s.b1.First.Key.Public(), s.b1.First.Auth.Public(), s.c.First.Auth, h, secret)
			if err != nil { // no such wrap has a place under the message
				return x.Encode()[:100]
			}
			return y.Encode()
		})
	}, ""},
	{"content-by-a-co-recipient", "invisible salamanders and franking (Dodis et al. 2018): another content under a genuine key", waits, func(s *stage) {
		s.tell(altering(s.b1, func(p *resealv1.Pending) {
			h := s.header(p)
			h.Digest[0] ^= 1
			p.Header, p.Inline = h.Encode(), flipped(p.Inline, 40)
		}))
		s.hidden(s.send(message.Keep), s.b1)
	}, ""},
	{"wrap-after-the-view", "revival of a message that was viewed", "gone is gone: no key is kept", func(s *stage) {
		var p *resealv1.Pending
		s.tell(altering(s.b1, func(q *resealv1.Pending) { p = q }))
		m := s.send(message.Once)
		s.view(s.b2, m)
		s.State(m, client.IsViewed, s.b1, s.b2)
		s.inject(s.b1, &world.Event{Event: &resealv1.EventsResponse_Message{Message: p}})
		id := m.ID()
		s.inject(s.b1, &world.Event{Event: &resealv1.EventsResponse_Wraps{Wraps: &resealv1.NewWraps{MessageId: id[:], Wraps: p.Wraps}}})
		s.State(m, client.IsViewed, s.b1, s.b2)
		if s.b1.Holds(m.Content.CEK[:]) {
			s.t.Fatal("the key came back")
		}
	}, ""},
	{"wrap-after-the-expiry", "a key that comes when the message is over, before anybody looked at the clock", "it is not opened, and no key is kept", func(s *stage) {
		var late [][]byte
		s.tell(aboutWraps(s.b1, func(all [][]byte) [][]byte {
			late = all
			return nil
		}))
		m := s.send(message.Keep)
		s.over[m] = true
		s.Pass(31 * 24 * time.Hour)
		id := m.ID()
		s.inject(s.b1, &world.Event{Event: &resealv1.EventsResponse_Wraps{Wraps: &resealv1.NewWraps{MessageId: id[:], Wraps: late}}})
		if s.b1.Holds(m.Content.CEK[:]) {
			s.t.Fatal("the key is kept")
		}
		s.hidden(m, s.b1)
	}, ""},
	{"wrap-a-week-late", "delay", "opens when it comes", func(s *stage) {
		s.tell(aboutWraps(s.b1, func([][]byte) [][]byte { return nil }))
		m := s.send(message.Keep)
		s.Advance(7 * 24 * time.Hour)
		s.hidden(m, s.b1)
	}, ""},
}}

// wrapsLie: every wrap that bob's phone gets is changed so, in answers too.
func wrapsLie(f func(s *stage, b []byte) []byte) func(s *stage) {
	return func(s *stage) {
		s.tell(aboutWraps(s.b1, each(func(b []byte) []byte { return f(s, b) })))
		m := s.send(message.Keep)
		s.Advance(time.Minute)
		s.hidden(m, s.b1)
		s.Readable(m, s.b2)
	}
}

// forge: carol, who has the content too, makes what bob's phone gets as its wrap.
func (s *stage) forge(f func(x *message.Wrap, h message.Header, secret wrap.Secret) []byte) {
	s.t.Helper()
	var content client.AddContent
	s.tell(altering(s.b1, func(p *resealv1.Pending) {
		x, err := message.ParseWrap(p.Wraps[0])
		if err != nil {
			s.t.Fatal(err)
		}
		h := s.header(p)
		p.Wraps = [][]byte{f(x, h, wrap.Secret{CEK: content.CEK, R: message.R{9}, Digest: h.Digest})}
	}).also(withholding(s.b1, func(ev *world.Event) bool { return ev.GetWraps() != nil })))
	content = s.a.Content(false)
	all := s.a.SendContent(content, message.Keep, message.MaxLife, s.bob, s.carol)
	s.messages = append(s.messages, all...)
	s.Run()
	all[0].ID()
	all[1].ID()
	if before := s.b1.Engine.Counters().BadWraps; before == 0 {
		s.t.Fatal("the wrap was not refused")
	}
	s.hidden(all[0], s.b1)
	s.Readable(all[1], s.c)
}

func (s *stage) header(p *resealv1.Pending) message.Header {
	s.t.Helper()
	h, err := message.ParseHeader(p.Header)
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

// wrapOf is the wrap that f makes somebody send to a device.
func (s *stage) wrapOf(d *world.Device, f func()) []byte {
	f()
	return s.last[d.ID]
}

// view views a message that is read once.
func (s *stage) view(d *world.Device, m *world.Message) {
	s.t.Helper()
	s.over[m] = true
	if err := d.View(m); err != nil {
		s.t.Fatal(err)
	}
}

// replaced is b with one run of bytes written over another of the same length.
func replaced(b, old, fresh []byte) []byte { return bytes.Replace(bytes.Clone(b), old, fresh, 1) }
