package mailbox_test

import (
	"testing"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/limits"
	"github.com/reseal/reseal/server/mailbox"
)

// limited is a world in which some kinds are limited, and no others.
func limited(t testing.TB, rates map[string]limits.Rate) *tw.World {
	return tw.New(t, func(c *server.Config) { c.Limits = &limits.Config{Rates: rates} })
}

// A sender uses up its own bucket at a recipient, not what others need there;
// a blocked one sees the same, and takes nothing of what all senders share.
func TestInboxRates(t *testing.T) {
	w := limited(t, map[string]limits.Rate{limits.Inbox: {PerSecond: 0.001, Burst: 3}, limits.InboxAll: {PerSecond: 0.001, Burst: 4}})
	alice, bob, mallory, carol := w.Account("alice"), w.Account("bob"), w.Account("mallory"), w.Account("carol")
	flood := func(d *tw.Device) {
		t.Helper()
		for range 3 {
			send(t, d, d.Compose(bob.Account, nil).Request())
		}
		_, err := d.C.Mailbox.Send(ctx, d.Compose(bob.Account, nil).Request())
		tw.Refused(t, err, resealv1.Reason_REASON_RATE)
	}
	tw.Must[*resealv1.SetBlockedResponse](t)(bob.C.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: mallory.Account.ID[:], Blocked: true}))
	flood(mallory)
	flood(alice) // takes three of the four
	req := carol.Compose(bob.Account, nil).Request()
	send(t, carol, req)
	send(t, carol, req) // a repeat costs nothing
	_, err := carol.C.Mailbox.Send(ctx, carol.Compose(bob.Account, nil).Request())
	tw.Refused(t, err, resealv1.Reason_REASON_RATE)
	send(t, carol, carol.Compose(alice.Account, nil).Request())
	if n := len(bob.Today().Messages); n != 4 {
		t.Errorf("%d messages arrived, want 4", n)
	}
}

// Bytes are counted besides messages: by sender and recipient, and by recipient;
// the refusal names which, and when to come back.
func TestInboxBytes(t *testing.T) {
	w := limited(t, map[string]limits.Rate{limits.InboxBytes: {PerSecond: 1, Burst: 45}, limits.InboxBytesAll: {PerSecond: 1, Burst: 60}})
	alice, bob, mallory, carol := w.Account("alice"), w.Account("bob"), w.Account("mallory"), w.Account("carol")
	try := func(d *tw.Device) *resealv1.ErrorDetail {
		t.Helper()
		m := d.Compose(bob.Account, func(h *message.Header) { h.Length = message.MaxInline })
		m.Inline = tw.Random(message.MaxInline)
		_, err := d.C.Mailbox.Send(ctx, m.Request())
		return refusal.Detail(err)
	}
	tw.Must[*resealv1.SetBlockedResponse](t)(bob.C.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: mallory.Account.ID[:], Blocked: true}))
	for _, d := range []*tw.Device{mallory, alice} { // 16 KiB and some each
		for range 2 {
			if r := try(d); r != nil {
				t.Fatal(r)
			}
		}
		if r := try(d); r.GetReason() != resealv1.Reason_REASON_RATE || r.Limit != limits.InboxBytes || r.RetryAfterMs == 0 {
			t.Errorf("%v", r)
		}
	}
	if r := try(carol); r != nil {
		t.Errorf("another sender: %v", r)
	}
	if r := try(carol); r.GetReason() != resealv1.Reason_REASON_RATE || r.Limit != limits.InboxBytesAll {
		t.Errorf("past what all may send: %v", r)
	}
}

// A stranger has few messages at a recipient, also one that is blocked, until the
// recipient writes.
func TestStrangersRate(t *testing.T) {
	w := limited(t, map[string]limits.Rate{limits.InboxStranger: {PerSecond: 0.001, Burst: 2}})
	alice, bob, mallory := w.Account("alice"), w.Account("bob"), w.Account("mallory")
	tw.Must[*resealv1.SetBlockedResponse](t)(bob.C.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: mallory.Account.ID[:], Blocked: true}))
	for _, d := range []*tw.Device{alice, mallory} {
		first := d.Compose(bob.Account, nil).Request()
		send(t, d, first)
		send(t, d, d.Compose(bob.Account, nil).Request())
		_, err := d.C.Mailbox.Send(ctx, d.Compose(bob.Account, nil).Request())
		if r := refusal.Detail(err); r.GetReason() != resealv1.Reason_REASON_LIMIT || r.Limit != mailbox.UnansweredQuota || r.RetryAfterMs == 0 {
			t.Errorf("%v", err)
		}
		send(t, d, first) // a repeat is no new one
		send(t, d, d.Compose(d.Account, nil).Request())
	}
	writes(t, bob, alice)
	for range 5 {
		send(t, alice, alice.Compose(bob.Account, nil).Request())
	}
}
