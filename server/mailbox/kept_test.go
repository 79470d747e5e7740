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
	writes(t, bob, alice, carol) // who may use all of the room now
	writes(t, carol, alice)
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
	writes(t, bob, alice)
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

// writes has somebody write to others, who are no strangers from then on.
func writes(t *testing.T, by *tw.Device, to ...*tw.Device) {
	t.Helper()
	for _, d := range to {
		send(t, by, by.Compose(d.Account, nil).Request())
	}
}

// However many strangers write, and however much, half of the room is left for
// those whom the account knows; who is blocked cannot tell.
func TestStrangersLeaveHalfOfTheRoom(t *testing.T) {
	for _, c := range []struct {
		what   string
		quotas quota.Limits
	}{{"pending", quota.Limits{Pending: 6}}, {"pending-bytes", quota.Limits{PendingBytes: 108 << 10}}} {
		t.Run(c.what, func(t *testing.T) {
			w := withQuotas(t, c.quotas)
			bob, alice, mallory, trudy, blocked := w.Account("bob"), w.Account("alice"), w.Account("mallory"), w.Account("trudy"), w.Account("eve")
			writes(t, bob, alice)
			tw.Must[*resealv1.SetBlockedResponse](t)(bob.C.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: blocked.Account.ID[:], Blocked: true}))
			try := func(d *tw.Device) *resealv1.ErrorDetail {
				t.Helper()
				m := d.Compose(bob.Account, func(h *message.Header) { h.Length = message.MaxInline })
				m.Inline = tw.Random(message.MaxInline)
				_, err := d.C.Mailbox.Send(ctx, m.Request())
				return refusal.Detail(err)
			}
			three := func(d *tw.Device) {
				t.Helper()
				for n := range 3 {
					if r := try(d); r != nil {
						t.Fatalf("%d: %v", n, r)
					}
				}
			}
			full := func(all ...*tw.Device) {
				t.Helper()
				for _, d := range all {
					if r := try(d); r.GetReason() != resealv1.Reason_REASON_LIMIT || r.Limit != quota.What(c.what) || r.RetryAfterMs == 0 {
						t.Fatalf("%v", r)
					}
				}
			}
			three(mallory)
			full(mallory, trudy, blocked)
			three(alice)
			full(alice, trudy)
		})
	}
}
