package directory_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/limits"
)

var ctx = context.Background()

func TestLookup(t *testing.T) {
	w := tw.New(t, nil)
	alice, bob := w.Account("alice"), w.Account("bob")
	got := tw.Must[*resealv1.LookupResponse](t)(bob.C.Directory.Lookup(ctx, &resealv1.LookupRequest{Handle: "alice"})).Account
	if !bytes.Equal(got.AccountId, alice.Account.ID[:]) || !bytes.Equal(got.List, alice.List.Bytes()) || got.Handle != "alice" || len(got.Certificates) != 1 {
		t.Errorf("%v", got)
	}
	for _, h := range []string{"nobody", "", "Not A Handle", string(make([]byte, 5000))} {
		_, err := bob.C.Directory.Lookup(ctx, &resealv1.LookupRequest{Handle: h})
		tw.Refused(t, err, resealv1.Reason_REASON_UNKNOWN_ACCOUNT)
	}
	_, err := w.Client("").Directory.Lookup(ctx, &resealv1.LookupRequest{Handle: "alice"})
	tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
}

func TestAccountsAndCertificates(t *testing.T) {
	w := tw.New(t, nil)
	alice, bob := w.Account("alice"), w.Account("bob")
	old := alice.Newest()
	w.Pass(8 * 24 * time.Hour)
	alice.Publish()
	accounts := tw.Must[*resealv1.GetAccountsResponse](t)(bob.C.Directory.GetAccounts(ctx, &resealv1.GetAccountsRequest{Accounts: []*resealv1.KnownAccount{
		{AccountId: alice.Account.ID[:], ListVersion: 1}, {AccountId: tw.Random(16)}, {AccountId: bob.Account.ID[:]},
	}})).Accounts
	if len(accounts) != 2 || len(accounts[0].Certificates) != 1 || !bytes.Equal(accounts[0].Certificates[0], alice.Newest().Cert.Bytes()) {
		t.Fatalf("%v", accounts)
	}
	certs := tw.Must[*resealv1.GetCertificatesResponse](t)(bob.C.Directory.GetCertificates(ctx, &resealv1.GetCertificatesRequest{Certificates: []*resealv1.NamedCertificate{
		{AccountId: alice.Account.ID[:], DeviceId: alice.ID[:], Epoch: 1}, {AccountId: alice.Account.ID[:], DeviceId: alice.ID[:], Epoch: 9},
	}})).Certificates
	if len(certs) != 1 || !bytes.Equal(certs[0], old.Cert.Bytes()) {
		t.Error("a superseded certificate is missing")
	}
	_, err := bob.C.Directory.GetAccounts(ctx, &resealv1.GetAccountsRequest{Accounts: []*resealv1.KnownAccount{{AccountId: []byte{1}}}})
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)
	_, err = bob.C.Directory.GetCertificates(ctx, &resealv1.GetCertificatesRequest{Certificates: []*resealv1.NamedCertificate{{}}})
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)
}

// Each account that is asked for costs, also one that is not there: handles are
// not to be tried by the million.
func TestLookupRate(t *testing.T) {
	w := tw.New(t, func(c *server.Config) {
		c.Limits = &limits.Config{Rates: map[string]limits.Rate{limits.Directory: {PerSecond: 0.001, Burst: 5}}}
	})
	alice, bob := w.Account("alice"), w.Account("bob")
	lookup := func(d *tw.Device, h string) error {
		_, err := d.C.Directory.Lookup(ctx, &resealv1.LookupRequest{Handle: h})
		return err
	}
	known := &resealv1.KnownAccount{AccountId: alice.Account.ID[:]}
	if err := lookup(bob, "alice"); err != nil {
		t.Fatal(err)
	}
	tw.Refused(t, lookup(bob, "nobody"), resealv1.Reason_REASON_UNKNOWN_ACCOUNT)
	tw.Must[*resealv1.GetAccountsResponse](t)(bob.C.Directory.GetAccounts(ctx, &resealv1.GetAccountsRequest{Accounts: []*resealv1.KnownAccount{known, known, known}}))
	tw.Refused(t, lookup(bob, "nobody"), resealv1.Reason_REASON_RATE)
	_, err := bob.C.Directory.GetCertificates(ctx, &resealv1.GetCertificatesRequest{Certificates: []*resealv1.NamedCertificate{
		{AccountId: alice.Account.ID[:], DeviceId: alice.ID[:], Epoch: 1},
	}})
	tw.Refused(t, err, resealv1.Reason_REASON_RATE)
	if err := lookup(alice, "bob"); err != nil {
		t.Errorf("another account: %v", err)
	}
}
