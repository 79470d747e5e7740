package mailbox_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/message"
)

// A blocked sender sees what any sender sees, and nothing arrives.
func TestBlockedSeesNoDifference(t *testing.T) {
	w, alice, _, bob, bobTablet := pair(t)
	mallory := w.Account("mallory")
	tw.Must[*resealv1.SetBlockedResponse](t)(bob.C.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: mallory.Account.ID[:], Blocked: true}))
	for _, skip := range [][]*tw.Device{nil, {bobTablet}} {
		var answers [2]*resealv1.SendResponse
		var added, addedAgain [2]*resealv1.AddWrapsResponse
		for i, from := range []*tw.Device{alice, mallory} {
			m := from.Compose(bob.Account, nil)
			req := m.Request(skip...)
			send(t, from, req)
			answers[i] = send(t, from, req)
			if skip != nil {
				added[i] = tw.Must[*resealv1.AddWrapsResponse](t)(from.C.Mailbox.AddWraps(ctx, m.AddRequest(from, bobTablet)))
				addedAgain[i] = tw.Must[*resealv1.AddWrapsResponse](t)(from.C.Mailbox.AddWraps(ctx, m.AddRequest(from, bob)))
			}
		}
		if !proto.Equal(answers[0], answers[1]) || !proto.Equal(added[0], added[1]) || !proto.Equal(addedAgain[0], addedAgain[1]) {
			t.Errorf("answers differ: %v and %v, %v and %v", answers[0], answers[1], added[0], added[1])
		}
	}
	// Nor by a blob that is not there.
	for _, from := range []*tw.Device{alice, mallory} {
		m := from.Compose(bob.Account, func(h *message.Header) { h.Blob, h.Length = message.BlobID{1}, 5000 })
		req := m.Request()
		req.BlobCapability = tw.Random(32)
		_, err := from.C.Mailbox.Send(ctx, req)
		tw.Refused(t, err, resealv1.Reason_REASON_UNKNOWN_BLOB)
	}
	for _, p := range bob.Today().Messages {
		if h, _ := message.ParseHeader(p.Header); h.Sender == mallory.Account.ID {
			t.Error("a blocked sender's message arrived")
		}
	}
	_, backlog := bobTablet.Events()
	for _, ev := range backlog {
		if p := ev.GetMessage(); p != nil {
			if h, _ := message.ParseHeader(p.Header); h.Sender == mallory.Account.ID {
				t.Error("a blocked sender's message is in the queue")
			}
		}
	}
	// Unsending works as ever.
	m, _ := mallory.Send(bob.Account, nil)
	if resp, err := post(mallory, m, message.Unsent); err != nil || resp.End != nil {
		t.Errorf("%v, %v", resp, err)
	}
	gone(t, w, m)
	// And unblocking.
	tw.Must[*resealv1.SetBlockedResponse](t)(bob.C.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: mallory.Account.ID[:]}))
	m, _ = mallory.Send(bob.Account, nil)
	if bob.Today().Find(m.Header.ID) == nil {
		t.Error("blocked for ever")
	}
}

func TestAddWrapsRules(t *testing.T) {
	w, alice, aliceTablet, bob, bobTablet := pair(t)
	carol := w.Account("carol")
	m := alice.Compose(bob.Account, nil)
	send(t, alice, m.Request(bobTablet))
	add := func(by *tw.Device, req *resealv1.AddWrapsRequest) error {
		_, err := by.C.Mailbox.AddWraps(ctx, req)
		return err
	}
	stranger := carol.Compose(bob.Account, nil)
	bad := m.AddRequest(alice, bobTablet)
	bad.Wraps = [][]byte{stranger.Wrap(carol, bobTablet)}
	tw.Refused(t, add(carol, bad), resealv1.Reason_REASON_UNKNOWN_MESSAGE)
	forged := m.AddRequest(bob, bobTablet)
	tw.Refused(t, add(alice, forged), resealv1.Reason_REASON_MALFORMED) // made by another device
	asCarol := m.AddRequest(alice, bobTablet)
	asCarol.Sender = carol.Account.ID[:]
	tw.Refused(t, add(carol, asCarol), resealv1.Reason_REASON_UNKNOWN_MESSAGE)
	// Without wraps it asks how a message stands.
	ask := &resealv1.AddWrapsRequest{MessageId: m.Header.ID[:], Sender: m.Header.Sender[:], Recipient: m.Header.Recipient[:]}
	if err := add(alice, ask); err != nil {
		t.Errorf("a message that is there: %v", err)
	}
	tw.Refused(t, add(carol, ask), resealv1.Reason_REASON_UNKNOWN_MESSAGE)
	lost := alice.Compose(bob.Account, nil)
	tw.Refused(t, add(alice, &resealv1.AddWrapsRequest{MessageId: lost.Header.ID[:], Sender: m.Header.Sender[:], Recipient: m.Header.Recipient[:]}), resealv1.Reason_REASON_UNKNOWN_MESSAGE)
	many := m.AddRequest(alice, bobTablet)
	for len(many.Wraps) <= 32 {
		many.Wraps = append(many.Wraps, many.Wraps[0])
	}
	tw.Refused(t, add(alice, many), resealv1.Reason_REASON_LIMIT)

	// Holders of both accounts may answer, each once for an epoch; what is
	// there stays.
	s, _ := bobTablet.Events()
	first := m.AddRequest(bob, bobTablet)
	for _, c := range []struct {
		by  *tw.Device
		req *resealv1.AddWrapsRequest
	}{{bob, first}, {bob, first}, {bob, m.AddRequest(bob, bobTablet)}, {aliceTablet, m.AddRequest(aliceTablet, bobTablet)}} {
		if err := add(c.by, c.req); err != nil {
			t.Fatal(err)
		}
	}
	ev := s.Until(func(ev *resealv1.EventsResponse) bool { return ev.GetWraps() != nil })
	if !m.Opens(bobTablet, ev.GetWraps().Wraps) {
		t.Error("the wrap that was told does not open")
	}
	p := bobTablet.Today().Find(m.Header.ID)
	if len(p.Wraps) != 2 {
		t.Fatalf("%d wraps", len(p.Wraps))
	}
	kept := false
	for _, b := range p.Wraps {
		kept = kept || string(b) == string(first.Wraps[0])
	}
	if !kept {
		t.Error("a wrap was replaced")
	}
}
