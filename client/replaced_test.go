package client_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// The header that came last says when a message goes.
func TestAReplacedHeaderExpiresByItsOwnTime(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, _ := pair(w)
		var p *resealv1.Pending
		w.Stream = func(d *world.Device, ev *world.Event) []*world.Event {
			if ev.GetMessage() != nil && d == b1 {
				p = proto.CloneOf(ev.GetMessage())
				return nil
			}
			return []*world.Event{ev}
		}
		m := sent(w, a, message.Keep, bob)
		late, err := message.ParseHeader(p.Header)
		must(t, err)
		early := late
		early.Expires = early.Created.Add(time.Hour)
		index := func() (names []string) {
			for _, n := range b1.State.Names("expire/") {
				if strings.HasSuffix(n, "/in/"+m.ID().String()) {
					names = append(names, n)
				}
			}
			return names
		}
		for _, h := range []message.Header{early, late} {
			must(t, b1.Step(client.Streamed{Event: &world.Event{Event: &resealv1.EventsResponse_Message{
				Message: &resealv1.Pending{Header: h.Encode(), Inline: p.Inline, Segments: p.Segments},
			}}}))
		}
		if n := index(); len(n) != 1 || n[0] != fmt.Sprintf("expire/%016x/in/%v", uint64(late.Expires), m.ID()) {
			t.Fatalf("indexed as %v", n)
		}
		w.Stream = nil
		b1.Disconnect()
		b1.Connect()
		w.Run()
		w.Advance(2 * time.Hour) // past the earlier header's
		w.Readable(m, b1)
		w.Advance(message.MaxLife)
		if !erased(b1) {
			t.Fatal("the keys stay after the expiry")
		}
	})
}

// The keys of a sender open his message although the server named another
// sender before.
func TestAMessageIsFoundByItsSenderAlthoughAnotherWasNamed(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		a, bob := w.Account("ana").Device(), w.Account("bob")
		b := bob.Device()
		w.Stream = func(d *world.Device, ev *world.Event) []*world.Event {
			if p := ev.GetMessage(); p != nil && d == b {
				lie := proto.CloneOf(ev)
				lie.GetMessage().Header[50] ^= 1
				lie.GetMessage().Wraps = nil
				return []*world.Event{lie, ev}
			}
			return []*world.Event{ev}
		}
		m := sent(w, a, message.Keep, bob)
		w.Readable(m, b)
		if names := b.State.Names("by/"); len(names) != 0 {
			t.Errorf("it waits still: %v", names)
		}
		if names := b.State.Names("stranger/"); len(names) != 1 {
			t.Errorf("the strangers' messages are %v", names)
		}
		must(t, b.Step(client.ChangeContact{Account: a.Account.ID, Change: client.Accept}))
		w.Run()
		if names := b.State.Names("stranger/"); len(names) != 0 {
			t.Errorf("it counts still as a stranger's: %v", names)
		}
	})
}
