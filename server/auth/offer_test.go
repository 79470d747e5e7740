package auth_test

import (
	"testing"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/store"
)

// A list that the account key signed and that follows from what stands is taken
// again; nothing else is, and the shares of whom it lacks go.
func TestOfferList(t *testing.T) {
	w := tw.New(t, nil)
	d := w.SignUp("alice", password)
	second := d.Join()
	d.Refresh()
	offer := func(c tw.Client, change func(*identity.DeviceList), key identity.AccountKey) error {
		l := d.List.List
		l.Version, l.Prev, l.IssuedAt = l.Version+2, identity.ListHash(tw.Random(32)), w.Time()
		l.Devices = append([]identity.Device{}, l.Devices...)
		if change != nil {
			change(&l)
		}
		_, err := c.OfferList(ctx, &resealv1.OfferListRequest{List: tw.Must[*identity.SignedList](t)(identity.SignList(l, key)).Bytes()})
		return err
	}
	key := d.Keys.Account
	only := func(dev *tw.Device) func(*identity.DeviceList) {
		return func(l *identity.DeviceList) { l.Devices = []identity.Device{dev.Entry()} }
	}
	other := w.Account("bob")
	tw.Refused(t, offer(d.C, only(second), key), resealv1.Reason_REASON_PROOF) // it leaves itself out
	tw.Refused(t, offer(d.C, func(l *identity.DeviceList) { l.Key = other.Keys.Account.Public() }, other.Keys.Account), resealv1.Reason_REASON_PROOF)
	tw.Refused(t, offer(d.C, func(l *identity.DeviceList) { l.Next[0] ^= 1 }, key), resealv1.Reason_REASON_PROOF)
	tw.Refused(t, offer(other.C, nil, key), resealv1.Reason_REASON_MALFORMED)
	_, err := d.C.OfferList(ctx, &resealv1.OfferListRequest{List: tw.Random(40)})
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)
	// An older one, and the one that stands, change nothing.
	if _, err := d.C.OfferList(ctx, &resealv1.OfferListRequest{List: d.List.Bytes()}); err != nil {
		t.Error(err)
	}

	shares := func() int {
		all, err := w.Store.Range(ctx, records.AccountPartition(d.Account.ID), records.SharesAll, store.PrefixEnd(records.SharesAll), 10, false)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, r := range all {
			if !r.Gone() {
				n++
			}
		}
		return n
	}
	if shares() != 2 {
		t.Fatal("two devices have a share each")
	}
	if err := offer(d.C, only(d), key); err != nil {
		t.Fatal(err)
	}
	if shares() != 1 {
		t.Error("the share of a device that the list lacks stays")
	}
	_, err = second.C.ListSessions(ctx, &resealv1.ListSessionsRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
	before := d.List.List.Version
	if d.Refresh(); d.List.List.Version != before+2 {
		t.Errorf("version %d stands", d.List.List.Version)
	}
}
