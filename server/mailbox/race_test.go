package mailbox_test

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// Commit, then look again, from both sides: a send and a device that joins at
// the same moment, thousands of times, with outcomes that nobody knows. Whoever
// comes first, the sender is told of the device, or the device finds the message
// when it reads after joining, or it has a wrap.
func TestSendAndJoinSeeEachOther(t *testing.T) {
	rounds := 2000
	if testing.Short() {
		rounds = 300
	}
	w := tw.New(t, nil)
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(1, 2))
	var alice, bob *tw.Device
	told, found := 0, 0
	for round := range rounds {
		if round%8 == 0 {
			w.Outcomes(nil)
			alice, bob = w.Account(tw.Name(2*round)), w.Account(tw.Name(2*round+1))
			w.Outcomes(func(store.Partition, *store.Batch) memory.Outcome {
				mu.Lock()
				defer mu.Unlock()
				switch dice.IntN(12) {
				case 0:
					return memory.Now
				case 1:
					return memory.Never
				}
				return memory.Known
			})
		}
		m := alice.Compose(bob.Account, nil)
		req := m.Request()
		n := bob.Account.NewDevice()
		unbound(w, n)
		add, l := n.AddRequest()
		var stale, seen bool
		var all sync.WaitGroup
		all.Go(func() {
			stale = len(repeat(t, func() (*resealv1.SendResponse, error) { return alice.C.Mailbox.Send(ctx, req) }).Stale) > 0
		})
		all.Go(func() {
			repeat(t, func() (*resealv1.AddDeviceResponse, error) { return n.C.AddDevice(ctx, add) })
			seen = n.Today().Find(m.Header.ID) != nil
		})
		all.Wait()
		if t.Failed() {
			return
		}
		if !stale && !seen {
			t.Fatalf("round %d: nobody knows that the device lacks the message", round)
		}
		if stale {
			told++
		}
		if seen {
			found++
		}
		bob.List = l
		bob.Account.Devices = append(bob.Account.Devices, n)
		if bob.Refresh(); len(bob.List.List.Devices) != len(bob.Account.Devices) {
			t.Fatalf("round %d: the list has %d devices", round, len(bob.List.List.Devices))
		}
	}
	t.Logf("%d rounds: the sender was told in %d, the device found it in %d", rounds, told, found)
	if told == 0 || told == rounds || found == 0 {
		t.Error("the race was never one")
	}
}

// The same with a device whose certificate had run out, so that nobody wraps for
// it, and that publishes its next epoch at the moment of a send: the sender is
// told, or the device finds the message when it reads after publishing.
func TestSendAndPublishSeeEachOther(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 100
	}
	w := tw.New(t, nil)
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(3, 4))
	alice, bob := w.Account("alice"), w.Account("bob")
	tablet := bob.Account.Join()
	told, found := 0, 0
	for round := range rounds {
		for range 2 { // sessions live on by being used
			w.Pass(identity.CertificateLife/2 + time.Hour)
			for _, d := range []*tw.Device{alice, bob, tablet} {
				tw.Must[*resealv1.GetBookResponse](t)(d.C.GetBook(ctx, &resealv1.GetBookRequest{}))
			}
		}
		alice.Publish()
		bob.Publish()
		m := alice.Compose(bob.Account, nil)
		req := m.Request(tablet)
		next := &resealv1.PublishEpochRequest{Certified: tablet.Certified(tablet.NewEpoch())}
		w.Outcomes(func(store.Partition, *store.Batch) memory.Outcome {
			mu.Lock()
			defer mu.Unlock()
			switch dice.IntN(12) {
			case 0:
				return memory.Now
			case 1:
				return memory.Never
			}
			return memory.Known
		})
		var stale, seen bool
		var all sync.WaitGroup
		all.Go(func() {
			stale = len(repeat(t, func() (*resealv1.SendResponse, error) { return alice.C.Mailbox.Send(ctx, req) }).Stale) > 0
		})
		all.Go(func() {
			repeat(t, func() (*resealv1.PublishEpochResponse, error) { return tablet.C.PublishEpoch(ctx, next) })
			seen = tablet.Today().Find(m.Header.ID) != nil
		})
		all.Wait()
		w.Outcomes(nil)
		if t.Failed() {
			return
		}
		if !stale && !seen {
			t.Fatalf("round %d: nobody knows that the device lacks the message", round)
		}
		if stale {
			told++
			tw.Must[*resealv1.AddWrapsResponse](t)(alice.C.Mailbox.AddWraps(ctx, m.AddRequest(alice, tablet)))
			if p := tablet.Today().Find(m.Header.ID); p == nil || !m.Opens(tablet, p.Wraps) {
				t.Fatalf("round %d: the wrap for the new epoch does not open", round)
			}
		}
		if seen {
			found++
		}
	}
	t.Logf("%d rounds: the sender was told in %d, the device found it in %d", rounds, told, found)
	if told == 0 || told == rounds || found == 0 {
		t.Error("the race was never one")
	}
}

