package directory_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	tw "github.com/reseal/reseal/internal/testworld"
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
