package retry_test

import (
	"testing"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/retry"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/limits"
)

// Every id that is withdrawn costs, whether or not there is such a request:
// it is looked for on many days.
func TestCloseRate(t *testing.T) {
	w := tw.New(t, func(c *server.Config) {
		c.Limits = &limits.Config{Rates: map[string]limits.Rate{limits.RetryClose: {PerSecond: 0.001, Burst: 3}}}
	})
	alice, bob := w.Account("alice"), w.Account("bob")
	withdraw := func(d *tw.Device, n int) error {
		req := new(resealv1.CloseRetryRequest)
		for range n {
			req.RequestIds = append(req.RequestIds, tw.Random(32))
		}
		_, err := d.C.Mailbox.CloseRetry(ctx, req)
		return err
	}
	if err := withdraw(alice, 3); err != nil {
		t.Fatal(err)
	}
	tw.Refused(t, withdraw(alice, 1), resealv1.Reason_REASON_RATE)
	if err := withdraw(bob, 1); err != nil {
		t.Errorf("another account: %v", err)
	}
}

// Each new request leaves entries in the queues of the holders: one account has
// a bucket of its own for each that it asks, and repeats take nothing of it.
func TestNewRequestRate(t *testing.T) {
	w := tw.New(t, func(c *server.Config) {
		c.Limits = &limits.Config{Rates: map[string]limits.Rate{limits.RetryNew: {PerSecond: 0.001, Burst: 2}}}
	})
	alice, bob := w.Account("alice"), w.Account("bob")
	m, _ := alice.Send(bob.Account, nil)
	tablet := bob.Account.Join()
	try := func(r *retry.SignedRequest) error {
		_, err := tablet.C.Mailbox.AskRetry(ctx, &resealv1.AskRetryRequest{Requests: [][]byte{r.Bytes()}})
		return err
	}
	for range 2 {
		r := tablet.Ask(alice.Account.ID, m.Header.ID)
		for range 3 {
			if err := try(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	tw.Refused(t, try(tablet.Ask(alice.Account.ID, m.Header.ID)), resealv1.Reason_REASON_RATE)
	if err := try(tablet.Ask(bob.Account.ID, m.Header.ID)); err != nil {
		t.Errorf("another account: %v", err)
	}
}
