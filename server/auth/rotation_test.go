package auth_test

import (
	"crypto/rand"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/internal/records"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/server"
)

// succession signs a rotation of the account, from and to the given keys.
func succession(t *testing.T, d *tw.Device, to identity.AccountKey, change func(*identity.DeviceList)) []byte {
	t.Helper()
	next := identity.DeviceList{
		Account: d.Account.ID, Key: to.Public(), Next: identity.NextHash(tw.Random(32)), Version: d.List.List.Version + 1,
		Prev: d.List.Hash(), IssuedAt: d.W.Time(), BookVersion: 2, BookHash: [32]byte{1}, Devices: []identity.Device{d.Entry()},
	}
	next.Devices[0].AddedAt = d.List.List.Devices[0].AddedAt
	if old, ok := d.List.Find(d.ID); ok {
		next.Devices[0] = old
	}
	if change != nil {
		change(&next)
	}
	return tw.Must[*identity.SignedList](t)(identity.SignRotation(next, d.Keys.Account, to)).Bytes()
}

func TestRotation(t *testing.T) {
	w := tw.New(t, nil)
	d := w.SignUp("alice", password)
	second := d.Join()
	_, _, c, err := recovering(t, d, d.Code)
	if err != nil {
		t.Fatal(err)
	}
	d.Refresh()
	code := tw.Must[capsule.RecoveryCode](t)(capsule.NewRecoveryCode(rand.Reader))
	auth, hash, session := d.Code.Auth().Bytes(), code.Auth().Hash(), d.Session.Hash()
	like := change(t, d, c, newPassword)
	row := d.APIShare()
	row.Row = tw.Random(32) // under another row key
	req := &resealv1.RotateRequest{
		Revision: like.Revision, List: succession(t, d, d.Code.NextKey(), nil), OpaqueRecord: like.OpaqueRecord, Capsules: d.Capsules(),
		Rows:        []*resealv1.ShareRow{{DeviceId: d.ID[:], Shares: []*resealv1.Share{row}}},
		KeepSession: session[:], BaseVersion: 1, Book: &resealv1.Book{Version: 2, Parts: [][]byte{tw.Random(40)}},
		Recovery: &resealv1.NewRecovery{RecoveryAuth: auth[:], RecoveryAuthHash: hash[:], Root: d.Root(code)},
	}
	stranger := tw.Must[identity.AccountKey](t)(identity.NewAccountKey(rand.Reader))
	guest := d.NewDevice()
	for name, e := range map[string]struct {
		change func(r *resealv1.RotateRequest)
		want   resealv1.Reason
	}{
		"another key than committed": {func(r *resealv1.RotateRequest) { r.List = succession(t, d, stranger, nil) }, resealv1.Reason_REASON_PROOF},
		"no rotation": {func(r *resealv1.RotateRequest) {
			l, _ := identity.RemoveDevice(d.List, second.ID, w.Time())
			r.List = tw.Must[*identity.SignedList](t)(identity.SignList(l, d.Keys.Account)).Bytes()
		}, resealv1.Reason_REASON_PROOF},
		"a device that was not there": {func(r *resealv1.RotateRequest) {
			r.List = succession(t, d, d.Code.NextKey(), func(l *identity.DeviceList) { l.Devices = append(l.Devices, guest.Entry()) })
		}, resealv1.Reason_REASON_MALFORMED},
		"a version ahead": {func(r *resealv1.RotateRequest) {
			r.List = succession(t, d, d.Code.NextKey(), func(l *identity.DeviceList) { l.Version++ })
		}, resealv1.Reason_REASON_CONFLICT},
		"another revision":   {func(r *resealv1.RotateRequest) { r.Revision++ }, resealv1.Reason_REASON_CONFLICT},
		"another code":       {func(r *resealv1.RotateRequest) { r.Recovery.RecoveryAuth = tw.Random(32) }, resealv1.Reason_REASON_PROOF},
		"no code":            {func(r *resealv1.RotateRequest) { r.Recovery = nil }, resealv1.Reason_REASON_MALFORMED},
		"no row":             {func(r *resealv1.RotateRequest) { r.Rows = nil }, resealv1.Reason_REASON_MALFORMED},
		"another's row":      {func(r *resealv1.RotateRequest) { r.Rows[0].DeviceId = second.ID[:] }, resealv1.Reason_REASON_MALFORMED},
		"a second row":       {func(r *resealv1.RotateRequest) { r.Rows = append(r.Rows, r.Rows[0]) }, resealv1.Reason_REASON_MALFORMED},
		"another's row name": {func(r *resealv1.RotateRequest) { r.Rows[0].Shares[0].Row = second.Row[:] }, resealv1.Reason_REASON_MALFORMED},
		"no book":            {func(r *resealv1.RotateRequest) { r.Book = nil }, resealv1.Reason_REASON_MALFORMED},
		"an older book":      {func(r *resealv1.RotateRequest) { r.BaseVersion = 0 }, resealv1.Reason_REASON_CONFLICT},
	} {
		r := proto.CloneOf(req)
		e.change(r)
		_, err := c.Rotate(ctx, r)
		t.Log(name)
		tw.Refused(t, err, e.want)
	}
	_, err = d.C.Rotate(ctx, req)
	tw.Refused(t, err, resealv1.Reason_REASON_PROOF)
	for range 2 {
		if done := tw.Must[*resealv1.RotateResponse](t)(c.Rotate(ctx, req)); done.Credential != 2 {
			t.Errorf("%v", done)
		}
	}
	if err := alive(d.C); err != nil {
		t.Errorf("the session that stays: %v", err)
	}
	tw.Refused(t, alive(second.C), resealv1.Reason_REASON_SESSION_ENDED)
	rows := tw.Must[*resealv1.ListSharesResponse](t)(c.ListShares(ctx, &resealv1.ListSharesRequest{})).Rows
	if len(rows) != 1 || !proto.Equal(rows[0], req.Rows[0]) {
		t.Errorf("rows %v", rows)
	}
	if b := tw.Must[*resealv1.GetBookResponse](t)(d.C.GetBook(ctx, &resealv1.GetBookRequest{})).Book; !proto.Equal(b, req.Book) {
		t.Error("the book is not the one under the fresh key")
	}
	// A contact that comes back after years finds the rotation.
	w.Pass(3 * 365 * 24 * 60 * 60e9)
	if _, err := w.Store.Get(ctx, records.AccountPartition(d.Account.ID), records.ListKey(3)); err != nil {
		t.Errorf("the rotation has gone: %v", err)
	}
}

