package retry_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/retry"
)

var ctx = context.Background()

// people are alice with a phone and a tablet, and bob with two, of which the
// laptop came after the messages and has no wrap.
type people struct {
	w                           *tw.World
	alice, aliceTablet, bob, mb *tw.Device
	messages                    []*tw.Message
}

func meet(t *testing.T, count int) people {
	w := tw.New(t, nil)
	p := people{w: w, alice: w.Account("alice"), bob: w.Account("bob")}
	p.aliceTablet = p.alice.Account.Join()
	for range count {
		m, _ := p.alice.Send(p.bob.Account, nil)
		p.messages = append(p.messages, m)
	}
	p.mb = p.bob.Account.Join()
	return p
}

func (p people) ids() (ids []message.ID) {
	for _, m := range p.messages {
		ids = append(ids, m.Header.ID)
	}
	return ids
}

// ask asks, and learns nothing by it: not who is online, or blocks the asker.
func ask(t *testing.T, d *tw.Device, r *retry.SignedRequest) {
	t.Helper()
	resp := tw.Must[*resealv1.AskRetryResponse](t)(d.C.Mailbox.AskRetry(ctx, &resealv1.AskRetryRequest{Requests: [][]byte{r.Bytes()}}))
	if b, err := proto.Marshal(resp); err != nil || len(b) > 0 {
		t.Errorf("the answer says something: %v, %v", resp, err)
	}
}

func asked(ev *resealv1.EventsResponse) bool { return ev.GetRetry() != nil }

func TestAnswerOnline(t *testing.T) {
	p := meet(t, 1)
	m := p.messages[0]
	holder, _ := p.alice.Events()
	asker, _ := p.mb.Events()
	if y := p.mb.Today().Find(m.Header.ID); y == nil || len(y.Wraps) != 0 {
		t.Fatal("a device that joined later must see the message without a wrap")
	}
	r := p.mb.Ask(p.alice.Account.ID, m.Header.ID)
	ask(t, p.mb, r)
	ev := holder.Until(asked).GetRetry()
	if !bytes.Equal(ev.Request, r.Bytes()) || len(ev.MessageIds) != 0 || !bytes.Equal(ev.Requester.List, p.bob.List.Bytes()) || len(ev.Requester.Certificates) != 2 {
		t.Errorf("%v", ev)
	}
	tw.Must[*resealv1.AddWrapsResponse](t)(p.alice.C.Mailbox.AddWraps(ctx, m.AddRequest(p.alice, p.mb)))
	got := asker.Until(func(ev *resealv1.EventsResponse) bool { return ev.GetWraps() != nil })
	if !m.Opens(p.mb, got.GetWraps().Wraps) {
		t.Fatal("the answer does not open")
	}
	id := r.ID()
	// Only who asked withdraws.
	_, err := p.bob.C.Mailbox.CloseRetry(ctx, &resealv1.CloseRetryRequest{RequestIds: [][]byte{id[:]}})
	tw.Refused(t, err, resealv1.Reason_REASON_PROOF)
	tw.Must[*resealv1.CloseRetryResponse](t)(p.mb.C.Mailbox.CloseRetry(ctx, &resealv1.CloseRetryRequest{RequestIds: [][]byte{id[:]}}))
	closed := holder.Until(func(ev *resealv1.EventsResponse) bool { return ev.GetRetryClosed() != nil })
	if !bytes.Equal(closed.GetRetryClosed(), id[:]) {
		t.Error("another request was closed")
	}
	// Who was away does not find it any more.
	if _, backlog := p.aliceTablet.Events(); slices.ContainsFunc(backlog, asked) {
		t.Error("a closed request is handed out")
	}
}

// Every device of the addressed account gets it, now or when it comes back; the
// asker's repeats leave one entry for each.
func TestAwayAndRepeats(t *testing.T) {
	p := meet(t, 1)
	r := p.mb.Ask(p.alice.Account.ID, p.ids()...)
	for range 5 {
		ask(t, p.mb, r)
		p.w.Pass(10 * time.Second)
	}
	for _, d := range []*tw.Device{p.alice, p.aliceTablet} {
		_, backlog := d.Events()
		n := 0
		for _, ev := range backlog {
			if asked(ev) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d entries for one request", n)
		}
	}
	// A day later the repeat still reaches everybody.
	p.w.Pass(3 * 24 * time.Hour)
	s, _ := p.alice.Events()
	ask(t, p.mb, r) // messages of Send expire after a day
	s.Quiet()
}

