package client_test

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// big is an inline content of the largest size, so that few fill a share.
func big(d *world.Device) client.AddContent {
	c := d.Content(false)
	c.Inline = make([]byte, message.MaxInline)
	copy(c.Inline, c.ID[:])
	c.Digest, c.Length = sha256.Sum256(c.Inline), message.MaxInline
	return c
}

func sendBig(w *world.World, from *world.Device, to *world.Account) *world.Message {
	m := from.SendContent(big(from), message.Keep, message.MaxLife, to)[0]
	w.Run()
	return m
}

// from are bytes on their way: a message of any account with a body of a size,
// without a wrap.
func from(w *world.World, sender identity.AccountID, n uint32, to *world.Account, size int) *resealv1.EventsResponse {
	body := make([]byte, size)
	binary.BigEndian.PutUint32(body, n)
	h := message.Header{
		Kind: message.KindContent, Sender: sender, Recipient: to.ID, SenderDevice: identity.DeviceID{1},
		Created: w.Time(), Expires: w.Time().Add(message.MaxLife), Policy: message.Keep, Suite: message.Cobblestone256,
		Length: uint64(size), Digest: sha256.Sum256(body),
	}
	h.ID = message.NewID(h.Created.Day(), sender, to.ID, message.ClientID{1}, h.Digest)
	return &resealv1.EventsResponse{Entry: binary.BigEndian.AppendUint32(nil, n), Event: &resealv1.EventsResponse_Message{
		Message: &resealv1.Pending{Header: h.Encode(), Inline: body, Segments: []byte("segments")},
	}}
}

func leftDays(d *world.Device) int { return len(d.State.Names("left/")) }

// One stranger with thousands of messages takes his share of the section and no
// more, and everything else goes on.
func TestAStrangerFillsHisShareOnly(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob, a, b1, b2 := pair(w)
		mallory := identity.AccountID{77}
		for n := range uint32(5000) {
			ev := from(w, mallory, n, ana, message.MaxInline)
			ev.Entry = nil // so that there is nothing to acknowledge
			must(t, a.Step(client.Streamed{Event: ev}))
		}
		if n := len(a.State.Names("in/")); n == 0 || n > 32 {
			t.Fatalf("%d messages are stored", n)
		}
		// Another one finds room, and so does the next.
		for n := range byte(3) {
			other := from(w, identity.AccountID{78 + n}, uint32(n), ana, message.MaxInline)
			other.Entry = nil
			before := len(a.State.Names("in/"))
			must(t, a.Step(client.Streamed{Event: other}))
			if got := len(a.State.Names("in/")); got != before+1 {
				t.Errorf("stranger %d after the first has no room: %d messages, before %d", n+1, got, before)
			}
		}
		if n := a.State.Size(); n > 2<<20 {
			t.Fatalf("the section has %d bytes", n)
		}
		if leftDays(a) != 1 {
			t.Fatal("the day of what was left is not noted")
		}
		if n := world.Told[client.NoRoom](a); n != 1 {
			t.Fatalf("told %d times", n)
		}
		w.Run()
		w.Readable(sent(w, a, message.Once, bob), b1, b2)
		w.Readable(sent(w, b1, message.Once, ana), a)
		a.Disconnect()
		a.Connect()
		w.Run()
		w.Readable(sent(w, b1, message.Once, ana), a)
	})
}

// crowded has a device full of strangers' messages, half of them of one; another
// one's is left.
func crowded(t *testing.T, w *world.World) (a, e *world.Device, eve *world.Account, mallory *world.Account, theirs []*world.Message, left *world.Message) {
	t.Helper()
	_, _, a, _, _ = pair(w)
	eve, mallory = w.Account("eve"), w.Account("mallory")
	e = eve.Device()
	for range 32 { // one too many for half of the room
		theirs = append(theirs, sendBig(w, e, a.Account))
	}
	stored := 0
	for _, m := range theirs {
		if a.Is(m) == client.IsReady {
			stored++
		}
	}
	if stored != 31 || leftDays(a) != 1 {
		t.Fatalf("%d of the stranger's messages are here", stored)
	}
	// Each of the next takes half of what is left, until there is nothing.
	for n, name := range []string{"frank", "grace", "heidi", "ivan", "judy"} {
		d := w.Account(name).Device()
		for range 16 >> n {
			if m := sendBig(w, d, a.Account); a.Is(m) != client.IsReady {
				t.Fatalf("%s has no room", name)
			}
		}
	}
	left = sendBig(w, mallory.Device(), a.Account)
	if a.Is(left) != "" || leftDays(a) != 1 {
		t.Fatal("nothing was left")
	}
	return a, e, eve, mallory, theirs, left
}

