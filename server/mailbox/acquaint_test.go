package mailbox_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/mailbox"
)

func withStrangers(t testing.TB, n int) *tw.World {
	return tw.New(t, func(c *server.Config) { c.Strangers = n })
}

// An account writes to so many strangers in a day and to no more, as often as it
// likes to each; who wrote to it or sent a receipt is none.
func TestStrangersOfADay(t *testing.T) {
	w := withStrangers(t, 3)
	alice := w.Account("alice")
	people := map[string]*tw.Device{}
	for _, name := range []string{"bob", "carol", "dave", "eve", "frank", "grace", "heidi"} {
		people[name] = w.Account(name)
	}
	try := func(name string) (*tw.Message, *resealv1.ErrorDetail) {
		t.Helper()
		m := alice.Compose(people[name].Account, nil)
		_, err := alice.C.Mailbox.Send(ctx, m.Request())
		return m, refusal.Detail(err)
	}
	free := func(names ...string) {
		t.Helper()
		for _, name := range names {
			if _, r := try(name); r != nil {
				t.Errorf("%s: %v", name, r)
			}
		}
	}
	full := func(names ...string) {
		t.Helper()
		for _, name := range names {
			_, r := try(name)
			if r.GetReason() != resealv1.Reason_REASON_LIMIT || r.Limit != mailbox.StrangersQuota {
				t.Fatalf("%s: %v", name, r)
			}
			midnight := w.Now().Truncate(24 * time.Hour).Add(24 * time.Hour)
			if after := time.Duration(r.RetryAfterMs) * time.Millisecond; w.Now().Add(after).Sub(midnight).Abs() > time.Second {
				t.Errorf("%s: come back in %v, the day ends in %v", name, after, midnight.Sub(w.Now()))
			}
		}
	}
	// One of them has blocked the sender, who cannot tell.
	tw.Must[*resealv1.SetBlockedResponse](t)(people["bob"].C.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: alice.Account.ID[:], Blocked: true}))
	free("bob", "carol", "dave", "dave", "bob")
	full("eve", "frank")
	repeat := alice.Compose(people["dave"].Account, nil)
	send(t, alice, repeat.Request())

	// Who writes first is answered at any time.
	send(t, people["eve"], people["eve"].Compose(alice.Account, nil).Request())
	free("eve")
	full("frank")

	// Who sends a receipt counts no more from the next day on.
	m, _ := try("carol")
	tw.Must[*resealv1.PostReceiptResponse](t)(people["carol"].C.Mailbox.PostReceipt(ctx, m.ReceiptRequest(people["carol"], message.Received)))
	w.Pass(24 * time.Hour)
	send(t, alice, repeat.Request()) // a repeat of yesterday's is no new message
	free("carol", "eve", "frank", "grace", "bob")
	full("heidi", "dave")

	// The server forgets whom somebody knows.
	w.Pass(61 * 24 * time.Hour)
	for _, d := range append([]*tw.Device{alice}, people["carol"], people["eve"]) {
		d.Publish()
	}
	free("carol", "eve", "heidi")
	full("frank")
}

// Messages to many strangers at the same moment are counted one by one.
func TestStrangersAtOnce(t *testing.T) {
	const most, all = 5, 24
	w := withStrangers(t, most)
	alice := w.Account("alice")
	var reqs []*resealv1.SendRequest
	for i := range all {
		reqs = append(reqs, alice.Compose(w.Account(fmt.Sprintf("person%d", i)).Account, nil).Request())
	}
	var took atomic.Int32
	var wg sync.WaitGroup
	for _, req := range reqs {
		wg.Go(func() {
			_, err := alice.C.Mailbox.Send(ctx, req)
			switch r := refusal.Detail(err); {
			case err == nil:
				took.Add(1)
			case r.GetReason() != resealv1.Reason_REASON_LIMIT || r.Limit != mailbox.StrangersQuota:
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if took.Load() != most {
		t.Errorf("%d messages to strangers were taken, want %d", took.Load(), most)
	}
}