func TestOwnDevicesAreAsked(t *testing.T) {
	p := meet(t, 2)
	own, _ := p.bob.Events()
	mine, _ := p.mb.Events()
	r := p.mb.Ask(p.bob.Account.ID, p.ids()...)
	ask(t, p.mb, r)
	if ev := own.Until(asked).GetRetry(); !bytes.Equal(ev.Request, r.Bytes()) {
		t.Error("another request")
	}
	mine.Quiet() // not to itself
	tw.Must[*resealv1.AddWrapsResponse](t)(p.bob.C.Mailbox.AddWraps(ctx, p.messages[0].AddRequest(p.bob, p.mb)))
	ev := mine.Until(func(ev *resealv1.EventsResponse) bool { return ev.GetWraps() != nil })
	if !p.messages[0].Opens(p.mb, ev.GetWraps().Wraps) {
		t.Error("the own device's answer does not open")
	}
}

// A first asking for many is dealt out among those online; a repeat goes whole
// to all.
func TestDealing(t *testing.T) {
	p := meet(t, 100)
	a, _ := p.alice.Events()
	b, _ := p.aliceTablet.Events()
	r := p.mb.Ask(p.alice.Account.ID, p.ids()...)
	ask(t, p.mb, r)
	one, two := a.Until(asked).GetRetry().MessageIds, b.Until(asked).GetRetry().MessageIds
	seen := map[string]bool{}
	for _, id := range append(one, two...) {
		if seen[string(id)] {
			t.Error("dealt twice")
		}
		seen[string(id)] = true
	}
	if len(seen) != 100 || len(one) != 50 {
		t.Errorf("dealt %d and %d", len(one), len(two))
	}
	ask(t, p.mb, r)
	for _, s := range []*tw.Stream{a, b} {
		if ev := s.Until(asked).GetRetry(); len(ev.MessageIds) != 0 {
			t.Error("a repeat was dealt out")
		}
	}
}

func TestAskRefusals(t *testing.T) {
	p := meet(t, 1)
	id := p.messages[0].Header.ID
	s, _ := p.alice.Events()
	refuse := func(name string, d *tw.Device, b []byte, want resealv1.Reason) {
		t.Helper()
		_, err := d.C.Mailbox.AskRetry(ctx, &resealv1.AskRetryRequest{Requests: [][]byte{b}})
		if t.Log(name); err == nil {
			t.Fatal("taken")
		}
		tw.Refused(t, err, want)
	}
	good := p.mb.Ask(p.alice.Account.ID, id).Bytes()
	bent := bytes.Clone(good)
	bent[len(bent)-1] ^= 1
	refuse("signature", p.mb, bent, resealv1.Reason_REASON_PROOF)
	refuse("another's", p.bob, good, resealv1.Reason_REASON_PROOF)
	refuse("tail", p.mb, append(bytes.Clone(good), 0), resealv1.Reason_REASON_MALFORMED)
	_, err := p.mb.C.Mailbox.AskRetry(ctx, &resealv1.AskRetryRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_LIMIT)
	_, err = p.mb.C.Mailbox.CloseRetry(ctx, &resealv1.CloseRetryRequest{RequestIds: [][]byte{{1}}})
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)

	// What is not pending, or not from there, is nobody's business.
	carol := p.w.Account("carol")
	cs, _ := carol.Events()
	for _, r := range []*retry.SignedRequest{
		p.mb.Ask(carol.Account.ID, id), carol.Ask(p.alice.Account.ID, id), p.mb.Ask(p.alice.Account.ID, message.ID{1}),
	} {
		d := p.mb
		if r.Request.Account == carol.Account.ID {
			d = carol
		}
		ask(t, d, r)
	}
	// An account that blocked the asker is not bothered, and the asker cannot
	// tell.
	tw.Must[*resealv1.SetBlockedResponse](t)(p.alice.C.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: p.bob.Account.ID[:], Blocked: true}))
	ask(t, p.mb, p.mb.Ask(p.alice.Account.ID, id))
	s.Quiet()
	cs.Quiet()
}
