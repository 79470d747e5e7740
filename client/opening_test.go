package client_test

import (
	"crypto/rand"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/wrap"
)

// opening is a message of ana's to bob's phone, whose parts a case alters before
// they are sealed (so that nothing but one check can refuse it) or after.
type opening struct {
	w           *world.World
	ana, bob    *world.Account
	a, b, other *world.Device
	header      message.Header
	secret      wrap.Secret
	ctx         message.WrapContext
	auth        identity.EpochAuthKey
	to          *client.EpochKeys
	now         identity.Time
	// What the server hands out, made by seal; a case may alter it again.
	pending *resealv1.Pending
	setup   func(step func(client.Event) client.Output)
	copy    bool
}

func newOpening(w *world.World) *opening {
	o := &opening{w: w, ana: w.Account("ana"), bob: w.Account("bob")}
	o.a, o.b, o.other = o.ana.Device(), o.bob.Device(), o.bob.Device()
	o.b.Meet(o.ana)
	w.Run()
	o.now, o.auth, o.to = w.Time(), o.a.First.Auth, o.b.First
	_, _ = rand.Read(o.secret.CEK[:])
	_, _ = rand.Read(o.secret.R[:])
	_, _ = rand.Read(o.secret.Digest[:])
	o.header = message.Header{
		Kind: message.KindContent, Sender: o.ana.ID, Recipient: o.bob.ID, SenderDevice: o.a.ID, Created: o.now, Expires: o.now.Add(time.Hour),
		Policy: message.Once, Suite: message.Cobblestone256, Length: 3, Digest: o.secret.Digest,
	}
	o.header.ID = message.NewID(o.now.Day(), o.ana.ID, o.bob.ID, message.ClientID{1}, o.secret.Digest)
	from, to := o.ana.List(), o.bob.List()
	o.ctx = message.WrapContext{
		From: message.WrapFrom{
			Account: o.ana.ID, Key: from.List.Key, Device: o.a.ID, DeviceKey: o.a.Key.Public(), Auth: o.auth.Public(), Epoch: 1,
			Cert: o.a.First.Certificate.Hash(), ListVersion: from.List.Version, ListHash: from.Hash(), At: o.now,
		},
		To: message.WrapTo{
			Account: o.bob.ID, Key: to.List.Key, Device: o.b.ID, DeviceKey: o.b.Key.Public(), Epoch: 1,
			Cert: o.b.First.Certificate.Hash(), ListVersion: to.List.Version, ListHash: to.Hash(),
		},
	}
	return o
}

func (o *opening) seal(t *testing.T) {
	t.Helper()
	x, err := wrap.Seal(o.ctx, o.to.Key.Public(), o.to.Auth.Public(), o.auth, o.header, o.secret)
	if err != nil {
		t.Fatal(err)
	}
	o.pending = &resealv1.Pending{Header: o.header.Encode(), Inline: []byte("abc"), Segments: []byte("s"), Wraps: [][]byte{x.Encode()}, Copy: o.copy}
}

// seen is what the recipient's engine made of it.
type seen struct {
	state               client.MessageState
	ready               bool
	count               client.Counters
	asked, keys, certs  int
	alarms              int
	kept                int // records of messages
	resolved, certified []client.Call
	engine              *client.Engine
	section             *world.State
	clock               client.Clock
}

// open hands the message to a fresh engine on a copy of bob's phone's section.
func (o *opening) open(t *testing.T) *seen {
	t.Helper()
	s := &seen{section: o.b.State.Clone(), clock: client.Clock{Wall: o.w.Time(), Server: o.w.Time()}}
	var err error
	if s.engine, err = client.Open(s.section, rand.Reader); err != nil {
		t.Fatal(err)
	}
	s.step(t, client.Connected{})
	s.step(t, client.Synced{Through: o.w.Time().Day() + 1})
	if o.setup != nil {
		o.setup(func(ev client.Event) client.Output { return s.step(t, ev) })
	}
	*s = seen{section: s.section, clock: s.clock, engine: s.engine}
	before := s.engine.Counters()
	s.step(t, client.Streamed{Event: &resealv1.EventsResponse{Entry: []byte{1}, Event: &resealv1.EventsResponse_Message{Message: o.pending}}})
	s.count = s.engine.Counters()
	s.count.Alarms -= before.Alarms
	s.look(o.header.ID)
	return s
}

func (s *seen) look(id message.ID) {
	if m, sent, err := s.engine.Get(s.clock.Wall, id); err == nil && !sent {
		s.state = m.State
	}
	s.kept = len(s.section.Names("in/")) + len(s.section.Names("out/"))
}

