package mailbox_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/quota"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/server"
)

func withQuotas(t testing.TB, l quota.Limits) *tw.World {
	return tw.New(t, func(c *server.Config) { c.Quotas = &l })
}

// So many messages wait for an account and no more; who is past that is told the
// quota and until when the first of them stays. One that is over makes room.
func TestPendingQuota(t *testing.T) {
	w := withQuotas(t, quota.Limits{Pending: 3, Sent: 4})
	alice, carol, bob := w.Account("alice"), w.Account("carol"), w.Account("bob")
	tw.Must[*resealv1.SetBlockedResponse](t)(bob.C.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: carol.Account.ID[:], Blocked: true}))
	m := alice.Compose(bob.Account, tw.Once)
	first := m.Request()
	send(t, alice, first)
	for range 2 {
		alice.Send(bob.Account, nil)
	}
	full := func(d *tw.Device, to *tw.Account, what string) {
		t.Helper()
		_, err := d.C.Mailbox.Send(ctx, d.Compose(to, nil).Request())
		r := refusal.Detail(err)
		if r.GetReason() != resealv1.Reason_REASON_LIMIT || r.Limit != quota.What(what) {
			t.Fatalf("%v", err)
		}
		goes := m.Header.Expires.Time().Sub(w.Now())
		if after := time.Duration(r.RetryAfterMs) * time.Millisecond; after <= 0 || after > goes {
			t.Errorf("come back in %v; the first goes in %v", after, goes)
		}
	}
	full(alice, bob.Account, "pending")
	full(carol, bob.Account, "pending") // who is blocked cannot tell
	send(t, alice, first)               // a repeat is no new one

	if err := claim(bob, m); err != nil {
		t.Fatal(err)
	}
	tw.Must[*resealv1.PostReceiptResponse](t)(bob.C.Mailbox.PostReceipt(ctx, m.ReceiptRequest(bob, message.Viewed)))
	w.Pass(10 * time.Second)
	send(t, alice, alice.Compose(bob.Account, nil).Request())
	full(alice, bob.Account, "pending")

	// What alice has sent counts for her, whomever it waits for.
	send(t, alice, alice.Compose(carol.Account, nil).Request())
	full(alice, carol.Account, "sent")
	send(t, bob, bob.Compose(carol.Account, nil).Request())
	w.Pass(31 * 24 * time.Hour) // everything has expired
	for _, d := range []*tw.Device{alice, bob} {
		d.Publish()
	}
	send(t, alice, alice.Compose(bob.Account, nil).Request())
}

// Bytes count besides, however many messages come at once.
func TestPendingBytesAtOnce(t *testing.T) {
	w := withQuotas(t, quota.Limits{PendingBytes: 100 << 10})
	alice, bob := w.Account("alice"), w.Account("bob")
	var took atomic.Int32
	var wg sync.WaitGroup
	for range 24 {
		m := alice.Compose(bob.Account, func(h *message.Header) { h.Length = message.MaxInline })
		m.Inline = tw.Random(message.MaxInline)
		req := m.Request()
		wg.Go(func() {
			_, err := alice.C.Mailbox.Send(ctx, req)
			switch r := refusal.Detail(err); {
			case err == nil:
				took.Add(1)
			case r.GetReason() != resealv1.Reason_REASON_LIMIT || r.Limit != quota.What("pending-bytes"):
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if n := took.Load(); n != 5 { // 16 KiB, a header and a wrap each
		t.Errorf("%d messages were taken", n)
	}
}
