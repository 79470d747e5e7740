package attacks

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// Attack is one way in which a server lies.
type Attack struct {
	// Name is unique, of lower-case words joined by hyphens.
	Name string
	// Models says what it stands for, with the paper or incident where there is
	// one.
	Models string
	// Must says what must happen.
	Must string

	// play plays it; nil where Test names the test that does, as
	// "file.go TestName/subtest".
	play func(s *stage)
	Test string
}

// Group is a chapter of the table.
type Group struct {
	Title   string
	Attacks []Attack
}

// stage is where attacks are played: ana with a phone, bob with a phone and a
// tablet, carol who gets what bob gets, and mallory, who has an account like
// anybody. Everybody but mallory knows each other.
type stage struct {
	*world.World
	t *testing.T

	ana, bob, carol, mallory *world.Account
	a, b1, b2, c, m          *world.Device

	lie      lie
	told     int
	messages []*world.Message
	// alarmed: the attack must end with an alarm about bob at ana.
	alarmed bool
	// ownAlarm: a device of bob's may have an alarm about the own account.
	ownAlarm bool
	// unblock: the attack leaves a block to be lifted.
	unblock bool
	// over are the messages that an attack has let end.
	over map[*world.Message]bool
	// wrapped are the devices that something was wrapped for, with the epoch.
	wrapped map[identity.DeviceID]uint64
	// last is the last wrap that was made for each.
	last map[identity.DeviceID][]byte
	keys map[identity.AccountID]identity.AccountPublic
}

// lie is what the server does. Each part may be nil; what it returns tells
// whether it lied.
type lie struct {
	call   func(x *world.Exchange) (world.Fate, bool)
	answer func(x *world.Exchange) bool
	stream func(d *world.Device, ev *world.Event) ([]*world.Event, bool)
}

// Play plays an attack in a fresh world.
func (a Attack) Play(t *testing.T) {
	t.Helper()
	world.Run(t, 1, func(w *world.World) {
		s := &stage{World: w, t: t, keys: map[identity.AccountID]identity.AccountPublic{}, wrapped: map[identity.DeviceID]uint64{}, over: map[*world.Message]bool{}, last: map[identity.DeviceID][]byte{}}
		w.Net, w.Answer, w.Stream = s.net, s.answers, s.streams
		s.ana, s.bob, s.carol, s.mallory = w.Account("ana"), w.Account("bob"), w.Account("carol"), w.Account("mallory")
		s.a, s.b1, s.b2, s.c, s.m = s.ana.Device(), s.bob.Device(), s.bob.Device(), s.carol.Device(), s.mallory.Device()
		s.a.Meet(s.bob)
		s.a.Meet(s.carol)
		s.b1.Meet(s.ana)
		s.b1.Meet(s.carol)
		s.c.Meet(s.ana)
		s.m.Meet(s.bob)
		w.Run()
		for _, x := range []*world.Account{s.ana, s.bob, s.carol, s.mallory} {
			s.keys[x.ID] = x.Key.Public()
		}
		a.play(s)
		if s.told == 0 {
			t.Fatal("the lie was never told")
		}
		s.honest()
		s.after()
	})
}

// tell lets the server lie from now on, to those who connect anew.
func (s *stage) tell(l lie) { s.lie = l }

// reconnect lets devices connect anew, and everything happen that follows.
func (s *stage) reconnect(all ...*world.Device) {
	for _, d := range all {
		if d.Engine != nil {
			d.Disconnect()
			d.Connect()
		}
	}
	s.Run()
}

// honest ends the lies, and gives everybody the time to notice.
func (s *stage) honest() {
	s.lie = lie{}
	for range 3 {
		s.reconnect(s.devices()...)
		s.Advance(time.Hour)
	}
}

func (s *stage) devices() (all []*world.Device) {
	for _, a := range []*world.Account{s.ana, s.bob, s.carol, s.mallory} {
		all = append(all, a.Devices...)
	}
	return all
}

// send sends from ana's phone to bob, and lets everything happen.
func (s *stage) send(p message.Policy) *world.Message { return s.sendFrom(s.a, p, s.bob)[0] }

func (s *stage) sendFrom(d *world.Device, p message.Policy, to ...*world.Account) []*world.Message {
	all := d.SendContent(d.Content(false), p, message.MaxLife, to...)
	s.Run()
	for _, m := range all {
		m.ID()
	}
	s.messages = append(s.messages, all...)
	return all
}

func (s *stage) net(x *world.Exchange) world.Fate {
	s.wraps(x.Device, x.Request)
	if s.lie.call == nil {
		return world.Deliver
	}
	fate, lied := s.lie.call(x)
	s.count(lied)
	return fate
}

func (s *stage) answers(x *world.Exchange) {
	if s.lie.answer != nil && x.Err == nil {
		s.count(s.lie.answer(x))
	}
}

