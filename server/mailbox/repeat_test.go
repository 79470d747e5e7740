package mailbox_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/bus/local"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/limits"
	"github.com/reseal/reseal/server/mailbox"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// lossy is a bus that loses hints while it is told to.
type lossy struct {
	local.Bus
	losing atomic.Bool
}

func (b *lossy) Publish(topic string, hint []byte) {
	if !b.losing.Load() {
		b.Bus.Publish(topic, hint)
	}
}

// queued counts the entries in a device's queue, of all days around now.
func queued(t *testing.T, w *tw.World, d *tw.Device) (n int) {
	t.Helper()
	prefix := records.QueueOf(d.ID)
	for day := w.Time().Day() - 3; day <= w.Time().Day()+3; day++ {
		for _, err := range store.Scan(ctx, w.Store, records.DayPartition(d.Account.ID, day), prefix, store.PrefixEnd(prefix), true) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	return n
}

// acts are what one party of a message can do to the other's queue, each with
// who does it and the device whose queue it reaches.
type act struct {
	name string
	do   func()
	to   *tw.Device
	want func(*resealv1.EventsResponse) bool
}

// acts makes a message from alice to bob that lacks a wrap for bob's tablet, and
// what may be done with it, in order.
func acts(t *testing.T, alice, bob, bobTablet *tw.Device) []act {
	m := alice.Compose(bob.Account, tw.Once)
	req, add := m.Request(bobTablet), m.AddRequest(alice, bobTablet)
	received, viewed := m.ReceiptRequest(bob, message.Received), m.ReceiptRequest(bob, message.Viewed)
	ask := bobTablet.Ask(alice.Account.ID, m.Header.ID)
	return []act{
		{"send", func() { send(t, alice, req) }, bob, func(ev *resealv1.EventsResponse) bool { return ev.GetMessage() != nil }},
		{"ask", func() {
			tw.Must[*resealv1.AskRetryResponse](t)(bobTablet.C.Mailbox.AskRetry(ctx, &resealv1.AskRetryRequest{Requests: [][]byte{ask.Bytes()}}))
		}, alice, func(ev *resealv1.EventsResponse) bool { return ev.GetRetry() != nil }},
		{"wrap", func() { tw.Must[*resealv1.AddWrapsResponse](t)(alice.C.Mailbox.AddWraps(ctx, add)) }, bobTablet,
			func(ev *resealv1.EventsResponse) bool { return ev.GetWraps() != nil }},
		{"receipt", func() { tw.Must[*resealv1.PostReceiptResponse](t)(bob.C.Mailbox.PostReceipt(ctx, received)) }, alice,
			func(ev *resealv1.EventsResponse) bool { return ev.GetReceipt() != nil }},
		{"end", func() {
			_ = claim(bob, m) // refused, once it has ended
			tw.Must[*resealv1.PostReceiptResponse](t)(bob.C.Mailbox.PostReceipt(ctx, viewed))
		}, alice, func(ev *resealv1.EventsResponse) bool { return ev.GetEnd() != nil }},
	}
}

// Whatever is repeated leaves one entry for each device, and a device that took
// its entry out is not told again of what it knows.
func TestRepeatsFillNoQueue(t *testing.T) {
	w, alice, aliceTablet, bob, bobTablet := pair(t)
	all := []*tw.Device{alice, aliceTablet, bob, bobTablet}
	for _, a := range acts(t, alice, bob, bobTablet) {
		a.do()
		before := map[*tw.Device]int{}
		for _, d := range all {
			before[d] = queued(t, w, d)
		}
		if before[a.to] == 0 {
			t.Errorf("%s: nothing in the queue", a.name)
		}
		for range 5 {
			w.Pass(time.Second)
			a.do()
		}
		for _, d := range all {
			if n := queued(t, w, d); n != before[d] {
				t.Errorf("%s: %d entries for %s, after repeats %d", a.name, before[d], d.Handle, n)
			}
		}
		s, backlog := a.to.Events()
		for _, ev := range backlog {
			tw.Must[*resealv1.AcknowledgeResponse](t)(a.to.C.Mailbox.Acknowledge(ctx, &resealv1.AcknowledgeRequest{Entries: [][]byte{ev.Entry}}))
		}
		for range 3 {
			a.do()
		}
		// Who is asked again is told again, and so is who is answered again.
		want := map[string]int{"ask": 1, "wrap": 1}[a.name]
		if n := queued(t, w, a.to); n != want {
			t.Errorf("%s: %d entries came back, want %d", a.name, n, want)
		}
		for range want {
			s.Until(a.want)
		}
		s.Quiet()
		s.Close()
	}
}

// A call whose hints were lost (its node died after the commit, or the
// connection did) is repeated: the repeat wakes a connected device.
func TestRepeatWakes(t *testing.T) {
	b := new(lossy)
	w := tw.New(t, func(c *server.Config) { c.Bus = b })
	alice, bob := w.Account("alice"), w.Account("bob")
	bobTablet := bob.Account.Join()
	for _, a := range acts(t, alice, bob, bobTablet) {
		s, _ := a.to.Events()
		b.losing.Store(true)
		a.do()
		b.losing.Store(false)
		s.Quiet()
		a.do()
		ev := s.Until(a.want)
		for range 3 {
			a.do()
		}
		s.Quiet() // it has the entry already
		tw.Must[*resealv1.AcknowledgeResponse](t)(a.to.C.Mailbox.Acknowledge(ctx, &resealv1.AcknowledgeRequest{Entries: [][]byte{ev.Entry}}))
		s.Close()
	}
}

type alive struct{}

func (alive) Live(context.Context, caller.Caller) error { return nil }

// events is a mailbox without retries.
type events struct{ *mailbox.Service }

func (events) AskRetry(context.Context, *resealv1.AskRetryRequest) (*resealv1.AskRetryResponse, error) {
	return nil, errors.ErrUnsupported
}

func (events) CloseRetry(context.Context, *resealv1.CloseRetryRequest) (*resealv1.CloseRetryResponse, error) {
	return nil, errors.ErrUnsupported
}

// beside is a mailbox over the world's store whose hints nobody else hears. Its
// calls are those that as says.
func beside(w *tw.World, as func() caller.Caller) tw.Client {
	b := new(lossy)
	b.losing.Store(true)
	m := &mailbox.Service{
		Store: w.Store, Bus: b, Blobs: fakeBlobs{}, Sessions: alive{}, Limiter: limits.New(limits.Config{}, w.Now),
		Counter: uncounted{}, Log: slog.New(slog.DiscardHandler), Now: w.Now, Rand: rand.Reader, Recheck: 5 * time.Millisecond,
	}
	calls := connect.NewServer(func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			return next(caller.With(ctx, as()), spec, stream)
		}
	})
	resealv1connect.RegisterMailboxServiceHandler(calls, events{m})
	return tw.ClientOver(connectinprocess.New(calls), "")
}