func TestWhatWasLeftComesWhenItsSenderIsAccepted(t *testing.T) {
	for name, restarts := range map[string]bool{"at once": false, "by a process that dies": true} {
		t.Run(name, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				a, _, _, mallory, theirs, left := crowded(t, w)
				a.Meet(mallory)
				if restarts {
					a.Start()
				}
				w.Run()
				w.Readable(left, a)
				w.State(left, client.Sent, left.From)
				if a.Is(theirs[31]) != "" {
					t.Error("a stranger's message is stored over the limit")
				}
				if _, ok := a.State.Get("stranger/" + left.ID().String()); ok || leftDays(a) != 1 {
					t.Error("the message counts as a stranger's, or what stays is forgotten")
				}
				sent(w, left.From, message.Keep, a.Account)
				if n := world.Told[client.Receipted](left.From); n != 2 {
					t.Errorf("%d receipts for two messages", n)
				}
			})
		})
	}
}

func TestWhatWasLeftComesWhenThereIsRoom(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		a, e, eve, mallory, theirs, left := crowded(t, w)
		must(t, a.Step(client.ChangeContact{Account: eve.ID, Change: client.Block}))
		w.Run()
		for _, m := range theirs {
			if a.Is(m) != "" {
				t.Fatal("a message of a blocked stranger takes room")
			}
		}
		reads := 0
		w.Net = func(x *world.Exchange) world.Fate {
			if _, ok := x.Request.(*resealv1.ReadDayRequest); ok {
				reads++
			}
			return world.Deliver
		}
		a.Tick()
		w.Run()
		if a.Is(left) != "" || reads != 0 {
			t.Fatal("the room that was made is looked at without a pause")
		}
		w.Advance(2 * time.Hour)
		a.Tick()
		w.Run()
		w.Readable(left, a)
		if leftDays(a) != 0 {
			t.Fatal("the day is noted still")
		}
		if _, err := a.Engine.Contacts(); err != nil || contact(t, a, mallory).Accepted {
			t.Fatal("the stranger is accepted")
		}
		// Think better of it: what the server has comes back.
		must(t, a.Step(client.ChangeContact{Account: eve.ID, Change: client.Unblock}))
		w.Run()
		back := 0
		for _, m := range theirs {
			if a.Opens(m) {
				back++
			}
		}
		if back != 15 { // half of what the others leave by now
			t.Fatalf("%d messages are back", back)
		}
		// What its sender takes back makes room for the rest in turn.
		for _, m := range theirs {
			must(t, e.Do(client.Unsend{ID: m.ID()}))
		}
		w.Run()
		w.Advance(2 * time.Hour)
		a.Tick()
		w.Run()
		w.Readable(left, a)
		if leftDays(a) != 0 {
			t.Fatal("the day is noted still")
		}
	})
}

// Who sends and takes back leaves no more behind than who sends.
func TestWhatStrangersTookBackIsForgotten(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, _, a, _, _ := pair(w)
		eve := w.Account("eve")
		e := eve.Device()
		for range 320 {
			m := sent(w, e, message.Keep, a.Account)
			must(t, e.Do(client.Unsend{ID: m.ID()}))
			w.Run()
		}
		for _, prefix := range []string{"in/", "end/", "stranger/"} {
			if n := len(a.State.Names(prefix)); n != 300 {
				t.Errorf("%s: %d records", prefix, n)
			}
		}
		w.Advance(32 * 24 * time.Hour)
		for range 2 {
			w.Advance(2 * time.Hour)
			a.Tick()
			w.Run()
		}
		for _, prefix := range []string{"in/", "end/", "stranger/", "expire/", "contact/" + eve.ID.String(), "handle/eve", "cert/" + eve.ID.String()} {
			if names := a.State.Names(prefix); len(names) > 0 {
				t.Errorf("%d records of %s stay", len(names), prefix)
			}
		}
	})
}

// full is a section with records of a given size.
type full struct {
	*world.State
	size int
}

func (f *full) Size() int { return f.size }

