package auth_test

import (
	"bytes"
	"testing"

	"connectrpc.com/connect/v2/connectinprocess"
	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/limits"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

const newPassword = "another horse staple"

// change prepares a change of the password by a fresh session.
func change(t *testing.T, d *tw.Device, c tw.Client, to string) *resealv1.ChangePasswordRequest {
	t.Helper()
	reg, m1, err := opaque.StartRegistration(d.Handle, []byte(to))
	if err != nil {
		t.Fatal(err)
	}
	m2 := tw.Must[*resealv1.StartPasswordChangeResponse](t)(c.StartPasswordChange(ctx, &resealv1.StartPasswordChangeRequest{RegistrationRequest: m1}))
	record, _, err := reg.Finish(m2.RegistrationResponse)
	if err != nil {
		t.Fatal(err)
	}
	shares := tw.Must[*resealv1.ListSharesResponse](t)(c.ListShares(ctx, &resealv1.ListSharesRequest{}))
	hash := d.Session.Hash()
	req := &resealv1.ChangePasswordRequest{Revision: shares.Revision, OpaqueRecord: record, Capsules: d.Capsules(), KeepSession: hash[:]}
	for _, r := range shares.Rows {
		for _, sh := range r.Shares {
			req.Shares = append(req.Shares, &resealv1.Share{Row: sh.Row, ShareId: sh.ShareId, Sealed: tw.Random(62)})
		}
	}
	return req
}

func alive(c tw.Client) error {
	_, err := c.GetBook(ctx, &resealv1.GetBookRequest{})
	return err
}

func TestChangePassword(t *testing.T) {
	w := tw.New(t, nil)
	d := w.SignUp("alice", password)
	second := d.Join()
	// A replacement of a share under way: both of a row's shares are resealed.
	s := second.APIShare()
	s.ShareId = tw.Random(16)
	second.Refresh()
	tw.Must[*resealv1.PutShareResponse](t)(second.C.PutShare(ctx, &resealv1.PutShareRequest{Revision: second.Revision, Share: s, CurrentShareId: second.Share[:]}))
	_, _, c, err := w.Login("alice", password)
	if err != nil {
		t.Fatal(err)
	}
	req := change(t, d, c, newPassword)
	if len(req.Shares) != 3 {
		t.Fatalf("%d shares, want 3", len(req.Shares))
	}
	edit := func(f func(*resealv1.ChangePasswordRequest)) *resealv1.ChangePasswordRequest {
		r := proto.CloneOf(req)
		f(r)
		return r
	}
	for name, e := range map[string]struct {
		req  *resealv1.ChangePasswordRequest
		want resealv1.Reason
	}{
		"another revision": {edit(func(r *resealv1.ChangePasswordRequest) { r.Revision-- }), resealv1.Reason_REASON_CONFLICT},
		"a share missing":  {edit(func(r *resealv1.ChangePasswordRequest) { r.Shares = r.Shares[1:] }), resealv1.Reason_REASON_MALFORMED},
		"a share twice":    {edit(func(r *resealv1.ChangePasswordRequest) { r.Shares = append(r.Shares, r.Shares[0]) }), resealv1.Reason_REASON_MALFORMED},
		"another row":      {edit(func(r *resealv1.ChangePasswordRequest) { r.Shares[0].Row = tw.Random(32) }), resealv1.Reason_REASON_MALFORMED},
		"no record":        {edit(func(r *resealv1.ChangePasswordRequest) { r.OpaqueRecord = nil }), resealv1.Reason_REASON_MALFORMED},
		"no capsule":       {edit(func(r *resealv1.ChangePasswordRequest) { r.Capsules = nil }), resealv1.Reason_REASON_MALFORMED},
		"half a session":   {edit(func(r *resealv1.ChangePasswordRequest) { r.KeepSession = tw.Random(16) }), resealv1.Reason_REASON_MALFORMED},
	} {
		_, err := c.ChangePassword(ctx, e.req)
		t.Log(name)
		tw.Refused(t, err, e.want)
	}
	// A bound session is no proof of the password.
	for _, call := range []func() error{
		func() error { _, err := d.C.ChangePassword(ctx, req); return err },
		func() error { _, err := d.C.ListShares(ctx, &resealv1.ListSharesRequest{}); return err },
		func() error {
			_, err := d.C.StartPasswordChange(ctx, &resealv1.StartPasswordChangeRequest{})
			return err
		},
	} {
		tw.Refused(t, call(), resealv1.Reason_REASON_PROOF)
	}
	for _, dev := range []*tw.Device{d, second} {
		if err := alive(dev.C); err != nil {
			t.Fatalf("before the change: %v", err)
		}
	}

	_, lateReq, late, err := w.Login("alice", password)
	if err != nil {
		t.Fatal(err)
	}
	done := tw.Must[*resealv1.ChangePasswordResponse](t)(c.ChangePassword(ctx, req))
	if done.Credential != 2 {
		t.Errorf("credential number %d", done.Credential)
	}
	if again := tw.Must[*resealv1.ChangePasswordResponse](t)(c.ChangePassword(ctx, req)); again.Credential != 2 {
		t.Errorf("a repeat: %v", again)
	}
	if err := alive(d.C); err != nil {
		t.Errorf("the session that was to stay: %v", err)
	}
	for _, ended := range []tw.Client{second.C, late} {
		tw.Refused(t, alive(ended), resealv1.Reason_REASON_SESSION_ENDED)
	}
	// A login that the old password began is not finished with the new records.
	_, err = w.Client("").FinishLogin(ctx, lateReq)
	tw.Refused(t, err, resealv1.Reason_REASON_LOGIN_FAILED)
	got := tw.Must[*resealv1.ListSharesResponse](t)(c.ListShares(ctx, &resealv1.ListSharesRequest{}))
	n := 0
	for _, r := range got.Rows {
		for _, sh := range r.Shares {
			for _, want := range req.Shares {
				if proto.Equal(sh, want) {
					n++
				}
			}
		}
	}
	if n != 3 {
		t.Errorf("%d of 3 shares are the new ones", n)
	}
	if _, _, _, err := w.Login("alice", password); err == nil {
		t.Error("the old password still works")
	}
	resp, _, _, err := w.Login("alice", newPassword)
	if err != nil || resp.Credential != 2 || !bytes.Equal(resp.Capsules.Capsule, req.Capsules.Capsule) {
		t.Errorf("the new password: %v", err)
	}
}

// A session that was believed before the change cannot put a capsule under the
// old export key afterwards, on whatever node.
func TestOldCredentialWritesNothing(t *testing.T) {
	folder := t.TempDir()
	w := tw.New(t, nil)
	node, err := server.New(server.Config{Store: w.Store, BlobFolder: folder, BlobFloor: -1, Setup: w.Setup, Now: w.Now, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	nodeClient := func(token string) tw.Client { return tw.ClientOver(connectinprocess.New(node.Calls()), token) }
	d := w.SignUp("alice", password)
	second := d.Join()
	here, there := second.C, nodeClient(second.Token())
	if err := alive(there); err != nil { // believed by the other node from now on
		t.Fatal(err)
	}
	_, _, c, err := w.Login("alice", password)
	if err != nil {
		t.Fatal(err)
	}
	tw.Must[*resealv1.ChangePasswordResponse](t)(c.ChangePassword(ctx, change(t, d, c, newPassword)))
	req, _ := d.RemoveRequest(d)
	for _, node := range []tw.Client{here, there} {
		_, err := node.RemoveDevice(ctx, req)
		tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
	}
	// The session that stays is heard by the other node at once.
	kept := nodeClient(d.Token())
	s := d.APIShare()
	s.ShareId = tw.Random(16)
	d.Refresh()
	if _, err := kept.PutShare(ctx, &resealv1.PutShareRequest{Revision: d.Revision, Share: s, CurrentShareId: d.Share[:]}); err != nil {
		t.Errorf("the session that was kept: %v", err)
	}
}

// A store that does not tell how a change ended.
func TestChangePasswordUnknownOutcome(t *testing.T) {
	for name, outcome := range map[string]memory.Outcome{"never": memory.Never, "now": memory.Now} {
		t.Run(name, func(t *testing.T) {
			w := tw.New(t, nil)
			d := w.SignUp("alice", password)
			_, _, c, err := w.Login("alice", password)
			if err != nil {
				t.Fatal(err)
			}
			req := change(t, d, c, newPassword)
			w.Outcomes(func(store.Partition, *store.Batch) memory.Outcome { return outcome })
			_, first := c.ChangePassword(ctx, req)
			w.Outcomes(nil)
			t.Log(first)
			tw.Must[*resealv1.ChangePasswordResponse](t)(c.ChangePassword(ctx, req))
			resp, _, _, err := w.Login("alice", newPassword)
			if err != nil || resp.Credential != 2 {
				t.Errorf("%v, %v", resp, err)
			}
		})
	}
}

// What strangers use up by logging in at a handle is not what its owner's change
// of the password takes from.
func TestPasswordChangeRate(t *testing.T) {
	rate := func(n int) limits.Rate { return limits.Rate{PerSecond: 0.001, Burst: n} }
	w := tw.New(t, func(c *server.Config) {
		c.Limits = &limits.Config{Rates: map[string]limits.Rate{limits.LoginHandle: rate(1), limits.LoginHandleAll: rate(1), limits.Password: rate(2)}}
	})
	w.SignUp("alice", password)
	_, _, c, err := w.Login("alice", password)
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, err = w.Login("alice", "a stranger's guess")
	tw.Refused(t, err, resealv1.Reason_REASON_RATE)
	begin := func() error {
		_, m1, err := opaque.StartRegistration("alice", []byte(newPassword))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.StartPasswordChange(ctx, &resealv1.StartPasswordChangeRequest{RegistrationRequest: m1})
		return err
	}
	for range 2 {
		if err := begin(); err != nil {
			t.Fatal(err)
		}
	}
	err = begin()
	tw.Refused(t, err, resealv1.Reason_REASON_RATE)
	if got := refusal.Detail(err).GetLimit(); got != limits.Password {
		t.Errorf("refused by %q", got)
	}
}