// A hint is lost and nobody repeats anything: an open stream finds what waits in
// its queue by itself, wherever it lies, and once.
func TestLostHintCostsTimeOnly(t *testing.T) {
	w, alice, _, bob, bobTablet := pair(t)
	bobTablet.C.Mailbox = beside(w, func() caller.Caller {
		return caller.Caller{Account: bob.Account.ID, Device: bobTablet.ID}
	}).Mailbox
	old, _ := alice.Send(bob.Account, func(h *message.Header) { h.Expires = h.Created.Add(message.MaxLife) })
	w.Pass(20 * 24 * time.Hour)
	// All that bob's stream has from here on it finds by itself: the hints of
	// this server do not reach it.
	s := bobTablet.Open()
	s.Until(func(ev *resealv1.EventsResponse) bool { return ev.GetCaughtUp() != nil })
	m, _ := alice.Send(bob.Account, nil)
	got := s.Until(func(ev *resealv1.EventsResponse) bool { return ev.GetMessage() != nil })
	if h, err := message.ParseHeader(got.GetMessage().Header); err != nil || h.ID != m.Header.ID {
		t.Error("another message")
	}
	tw.Must[*resealv1.PostReceiptResponse](t)(alice.C.Mailbox.PostReceipt(ctx, old.ReceiptRequest(alice, message.Unsent)))
	// Next, since what went out does not go out again.
	if ev := s.Next(); ev.GetEnd() == nil {
		t.Errorf("%v", ev)
	}
}