func (s *stage) streams(d *world.Device, ev *world.Event) []*world.Event {
	if s.lie.stream == nil {
		return []*world.Event{ev}
	}
	all, lied := s.lie.stream(d, proto.CloneOf(ev))
	s.count(lied)
	return all
}

func (s *stage) count(lied bool) {
	if lied {
		s.told++
	}
}

// wraps: no key is wrapped for a device outside a list that its account
// published.
func (s *stage) wraps(d *world.Device, req proto.Message) {
	var all [][]byte
	switch q := req.(type) {
	case *resealv1.SendRequest:
		all = slices.Concat(q.Wraps, q.Copies)
	case *resealv1.AddWrapsRequest:
		all = q.Wraps
	}
	for _, b := range all {
		w, err := message.ParseWrap(b)
		if err != nil {
			s.t.Fatalf("%s makes a wrap that does not parse: %v", d.Name, err)
		}
		if !s.listed(w.Context.To) {
			s.t.Fatalf("%s wraps for a device that is in no list of its account: %+v", d.Name, w.Context.To)
		}
		s.wrapped[w.Context.To.Device] = w.Context.To.Epoch
		s.last[w.Context.To.Device] = b
	}
}

func (s *stage) listed(to message.WrapTo) bool {
	for _, a := range []*world.Account{s.ana, s.bob, s.carol, s.mallory} {
		if a.ID != to.Account {
			continue
		}
		l := a.ListAt(to.ListVersion)
		if l == nil && a.List().List.Version == to.ListVersion {
			l = a.List() // old versions are not kept for ever
		}
		if l == nil || l.Hash() != to.ListHash || l.List.Key != to.Key {
			return false
		}
		x, ok := l.Find(to.Device)
		return ok && x.Key == to.DeviceKey
	}
	return false
}

// after checks what must be true after every attack.
func (s *stage) after() {
	s.t.Helper()
	s.shown()
	for _, d := range s.devices() {
		if d.Engine == nil {
			continue
		}
		for _, c := range s.contacts(d) {
			if want, ok := s.keys[c.Account]; ok && c.Key != want {
				s.t.Fatalf("%s has another key pinned for %s", d.Name, c.Handle)
			}
			if alarmed := d == s.a && c.Account == s.bob.ID && s.alarmed; (c.Alarm != "") != alarmed {
				s.t.Fatalf("%s: alarm of %s is %q", d.Name, c.Handle, c.Alarm)
			}
		}
	}
	if s.alarmed {
		if _, err := s.a.TrySend(s.a.Content(false), message.Keep, message.MaxLife, s.bob); err == nil {
			s.t.Fatal("ana sends to bob in spite of the alarm")
		}
		return
	}
	s.send(message.Keep)
	s.sendFrom(s.b1, message.Once, s.ana)
	s.Advance(time.Minute) // whoever has to ask
	for _, m := range s.messages {
		for _, d := range m.To.Devices {
			if d.Engine != nil && !s.over[m] {
				s.Readable(m, d)
			}
		}
	}
}

// shown: whatever a device can open, somebody sent it so.
func (s *stage) shown() {
	s.t.Helper()
	for _, d := range s.devices() {
		if d.Engine == nil {
			continue
		}
		in, err := d.Engine.Inbox(d.Now(), true)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, got := range in {
			o, err := d.Engine.Opening(d.Now(), got.ID)
			if err != nil {
				continue
			}
			i := slices.IndexFunc(s.messages, func(m *world.Message) bool { return m.ID() == got.ID })
			if i < 0 {
				s.t.Fatalf("%s can open a message that nobody sent", d.Name)
			}
			m := s.messages[i]
			if o.CEK != m.Content.CEK || o.Header.Digest != m.Content.Digest || got.Header.Sender != m.From.Account.ID || d.Account != m.To {
				s.t.Fatalf("%s shows a message as it was not sent", d.Name)
			}
		}
	}
}

func (s *stage) contacts(d *world.Device) []client.Contact {
	s.t.Helper()
	all, err := d.Engine.Contacts()
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// contact is what a device knows of an account.
func (s *stage) contact(d *world.Device, a *world.Account) client.Contact {
	s.t.Helper()
	for _, c := range s.contacts(d) {
		if c.Account == a.ID {
			return c
		}
	}
	s.t.Fatalf("%s does not know %s", d.Name, a.Handle)
	return client.Contact{}
}

// step lets a device take an event of a stream.
func (s *stage) step(d *world.Device, ev *world.Event) {
	s.t.Helper()
	if err := d.Step(client.Streamed{Event: ev}); err != nil {
		s.t.Fatal(err)
	}
	s.Run()
}

// hidden fails unless none of the devices can open a message.
func (s *stage) hidden(m *world.Message, on ...*world.Device) {
	s.t.Helper()
	for _, d := range on {
		if d.Opens(m) {
			s.t.Fatalf("%s opens the message", d.Name)
		}
	}
}
