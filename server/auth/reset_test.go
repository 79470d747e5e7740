package auth_test

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server/auth"
	"github.com/reseal/reseal/store"
)

func hasNotice(all []records.Notice, what resealv1.AccountNotice_What, due identity.Time, by identity.DeviceID) bool {
	return slices.ContainsFunc(all, func(n records.Notice) bool { return n.What == uint8(what) && n.Due == due && n.Device == by })
}

// beginning signs a list under another account key, for the device alone.
func beginning(t *testing.T, d *tw.Device, k identity.AccountKey, alter func(*identity.DeviceList)) []byte {
	t.Helper()
	next := tw.Must[identity.DeviceList](t)(identity.Reset(d.List, k.Public(), identity.NextHash(tw.Random(32)), d.ID, d.W.Time()))
	next.BookVersion, next.BookHash = 2, [32]byte{1}
	if alter != nil {
		alter(&next)
	}
	return tw.Must[*identity.SignedList](t)(identity.SignList(next, k)).Bytes()
}

func TestReset(t *testing.T) {
	w := tw.New(t, nil)
	d := w.SignUp("alice", password)
	second := d.Join()
	_, _, unbound, err := w.Login("alice", password)
	if err != nil {
		t.Fatal(err)
	}
	_, err = unbound.AskReset(ctx, &resealv1.AskResetRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_NO_DEVICE)
	asked := tw.Must[*resealv1.AskResetResponse](t)(d.C.AskReset(ctx, &resealv1.AskResetRequest{})).Reset_
	if due := identity.Time(asked.DueMs); due != w.Time().Add(auth.ResetDelay) || string(asked.DeviceId) != string(d.ID[:]) {
		t.Fatalf("%v", asked)
	}
	for _, dev := range []*tw.Device{d, second} {
		if !hasNotice(notices(t, dev), resealv1.AccountNotice_WHAT_RESET_ASKED, identity.Time(asked.DueMs), d.ID) {
			t.Error("a device is not told")
		}
	}
	list := tw.Must[*resealv1.ListSessionsResponse](t)(second.C.ListSessions(ctx, &resealv1.ListSessionsRequest{}))
	if !proto.Equal(list.Reset_, asked) {
		t.Errorf("the other device sees %v", list.Reset_)
	}

	reg, m1, err := opaque.StartRegistration(d.Handle, []byte(newPassword))
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.C.StartReset(ctx, &resealv1.StartResetRequest{RegistrationRequest: m1})
	tw.Refused(t, err, resealv1.Reason_REASON_NOT_DUE)
	w.Pass(auth.ResetDelay - time.Second)
	_, err = d.C.StartReset(ctx, &resealv1.StartResetRequest{RegistrationRequest: m1})
	tw.Refused(t, err, resealv1.Reason_REASON_NOT_DUE)
	w.Pass(2 * time.Second)
	_, err = second.C.StartReset(ctx, &resealv1.StartResetRequest{RegistrationRequest: m1})
	tw.Refused(t, err, resealv1.Reason_REASON_NO_RESET)
	m2 := tw.Must[*resealv1.StartResetResponse](t)(d.C.StartReset(ctx, &resealv1.StartResetRequest{RegistrationRequest: m1}))
	record, _, err := reg.Finish(m2.RegistrationResponse)
	if err != nil {
		t.Fatal(err)
	}
	d.Refresh()
	key := tw.Must[identity.AccountKey](t)(identity.NewAccountKey(rand.Reader))
	row := d.APIShare()
	row.Row = tw.Random(32) // under another row key
	req := &resealv1.FinishResetRequest{
		Revision: d.Revision, List: beginning(t, d, key, nil), OpaqueRecord: record, Capsules: d.Capsules(), Share: row,
		RecoveryAuthHash: tw.Random(32), RecoveryRoot: tw.Random(auth.RootSize), BaseVersion: 1, Book: &resealv1.Book{Version: 2, Parts: [][]byte{tw.Random(40)}},
	}
	for name, e := range map[string]struct {
		change func(r *resealv1.FinishResetRequest)
		want   resealv1.Reason
	}{
		"the key that stands": {func(r *resealv1.FinishResetRequest) {
			l := d.List.List
			l.Version, l.Prev, l.Devices = l.Version+1, d.List.Hash(), []identity.Device{l.Devices[0]}
			r.List = tw.Must[*identity.SignedList](t)(identity.SignList(l, d.Keys.Account)).Bytes()
		}, resealv1.Reason_REASON_PROOF},
		"a rotation": {func(r *resealv1.FinishResetRequest) { r.List = succession(t, d, d.Code.NextKey(), nil) }, resealv1.Reason_REASON_PROOF},
		"another device too": {func(r *resealv1.FinishResetRequest) {
			r.List = beginning(t, d, key, func(l *identity.DeviceList) { l.Devices = d.List.List.Devices })
		}, resealv1.Reason_REASON_MALFORMED},
		"another device alone": {func(r *resealv1.FinishResetRequest) {
			r.List = beginning(t, d, key, func(l *identity.DeviceList) { l.Devices = []identity.Device{second.Entry()} })
		}, resealv1.Reason_REASON_MALFORMED},
		"a version ahead": {func(r *resealv1.FinishResetRequest) {
			r.List = beginning(t, d, key, func(l *identity.DeviceList) { l.Version++ })
		}, resealv1.Reason_REASON_CONFLICT},
		"another list before": {func(r *resealv1.FinishResetRequest) {
			r.List = beginning(t, d, key, func(l *identity.DeviceList) { l.Prev[0]++ })
		}, resealv1.Reason_REASON_CONFLICT},
		"no list":            {func(r *resealv1.FinishResetRequest) { r.List = nil }, resealv1.Reason_REASON_MALFORMED},
		"another revision":   {func(r *resealv1.FinishResetRequest) { r.Revision++ }, resealv1.Reason_REASON_CONFLICT},
		"no code":            {func(r *resealv1.FinishResetRequest) { r.RecoveryAuthHash = nil }, resealv1.Reason_REASON_MALFORMED},
		"no root":            {func(r *resealv1.FinishResetRequest) { r.RecoveryRoot = nil }, resealv1.Reason_REASON_MALFORMED},
		"no share":           {func(r *resealv1.FinishResetRequest) { r.Share = nil }, resealv1.Reason_REASON_MALFORMED},
		"another's row name": {func(r *resealv1.FinishResetRequest) { r.Share.Row = second.Row[:] }, resealv1.Reason_REASON_MALFORMED},
		"no book":            {func(r *resealv1.FinishResetRequest) { r.Book = nil }, resealv1.Reason_REASON_MALFORMED},
		"an older book":      {func(r *resealv1.FinishResetRequest) { r.BaseVersion = 0 }, resealv1.Reason_REASON_CONFLICT},
		"no password":        {func(r *resealv1.FinishResetRequest) { r.OpaqueRecord = nil }, resealv1.Reason_REASON_MALFORMED},
		"no capsules":        {func(r *resealv1.FinishResetRequest) { r.Capsules = nil }, resealv1.Reason_REASON_MALFORMED},
	} {
		r := proto.CloneOf(req)
		e.change(r)
		_, err := d.C.FinishReset(ctx, r)
		t.Log(name)
		tw.Refused(t, err, e.want)
	}
	_, err = second.C.FinishReset(ctx, req)
	tw.Refused(t, err, resealv1.Reason_REASON_NO_RESET)
	for range 2 {
		if done := tw.Must[*resealv1.FinishResetResponse](t)(d.C.FinishReset(ctx, req)); done.Credential != 2 {
			t.Errorf("%v", done)
		}
	}
	if err := alive(d.C); err != nil {
		t.Errorf("the session that stays: %v", err)
	}
	for _, c := range []tw.Client{second.C, unbound} {
		tw.Refused(t, alive(c), resealv1.Reason_REASON_SESSION_ENDED)
	}
	for rec, err := range store.Scan(ctx, w.Store, records.AccountPartition(d.Account.ID), records.SharesAll, store.PrefixEnd(records.SharesAll), false) {
		if err != nil || !rec.Gone() && rec.Key != records.ShareKey([32]byte(row.Row)) {
			t.Errorf("share %x outlived the reset, %v", rec.Key, err)
		}
	}
	// It is used up: the same again begins with another 24 hours.
	_, err = d.C.StartReset(ctx, &resealv1.StartResetRequest{RegistrationRequest: m1})
	tw.Refused(t, err, resealv1.Reason_REASON_NO_RESET)
}

