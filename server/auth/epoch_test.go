package auth_test

import (
	"strings"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// Two certificates of one epoch come at once, from a device that was copied, and
// each call reads before the other one writes. One is put, the other is refused by
// a condition, also in an engine that does not see that a record changed.
func TestTwoCertificatesOfOneEpoch(t *testing.T) {
	for _, first := range []bool{true, false} { // the device's first publication, or a later one
		w := tw.New(t, nil)
		d := w.Account("alice")
		if !first {
			w.Pass(8 * 24 * time.Hour)
			d.Publish()
		}
		w.Pass(8 * 24 * time.Hour)
		epochs := d.Epochs
		one := &resealv1.PublishEpochRequest{Certified: d.Certified(d.NewEpoch())}
		d.Epochs = epochs
		twin := &resealv1.PublishEpochRequest{Certified: d.Certified(d.NewEpoch())}
		held := 0
		w.Outcomes(func(_ store.Partition, b *store.Batch) memory.Outcome {
			for _, c := range b.Writes {
				if !strings.HasPrefix(string(c.Key), string(records.Certs)) {
					continue
				}
				if len(b.Conditions) == 0 {
					t.Error("a certificate is put without a condition")
				}
				if held++; held == 1 {
					tw.Must[*resealv1.PublishEpochResponse](t)(d.C.PublishEpoch(ctx, twin))
				}
			}
			return memory.Known
		})
		_, err := d.C.PublishEpoch(ctx, one)
		tw.Refused(t, err, resealv1.Reason_REASON_CONFLICT)
		if held != 2 {
			t.Errorf("%d puts", held)
		}
		keys := tw.Must[*resealv1.GetAccountsResponse](t)(d.C.Directory.GetAccounts(ctx, &resealv1.GetAccountsRequest{
			Accounts: []*resealv1.KnownAccount{{AccountId: d.Account.ID[:]}},
		})).Accounts[0]
		if c := keys.Certificates; len(c) != 1 || string(c[0]) != string(twin.Certified.Certificate) {
			t.Error("another certificate stands")
		}
		for range 2 { // a repeat of the one that stands
			tw.Must[*resealv1.PublishEpochResponse](t)(d.C.PublishEpoch(ctx, twin))
		}
	}
}

// A server that was put back from a copy lacks epochs that a device published
// since: the device goes on from its own number. What is far above, or below, is
// refused.
func TestEpochAheadOfServer(t *testing.T) {
	for _, c := range []struct {
		step uint64
		want resealv1.Reason
	}{
		{2, 0}, {64, 0},
		{65, resealv1.Reason_REASON_MALFORMED},
		{1<<64 - 2, resealv1.Reason_REASON_MALFORMED},
	} {
		w := tw.New(t, nil)
		d, peer := w.Account("alice"), w.Account("bob")
		w.Pass(8 * 24 * time.Hour)
		e := d.NewEpoch()
		cert := e.Cert.Certificate
		cert.Epoch = 1 + c.step
		var err error
		if e.Cert, err = identity.SignCertificate(cert, d.Key); err != nil {
			t.Fatal(err)
		}
		req := &resealv1.PublishEpochRequest{Certified: d.Certified(e)}
		if _, err = d.C.PublishEpoch(ctx, req); c.want != 0 {
			tw.Refused(t, err, c.want)
			continue
		}
		if err != nil {
			t.Errorf("%d above: %v", c.step, err)
			continue
		}
		keys := tw.Must[*resealv1.GetAccountsResponse](t)(peer.C.Directory.GetAccounts(ctx, &resealv1.GetAccountsRequest{
			Accounts: []*resealv1.KnownAccount{{AccountId: d.Account.ID[:]}},
		})).Accounts[0]
		if got := keys.Certificates; len(got) != 1 || string(got[0]) != string(e.Cert.Bytes()) {
			t.Errorf("%d above: it is not the one that is served", c.step)
		}
		d.Epochs = d.Epochs[:1] // the one that the server lacked, now
		between := d.NewEpoch()
		_, err = d.C.PublishEpoch(ctx, &resealv1.PublishEpochRequest{Certified: d.Certified(between)})
		tw.Refused(t, err, resealv1.Reason_REASON_CONFLICT)
	}
}

// The outcome of a publication is unknown: the repeat knows its own.
func TestPublishEpochUnknown(t *testing.T) {
	for _, o := range []memory.Outcome{memory.Now, memory.Never} {
		w := tw.New(t, nil)
		d := w.Account("alice")
		w.Pass(8 * 24 * time.Hour)
		n := 0
		w.Outcomes(func(_ store.Partition, b *store.Batch) memory.Outcome {
			if n++; n == 1 {
				return o
			}
			return memory.Known
		})
		d.Publish()
	}
}