// The quota of the book holds where keys are replaced, too. But what is no larger
// than the book that stands fits: it must not keep anybody from a rotation.
func TestRotatedBookKeepsItsQuota(t *testing.T) {
	w := tw.New(t, func(c *server.Config) { c.Quotas = &quota.Limits{Book: 1000} })
	d, up := w.Signup("alice", password)
	const part = 20 << 10
	up.Book.Parts = [][]byte{tw.Random(part), tw.Random(part)}
	resp := tw.Must[*resealv1.FinishSignupResponse](t)(w.Client("").FinishSignup(ctx, up))
	d.Half, d.Revision = resp.SessionShare, resp.Revision
	_, _, c, err := recovering(t, d, d.Code)
	if err != nil {
		t.Fatal(err)
	}
	d.Refresh()
	code := tw.Must[capsule.RecoveryCode](t)(capsule.NewRecoveryCode(rand.Reader))
	auth, hash, session := d.Code.Auth().Bytes(), code.Auth().Hash(), d.Session.Hash()
	like := change(t, d, c, newPassword)
	row := d.APIShare()
	row.Row = tw.Random(32)
	req := &resealv1.RotateRequest{
		Revision: like.Revision, List: succession(t, d, d.Code.NextKey(), nil), OpaqueRecord: like.OpaqueRecord, Capsules: d.Capsules(),
		Rows:        []*resealv1.ShareRow{{DeviceId: d.ID[:], Shares: []*resealv1.Share{row}}},
		KeepSession: session[:], BaseVersion: 1, Book: &resealv1.Book{Version: 2, Parts: [][]byte{tw.Random(part), tw.Random(part + 1)}},
		Recovery: &resealv1.NewRecovery{RecoveryAuth: auth[:], RecoveryAuthHash: hash[:], Root: d.Root(code)},
	}
	_, err = c.Rotate(ctx, req)
	tw.Refused(t, err, resealv1.Reason_REASON_LIMIT)
	if name := refusal.Detail(err).GetLimit(); name != quota.What("book") {
		t.Errorf("refused for %q", name)
	}
	req.Book.Parts[1] = req.Book.Parts[1][:part]
	if done := tw.Must[*resealv1.RotateResponse](t)(c.Rotate(ctx, req)); done.Credential != 2 {
		t.Errorf("%v", done)
	}
}