func (s *seen) step(t *testing.T, ev client.Event) client.Output {
	t.Helper()
	out, err := s.engine.Step(s.clock, ev)
	if err != nil {
		t.Fatalf("%T: %v", ev, err)
	}
	s.section.Commit(out.Batch)
	for _, f := range out.Effects {
		switch f := f.(type) {
		case client.Call:
			switch f.Request.(type) {
			case *resealv1.AskRetryRequest:
				s.asked++
			case *resealv1.GetAccountsRequest:
				s.keys++
				s.resolved = append(s.resolved, f)
			case *resealv1.GetCertificatesRequest:
				s.certs++
				s.certified = append(s.certified, f)
			}
		case client.Show:
			switch f.Notice.(type) {
			case client.Ready:
				s.ready = true
			case client.Alarm:
				s.alarms++
			}
		}
	}
	return out
}

// refused: it counts as no wrap, and holders are asked.
func (s *seen) refused(t *testing.T) {
	t.Helper()
	if s.ready || s.state != client.Waiting || s.count.BadWraps != 1 || s.asked == 0 {
		t.Fatalf("not refused as no wrap: %+v", s)
	}
}

// held: it is neither shown nor asked for.
func (s *seen) held(t *testing.T) {
	t.Helper()
	if s.ready || s.count.BadWraps != 0 || s.asked != 0 {
		t.Fatalf("not held: %+v", s)
	}
}

func refused(t *testing.T, s *seen) { t.Helper(); s.refused(t) }

func dropped(t *testing.T, s *seen) {
	t.Helper()
	if s.ready || s.kept != 0 || s.count.BadHeaders != 1 {
		t.Fatalf("not dropped: %+v", s)
	}
}

// learned is an answer of the server about ana.
func learned(o *opening, l *identity.SignedList) client.Event {
	return client.Learned{Accounts: []*resealv1.AccountKeys{{
		AccountId: o.ana.ID[:], List: l.Bytes(), Certificates: [][]byte{o.a.First.Certificate.Bytes()},
	}}}
}

// fork is another list of ana's present version.
func fork(t *testing.T, o *opening) client.Event {
	t.Helper()
	l := o.ana.List().List
	l.IssuedAt++
	return learned(o, o.ana.Sign(l))
}

// TestOpeningChecks has cases for every line of spec/message.md, section 7.
func TestOpeningChecks(t *testing.T) {
	for _, c := range openingCases {
		t.Run(c.name, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				o := newOpening(w)
				if c.before != nil {
					c.before(t, o)
				}
				o.seal(t)
				if c.after != nil {
					c.after(t, o)
				}
				c.want(t, o.open(t))
			})
		})
	}
}

// Whatever single byte of a wrap or header is altered, nothing opens.
func TestNoAlteredByteOpens(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		o := newOpening(w)
		o.seal(t)
		good := o.pending
		for i := range message.WrapSize {
			// All of the context; of enc and box a sample, for they are sealed.
			if i > 415 && i%37 != 0 {
				continue
			}
			x := append([]byte(nil), good.Wraps[0]...)
			x[i] ^= 0x10
			o.pending = &resealv1.Pending{Header: good.Header, Inline: good.Inline, Segments: good.Segments, Wraps: [][]byte{x}}
			if s := o.open(t); s.ready || s.alarms != 0 {
				t.Fatalf("byte %d of the wrap", i)
			}
		}
		for i := range message.HeaderSize {
			x := append([]byte(nil), good.Header...)
			x[i] ^= 0x10
			o.pending = &resealv1.Pending{Header: x, Inline: good.Inline, Segments: good.Segments, Wraps: good.Wraps}
			if s := o.open(t); s.ready {
				t.Fatalf("byte %d of the header", i)
			}
		}
	})
}

// A wrap by another device of the own account is as good as the sender's.
func TestWrapByOwnDeviceOpens(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		o := newOpening(w)
		l := o.bob.List()
		o.ctx.From = message.WrapFrom{
			Account: o.bob.ID, Key: l.List.Key, Device: o.other.ID, DeviceKey: o.other.Key.Public(), Auth: o.other.First.Auth.Public(),
			Epoch: 1, Cert: o.other.First.Certificate.Hash(), ListVersion: l.List.Version, ListHash: l.Hash(), At: o.now,
		}
		o.auth = o.other.First.Auth
		o.seal(t)
		if s := o.open(t); !s.ready {
			t.Fatalf("%+v", s)
		}
	})
}