// However many sessions an account has, its streams on a node are bounded; and
// what one account has open is no matter to another.
func TestStreamsOfOneAccount(t *testing.T) {
	w, alice, _, bob, _ := pair(t)
	var session byte
	who := alice
	c := beside(w, func() caller.Caller {
		session++
		return caller.Caller{Account: who.Account.ID, Device: who.ID, Session: [32]byte{session}}
	})
	open := func() error {
		st, err := c.Mailbox.Events(t.Context(), new(resealv1.EventsRequest))
		for err == nil {
			var ev *resealv1.EventsResponse
			if ev, err = st.Receive(); ev.GetCaughtUp() != nil {
				return nil
			}
		}
		return err
	}
	for n := range 64 {
		if err := open(); err != nil {
			t.Fatalf("stream %d: %v", n, err)
		}
	}
	tw.Refused(t, open(), resealv1.Reason_REASON_LIMIT)
	who = bob
	if err := open(); err != nil {
		t.Errorf("another account: %v", err)
	}
}

// Repeats are limited, by who makes them and the other account; what is new is
// not counted with them.
func TestRepeatRate(t *testing.T) {
	w := limited(t, map[string]limits.Rate{limits.Repeat: {PerSecond: 0.001, Burst: 3}})
	alice, bob, carol := w.Account("alice"), w.Account("bob"), w.Account("carol")
	bobTablet := bob.Account.Join()
	m := alice.Compose(bob.Account, nil)
	req, add := m.Request(bobTablet), m.AddRequest(alice, bobTablet)
	calls := []func() error{
		func() error { _, err := alice.C.Mailbox.Send(ctx, req); return err },
		func() error { _, err := alice.C.Mailbox.AddWraps(ctx, add); return err },
	}
	for _, call := range calls {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if err := calls[i%2](); err != nil {
			t.Fatal(err)
		}
	}
	for _, call := range calls {
		tw.Refused(t, call(), resealv1.Reason_REASON_RATE)
	}
	unsent := m.ReceiptRequest(alice, message.Unsent)
	received := m.ReceiptRequest(bob, message.Received)
	for i, want := range []resealv1.Reason{0, 0, 0, 0, resealv1.Reason_REASON_RATE} {
		if _, err := bob.C.Mailbox.PostReceipt(ctx, received); refusal.Reason(err) != want {
			t.Errorf("receipt %d: %v", i, err)
		}
	}
	tw.Must[*resealv1.PostReceiptResponse](t)(alice.C.Mailbox.PostReceipt(ctx, unsent))
	_, err := alice.C.Mailbox.PostReceipt(ctx, unsent)
	tw.Refused(t, err, resealv1.Reason_REASON_RATE)
	other := alice.Compose(carol.Account, nil).Request()
	for range 2 {
		send(t, alice, other)
	}
}

// Entries of days that no queue reaches are passed over: what is not there need
// not be deleted, and every delete is a record.
func TestAcknowledgeOldDays(t *testing.T) {
	w, _, _, bob, _ := pair(t)
	commits := 0
	w.Outcomes(func(_ store.Partition, b *store.Batch) memory.Outcome {
		commits++
		if !b.Unsynced {
			t.Error("an acknowledgement waits for the disk")
		}
		return memory.Known
	})
	key := records.QueueKey(bob.ID, w.Time(), records.QueueMark{1})
	name := func(day uint32) []byte { return append(binary.BigEndian.AppendUint32(nil, day), key...) }
	today := w.Time().Day()
	for _, day := range []uint32{0, today - 63, today + 2, 1<<32 - 1} {
		tw.Must[*resealv1.AcknowledgeResponse](t)(bob.C.Mailbox.Acknowledge(ctx, &resealv1.AcknowledgeRequest{Entries: [][]byte{name(day)}}))
	}
	if commits != 0 {
		t.Errorf("%d commits", commits)
	}
	for _, day := range []uint32{today - 62, today, today + 1} {
		tw.Must[*resealv1.AcknowledgeResponse](t)(bob.C.Mailbox.Acknowledge(ctx, &resealv1.AcknowledgeRequest{Entries: [][]byte{name(day)}}))
	}
	if commits != 3 {
		t.Errorf("%d commits, want 3", commits)
	}
}