// A login that knows the password, bound to no device yet, can cancel as well.
func TestCancelReset(t *testing.T) {
	w := tw.New(t, nil)
	d := w.SignUp("alice", password)
	second := d.Join()
	for range 2 { // and asked for again after that
		tw.Must[*resealv1.AskResetResponse](t)(second.C.AskReset(ctx, &resealv1.AskResetRequest{}))
		_, _, c, err := w.Login("alice", password)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			tw.Must[*resealv1.CancelResetResponse](t)(c.CancelReset(ctx, &resealv1.CancelResetRequest{}))
		}
	}
	if !hasNotice(notices(t, second), resealv1.AccountNotice_WHAT_RESET_CANCELLED, 0, identity.DeviceID{}) {
		t.Error("who asked is not told")
	}
	w.Pass(auth.ResetDelay + time.Minute)
	_, err := second.C.StartReset(ctx, &resealv1.StartResetRequest{RegistrationRequest: tw.Random(32)})
	tw.Refused(t, err, resealv1.Reason_REASON_NO_RESET)
	// A device that leaves takes its reset along.
	tw.Must[*resealv1.AskResetResponse](t)(second.C.AskReset(ctx, &resealv1.AskResetRequest{}))
	d.Refresh()
	d.Remove(second)
	if list := tw.Must[*resealv1.ListSessionsResponse](t)(d.C.ListSessions(ctx, &resealv1.ListSessionsRequest{})); list.Reset_ != nil {
		t.Errorf("%v", list.Reset_)
	}
}
