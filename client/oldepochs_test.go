package client_test

import (
	"testing"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// held is a message of ana's to bob that an alarm holds back at b1, with what
// the server streamed of it. later lets days pass, syncs b1, and tells whether
// the epoch that the wrap is to is still there.
func held(t *testing.T, w *world.World) (ana *world.Account, b1 *world.Device, m *world.Message, wrapped *resealv1.Pending, later func(days int) bool) {
	t.Helper()
	ana, bob, a, b1, b2 := pair(w)
	l, _ := reset(t, ana, 0)
	must(t, b1.Step(client.Learned{Accounts: []*resealv1.AccountKeys{keysOf(ana, l)}}))
	b2.Stop()
	first := b1.State.Names("epoch/")[0]
	w.Stream = func(d *world.Device, ev *world.Event) []*world.Event {
		if p := ev.GetMessage(); p != nil && d == b1 {
			wrapped = p
		}
		return []*world.Event{ev}
	}
	m = sent(w, a, message.Keep, bob)
	w.Stream = nil
	w.State(m, client.Held, b1)
	if wrapped == nil || len(wrapped.Wraps) != 1 {
		t.Fatal("no wrap came")
	}
	return ana, b1, m, wrapped, func(days int) bool {
		for range days {
			w.Advance(day)
		}
		b1.Disconnect()
		b1.Connect()
		w.Run()
		_, here := b1.State.Get(first)
		return here
	}
}

func TestAnEpochStaysWhileAHeldMessageNamesIt(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, b1, m, _, later := held(t, w)
		for range 3 {
			if !later(8) {
				t.Fatal("the message can no longer be opened")
			}
		}
		n := asks(w)
		ana.Device() // a later list is the way out
		w.Run()
		w.Readable(m, b1)
		if *n != 0 {
			t.Error("opened by a wrap that was asked for")
		}
		if later(0) {
			t.Error("kept although nothing needs it")
		}
	})
}

func TestAnEpochGoesWithTheMessageThatNamesIt(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, _, _, _, later := held(t, w)
		if !later(29) {
			t.Fatal("gone although a message waits")
		}
		if later(2) {
			t.Error("kept for a message that has expired")
		}
	})
}

// A server that makes up messages keeps no epoch's keys alive.
func TestMadeUpMessagesKeepNoEpoch(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, b1, _, wrapped, later := held(t, w)
		later(25)
		h, err := message.ParseHeader(wrapped.Header)
		must(t, err)
		h.Created, h.Expires = w.Time(), w.Time().Add(message.MaxLife)
		h.ID = message.NewID(w.Time().Day(), h.Sender, h.Recipient, message.ClientID{1}, h.Digest)
		p := &resealv1.Pending{Header: h.Encode(), Wraps: wrapped.Wraps, Inline: wrapped.Inline, Segments: wrapped.Segments}
		must(t, b1.Step(client.Streamed{Event: &world.Event{Event: &resealv1.EventsResponse_Message{Message: p}}}))
		if !later(11) { // 7 days till the successor, and 29
			t.Fatal("what waits does not count")
		}
		if later(9) {
			t.Error("kept for longer than any message to it lives")
		}
	})
}