// A section that is full takes no new messages, its contacts' neither, and says
// so; what is there goes on.
func TestAFullSectionGoesOn(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob, a, b1, _ := pair(w)
		here := sent(w, b1, message.Once, ana)
		st := &full{a.State.Clone(), client.MaxIncoming}
		e, err := client.Open(st, w.Rand())
		must(t, err)
		step := func(ev client.Event) client.Output {
			t.Helper()
			out, err := e.Step(a.Clock(), ev)
			must(t, err)
			st.Commit(out.Batch)
			return out
		}
		calls := func(out client.Output) (reads int, told []client.NoRoom) {
			for _, f := range out.Effects {
				switch f := f.(type) {
				case client.Call:
					if _, ok := f.Request.(*resealv1.ReadDayRequest); ok {
						reads++
					}
				case client.Show:
					if n, ok := f.Notice.(client.NoRoom); ok {
						told = append(told, n)
					}
				}
			}
			return reads, told
		}
		step(client.Connected{})
		step(client.Synced{Through: w.Time().Day() + 1})
		out := step(client.Streamed{Event: from(w, bob.ID, 1, ana, message.MaxInline)})
		if _, told := calls(out); len(told) != 1 || told[0].Strangers {
			t.Fatalf("told %v", told)
		}
		step(client.View{ID: here.ID()})
		step(client.Viewed{ID: here.ID()})
		if len(st.Names("in/")) != 1 || len(st.Names("left/")) != 1 || len(st.Names("post/")) == 0 {
			t.Fatal("the message was stored, or nothing else is")
		}
		// As long as there is no room the days are not read.
		if n, _ := calls(step(client.Synced{Through: w.Time().Day() + 1})); n != 0 {
			t.Fatalf("%d days are read without room", n)
		}
		st.size = client.MaxOutgoing + 1
		if _, err := e.Step(a.Clock(), a.Content(true)); err != client.ErrNoRoom {
			t.Fatalf("a content is taken: %v", err)
		}
		st.size = 1 << 20
		if n, _ := calls(step(client.Synced{Through: w.Time().Day() + 1})); n != 1 {
			t.Fatalf("%d days are read", n)
		}
	})
}

// An event whose batch does not fit is left at the server and acknowledged.
func TestAnEventThatIsTooLargeIsSkipped(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, _, a, b1, _ := pair(w)
		m := b1.SendContent(big(b1), message.Keep, message.MaxLife, ana)[0]
		w.Stream = func(d *world.Device, ev *world.Event) []*world.Event {
			if _, ok := ev.Event.(*resealv1.EventsResponse_Message); ok && d == a {
				must(t, a.Step(client.Skipped{Event: client.Streamed{Event: ev}}))
				return nil
			}
			return []*world.Event{ev}
		}
		w.Run()
		if a.Is(m) != "" || leftDays(a) != 1 {
			t.Fatal("it is not left")
		}
		w.Stream = nil
		a.Disconnect()
		a.Connect()
		w.Run()
		w.Readable(m, a)
		if leftDays(a) != 0 {
			t.Fatal("the day is noted still")
		}
		must(t, a.Step(client.Skipped{Event: client.DayRead{Day: w.Time().Day()}}))
		if leftDays(a) != 1 {
			t.Fatal("a page that was skipped is not noted")
		}
	})
}

// However often a stranger renews a device's keys, few of them are kept.
func TestAStrangersCertificatesAreBounded(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, _, a, _, _ := pair(w)
		eve := w.Account("eve")
		e := eve.Device()
		w.Readable(sent(w, e, message.Keep, a.Account), a)
		keys := keysOf(eve, eve.List())
		kept := func() int { return len(a.State.Names("cert/" + eve.ID.String() + "/")) }
		for n := uint64(2); n < 40; n++ {
			epoch, err := client.FirstEpoch(eve.ID, e.ID, e.Key, n, w.Time(), w.Rand())
			must(t, err)
			keys.Certificates = [][]byte{epoch.Certificate.Bytes()}
			must(t, a.Step(told(keys)))
		}
		if kept() != 16 {
			t.Fatalf("%d superseded certificates of a stranger are kept", kept())
		}
	})
}

// Nobody is looked up because of a request about messages that are not known.
func TestARequestAboutNothingLooksNobodyUp(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		k := newAsking(w)
		k.req.Account, k.keys = identity.AccountID{99}, nil
		k.engine(t).step(t, k.event(t))
		if names := append(k.section.Names("resolve/"), k.section.Names("asked/")...); len(names) != 0 {
			t.Fatalf("it left %v", names)
		}
	})
}
