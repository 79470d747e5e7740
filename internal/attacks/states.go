package attacks

import (
	"bytes"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

const keepsBook = "contacts, pins and marks stay; an alarm says that the server serves a wrong book"

var states = Group{"Contact books, times and streams", []Attack{
	{"book-rolled-back", "the server brings back a contact book without a block or a pin", keepsBook, func(s *stage) {
		old := s.book(s.b1)
		if err := s.b1.Step(client.ChangeContact{Account: s.ana.ID, Change: client.Verify, Key: s.ana.Key.Public()}); err != nil {
			s.t.Fatal(err)
		}
		s.Run()
		s.tell(aboutBook(nil, func(b *resealv1.Book) *resealv1.Book { return old }))
		b3 := s.bob.Device()
		s.reconnect(s.b1)
		s.step(s.b1, &world.Event{Event: &resealv1.EventsResponse_BookVersion{BookVersion: 99}})
		if c := s.contact(s.b1, s.ana); !c.Verified {
			s.t.Fatal("the mark is gone")
		}
		if world.Told[client.Alarm](b3)+world.Told[client.Alarm](s.b1) == 0 {
			s.t.Fatal("nobody noticed")
		}
	}, ""},
	{"book-empty", "suppression", keepsBook, bookLie(func(*stage, *resealv1.Book) *resealv1.Book { return &resealv1.Book{Version: 99} }), ""},
	{"book-missing", "suppression", keepsBook, bookLie(func(*stage, *resealv1.Book) *resealv1.Book { return nil }), ""},
	{"book-altered", malleable, keepsBook, bookLie(func(_ *stage, b *resealv1.Book) *resealv1.Book {
		for i, p := range b.Parts {
			b.Parts[i] = flipped(p, len(p)/2)
		}
		return b
	}), ""},
	{"book-cut", malleable, keepsBook, bookLie(func(_ *stage, b *resealv1.Book) *resealv1.Book {
		b.Parts[0] = b.Parts[0][:len(b.Parts[0])/2]
		return b
	}), ""},
	{"book-of-another-account", mixup, keepsBook, bookLie(func(s *stage, _ *resealv1.Book) *resealv1.Book { return s.book(s.a) }), ""},
	{"book-parts-doubled", malleable, keepsBook, bookLie(func(_ *stage, b *resealv1.Book) *resealv1.Book {
		b.Parts = append(b.Parts, b.Parts...)
		return b
	}), ""},
	{"book-version-absurd", "false versions, to make devices write without end", "a bounded number of reads and writes", func(s *stage) {
		n := 0
		s.tell(lie{call: func(x *world.Exchange) (world.Fate, bool) {
			switch x.Request.(type) {
			case *resealv1.GetBookRequest, *resealv1.PutBookRequest:
				n++
			}
			return world.Deliver, false
		}})
		for range 50 {
			s.inject(s.b1, &world.Event{Event: &resealv1.EventsResponse_BookVersion{BookVersion: 1 << 63}})
		}
		if n > 200 {
			s.t.Fatalf("%d calls", n)
		}
	}, ""},
	{"clock-a-year-ahead", "false times, to let everything expire", "messages stay until they expire by the device's own clock", clockLie(365 * 24 * time.Hour), ""},
	{"clock-a-year-behind", "false times, to let nothing expire", "messages expire by the device's own clock", clockLie(-365 * 24 * time.Hour), ""},
	{"clock-a-day-ahead", "false times", "nothing is lost", clockLie(24 * time.Hour), ""},
	{"clock-an-hour-behind", "false times", "nothing is lost", clockLie(-time.Hour), ""},
	{"clock-behind-for-expired", "the server turns its clock back, to bring back what expired", "what has expired by the device's clock does not open", func(s *stage) {
		m := s.send(message.Keep)
		s.over[m] = true
		s.told++
		s.ServerSkew = -40 * 24 * time.Hour
		s.Advance(31 * 24 * time.Hour)
		s.reconnect(s.b1, s.b2)
		s.hidden(m, s.b1, s.b2)
		s.ServerSkew = 0
	}, ""},
	{"events-of-no-kind", "events that this version does not know", "they are passed over", func(s *stage) {
		for range 20 {
			s.inject(s.b1, &world.Event{Entry: []byte{1, 2, 3}})
		}
	}, ""},
	{"resync-without-end", "exhaustion", "each costs a sync and nothing else", func(s *stage) {
		s.tell(lie{stream: func(d *world.Device, ev *world.Event) ([]*world.Event, bool) {
			if d != s.b1 || ev.GetMessage() == nil {
				return []*world.Event{ev}, false
			}
			all := []*world.Event{ev}
			for range 20 {
				all = append(all, &world.Event{Event: &resealv1.EventsResponse_Resync{Resync: true}})
			}
			return all, true
		}})
		s.Readable(s.send(message.Keep), s.b1)
	}, ""},
	{"account-closed-made-up", "the server says that a contact closed his account", "shown as the server's word; nothing of the contact is lost", func(s *stage) {
		m := s.sendFrom(s.b1, message.Keep, s.ana)[0]
		s.inject(s.a, &world.Event{Event: &resealv1.EventsResponse_AccountClosed{AccountClosed: s.bob.ID[:]}})
		s.Readable(m, s.a)
		if c := s.contact(s.a, s.bob); c.Key != s.bob.Key.Public() {
			s.t.Fatal("the pin is gone")
		}
	}, ""},
	{"notices-made-up", "the server frightens: recovery tried, password changed, reset", "shown, and nothing else", func(s *stage) {
		before := s.contact(s.a, s.bob)
		for what := range resealv1.AccountNotice_What_name {
			s.inject(s.a, &world.Event{Event: &resealv1.EventsResponse_Notice{Notice: &resealv1.AccountNotice{
				What: resealv1.AccountNotice_What(what), AtMs: 1<<64 - 1, DueMs: 1<<64 - 1, DeviceId: []byte{1},
			}}})
		}
		s.unchanged(before)
	}, ""},
	{"session-ended-made-up", "the server says that the session is over", "the device looks, and goes on", func(s *stage) {
		s.tell(lie{stream: func(d *world.Device, ev *world.Event) ([]*world.Event, bool) {
			return []*world.Event{{Event: &resealv1.EventsResponse_Sessions{Sessions: true}}, ev}, d == s.b1
		}})
		s.Readable(s.send(message.Keep), s.b1)
		if s.b1.Ended {
			s.t.Fatal("it gave up")
		}
	}, ""},
	{"strangers-without-end", "keys of thousands of accounts that nobody asked for", "none of them becomes a contact", func(s *stage) {
		n := len(s.contacts(s.b2))
		for i := range 300 {
			k := keysOf(s.mallory, s.mallory.List())
			k.AccountId = bytes.Clone(k.AccountId)
			k.AccountId[0], k.AccountId[1] = byte(i), byte(i>>8)
			s.learn(s.b2, k)
		}
		if len(s.contacts(s.b2)) != n {
			s.t.Fatal("there are more contacts")
		}
	}, ""},
	{"senders-without-end", "messages of thousands of accounts that do not exist", "little is kept, and true messages open", func(s *stage) {
		size := s.b1.State.Size()
		s.tell(lie{answer: func(x *world.Exchange) bool {
			r, ok := x.Response.(*resealv1.GetAccountsResponse)
			if ok && x.Device == s.b1 {
				r.Accounts = nil
			}
			return ok
		}})
		for i := range 600 {
			h := message.Header{
				Kind: message.KindContent, Sender: identity.AccountID{byte(i), byte(i >> 8), 1}, Recipient: s.bob.ID, SenderDevice: identity.DeviceID{1},
				Created: s.Time(), Expires: s.Time().Add(time.Hour), Policy: message.Keep, Suite: 1, Length: 8000, Digest: message.Digest{byte(i)},
			}
			h.ID = message.NewID(h.Created.Day(), h.Sender, h.Recipient, message.ClientID{1}, h.Digest)
			p := &resealv1.Pending{Header: h.Encode(), Inline: make([]byte, 8000), Segments: []byte("x"), Wraps: [][]byte{make([]byte, message.WrapSize)}}
			s.inject(s.b1, &world.Event{Event: &resealv1.EventsResponse_Message{Message: p}})
		}
		if more := s.b1.State.Size() - size; more > 3<<20 {
			s.t.Fatalf("%d bytes are kept", more)
		}
	}, ""},
}}

// aboutBook lies about the book that is served; nil for d means every device.
func aboutBook(d *world.Device, f func(b *resealv1.Book) *resealv1.Book) lie {
	return lie{answer: func(x *world.Exchange) bool {
		r, ok := x.Response.(*resealv1.GetBookResponse)
		if ok && (d == nil || x.Device == d) {
			r.Book = f(r.Book)
		}
		return ok
	}}
}

// book is the book of a device's account, as the server has it now.
func (s *stage) book(d *world.Device) (b *resealv1.Book) {
	s.t.Helper()
	was := s.lie
	s.lie = aboutBook(d, func(got *resealv1.Book) *resealv1.Book {
		b = got
		return got
	})
	s.step(d, &world.Event{Event: &resealv1.EventsResponse_BookVersion{BookVersion: 98}})
	s.lie = was
	if b == nil {
		s.t.Fatal("no book was read")
	}
	return b
}

// bookLie: bob's devices, a fresh one among them, are served this as the book.
func bookLie(f func(s *stage, b *resealv1.Book) *resealv1.Book) func(s *stage) {
	return func(s *stage) {
		s.book(s.b1) // there is one
		other := s.book(s.a)
		s.tell(aboutBook(nil, func(b *resealv1.Book) *resealv1.Book {
			if bytes.Equal(bytes.Join(b.GetParts(), nil), bytes.Join(other.Parts, nil)) {
				return b // ana's own
			}
			return f(s, b)
		}))
		b3 := s.bob.Device()
		s.step(s.b1, &world.Event{Event: &resealv1.EventsResponse_BookVersion{BookVersion: 99}})
		if c := s.contact(s.b1, s.ana); !c.Accepted || c.Key != s.ana.Key.Public() {
			s.t.Fatalf("%+v", c)
		}
		s.Readable(s.send(message.Keep), s.b1, s.b2)
		s.honest()
		s.Readable(s.sendFrom(b3, message.Keep, s.ana)[0], s.a)
	}
}

// clockLie: the server's clock is off, and everybody is told so.
func clockLie(by time.Duration) func(s *stage) {
	return func(s *stage) {
		m := s.send(message.Keep)
		s.told++
		s.ServerSkew = by
		s.reconnect(s.devices()...)
		s.Advance(time.Hour)
		s.Advance(time.Hour)
		s.Readable(m, s.b1, s.b2)
		late := s.send(message.Keep)
		s.ServerSkew = 0
		s.honest()
		s.Readable(m, s.b1, s.b2)
		s.Readable(late, s.b1, s.b2)
	}
}