// unbound is Unbound without unknown outcomes.
func unbound(w *tw.World, d *tw.Device) {
	for {
		if func() (ok bool) {
			defer func() { ok = recover() == nil }()
			d.Unbound()
			return
		}() {
			return
		}
	}
}

// repeat makes a call until its outcome is known.
func repeat[R any](t *testing.T, call func() (R, error)) (r R) {
	for range 100 {
		r, err := call()
		if err == nil {
			return r
		}
		if refusal.Reason(err) != resealv1.Reason_REASON_UNAVAILABLE {
			t.Errorf("%v", err)
			return r
		}
	}
	t.Error("unavailable for ever")
	return r
}

// Streams that open and end while messages come: between them, nothing is lost,
// and what was acknowledged does not come again.
func TestEventsLoseNothing(t *testing.T) {
	w := tw.New(t, nil)
	alice, bob := w.Account("alice"), w.Account("bob")
	const count = 300
	got := map[message.ID]int{}
	sent := make(chan struct{})
	var ids []message.ID
	go func() {
		defer close(sent)
		for range count {
			m := alice.Compose(bob.Account, nil)
			ids = append(ids, m.Header.ID)
			if _, err := alice.C.Mailbox.Send(ctx, m.Request()); err != nil {
				t.Error(err)
			}
		}
	}()
	take := func(ev *resealv1.EventsResponse) {
		if p := ev.GetMessage(); p != nil {
			h, err := message.ParseHeader(p.Header)
			if err != nil {
				t.Fatal(err)
			}
			got[h.ID]++
			tw.Must[*resealv1.AcknowledgeResponse](t)(bob.C.Mailbox.Acknowledge(ctx, &resealv1.AcknowledgeRequest{Entries: [][]byte{ev.Entry, ev.Entry}}))
		}
	}
	for done := false; !done; {
		select {
		case <-sent:
			done = true
		default:
		}
		s, backlog := bob.Events()
		for _, ev := range backlog {
			take(ev)
		}
		for i := 0; i < 5 && !done && len(got) < count; i++ {
			take(s.Next())
		}
		s.Close()
	}
	if len(got) != count {
		t.Fatalf("%d of %d messages arrived", len(got), count)
	}
	for _, id := range ids {
		if got[id] == 0 {
			t.Error("a message never arrived")
		}
	}
	if _, backlog := bob.Events(); len(backlog) != 0 {
		t.Errorf("%d entries are left", len(backlog))
	}
}

func TestWatch(t *testing.T) {
	w := tw.New(t, nil)
	alice, bob, carol := w.Account("alice"), w.Account("bob"), w.Account("carol")
	s, _ := alice.Events(bob.Account.ID)
	is := func(d *tw.Device) func(*resealv1.EventsResponse) bool {
		return func(ev *resealv1.EventsResponse) bool {
			return ev.GetAccount() != nil && bytes.Equal(ev.GetAccount().AccountId, d.Account.ID[:])
		}
	}
	bob.Account.Join()
	s.Until(is(bob))
	tw.Must[*resealv1.WatchResponse](t)(alice.C.Mailbox.Watch(ctx, &resealv1.WatchRequest{Watch: [][]byte{carol.Account.ID[:]}}))
	bob.Account.Join()
	carol.Account.Join()
	if ev := s.Until(func(ev *resealv1.EventsResponse) bool { return ev.GetAccount() != nil }); !is(carol)(ev) {
		t.Error("told of an account that is not watched any more")
	}
	// The own account is always told of, and the book.
	alice.Account.Join()
	s.Until(is(alice))
	tw.Must[*resealv1.PutBookResponse](t)(alice.C.PutBook(ctx, &resealv1.PutBookRequest{BaseVersion: 1, Book: &resealv1.Book{Version: 7, Parts: [][]byte{{1}}}}))
	s.Until(func(ev *resealv1.EventsResponse) bool { return ev.GetBookVersion() == 7 })
}

// A session keeps four streams at most: the oldest ends.
func TestStreamsOfOneSession(t *testing.T) {
	w := tw.New(t, nil)
	alice := w.Account("alice")
	first, _ := alice.Events()
	for range 4 {
		alice.Events()
	}
	tw.Refused(t, first.End(), resealv1.Reason_REASON_UNAVAILABLE)
	tablet := alice.Account.Join()
	s, _ := tablet.Events()
	m, _ := alice.Send(alice.Account, nil)
	if ev := s.Until(func(ev *resealv1.EventsResponse) bool { return ev.GetMessage() != nil }); !m.Opens(tablet, ev.GetMessage().Wraps) {
		t.Error("another message")
	}
}

func TestReadDayPages(t *testing.T) {
	w := tw.New(t, nil)
	alice, bob := w.Account("alice"), w.Account("bob")
	const count = 120
	want := map[message.ID]bool{}
	for i := range count {
		m := alice.Compose(bob.Account, func(h *message.Header) { h.Length = message.MaxInline })
		m.Inline = tw.Random(message.MaxInline)
		if _, err := alice.C.Mailbox.Send(ctx, m.Request()); err != nil {
			t.Fatal(err)
		}
		switch {
		case i%10 == 0:
			if _, err := post(bob, m, message.Received); err != nil {
				t.Fatal(err)
			}
			want[m.Header.ID] = true
		case i%10 == 1:
			if _, err := post(alice, m, message.Unsent); err != nil {
				t.Fatal(err)
			}
		default:
			want[m.Header.ID] = true
		}
	}
	y := bob.Today()
	if y.Pages < 3 {
		t.Errorf("%d pages", y.Pages)
	}
	if len(y.Messages) != len(want) || len(y.Ends) != count/10 || len(y.Receipts) != count/10 {
		t.Errorf("%d messages, %d ends, %d receipts", len(y.Messages), len(y.Ends), len(y.Receipts))
	}
	for _, p := range y.Messages {
		h, err := message.ParseHeader(p.Header)
		if err != nil || !want[h.ID] {
			t.Error("a message twice, or one that was not sent")
		}
		delete(want, h.ID)
	}
	// A receipt on a page before its message would be dropped as unknown.
	for from, receipts, pages := []byte(nil), 0, 0; ; pages++ {
		page := tw.Must[*resealv1.ReadDayResponse](t)(bob.C.Mailbox.ReadDay(ctx, &resealv1.ReadDayRequest{Day: w.Time().Day(), From: from}))
		if len(page.Messages) > 0 && receipts > 0 {
			t.Errorf("page %d has messages, after %d receipts", pages, receipts)
		}
		receipts += len(page.Receipts)
		if from = page.Next; len(from) == 0 {
			break
		}
	}
	headers := tw.Must[*resealv1.ReadDayResponse](t)(bob.C.Mailbox.ReadDay(ctx, &resealv1.ReadDayRequest{Day: w.Time().Day(), HeadersOnly: true}))
	for _, p := range headers.Messages {
		if len(p.Inline) > 0 {
			t.Fatal("a ciphertext was asked not to come")
		}
	}
	if y := bob.ReadDay(w.Time().Day() - 1); len(y.Messages) != 0 {
		t.Error("messages on another day")
	}
}
