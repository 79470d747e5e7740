package auth_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/invite"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server/auth"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// opening shows a code, with a fresh session of its own.
func opening(t *testing.T, w *tw.World, handle string, c invite.Code) (*resealv1.OpenResetRequest, opaque.SessionSecret) {
	t.Helper()
	s := tw.Must[opaque.SessionSecret](t)(opaque.NewSessionSecret(rand.Reader))
	hash := s.Hash()
	return &resealv1.OpenResetRequest{Handle: handle, Code: c.Bytes(), SessionHash: hash[:]}, s
}

func as(w *tw.World, id identity.AccountID, s opaque.SessionSecret) tw.Client {
	b := s.Bytes()
	return w.Client(base64.RawURLEncoding.EncodeToString(append(id[:], b[:]...)))
}

// anew is the request that ends a reset by the operator on a new device.
func anew(t *testing.T, w *tw.World, d *tw.Device, c tw.Client, m2 *resealv1.StartResetResponse, reg *opaque.Registration) *resealv1.FinishResetRequest {
	t.Helper()
	record, _, err := reg.Finish(m2.RegistrationResponse)
	if err != nil {
		t.Fatal(err)
	}
	d.Refresh()
	n := d.Account.NewDevice()
	key := tw.Must[identity.AccountKey](t)(identity.NewAccountKey(rand.Reader))
	next := tw.Must[identity.DeviceList](t)(identity.ResetOnto(d.List, key.Public(), identity.NextHash(tw.Random(32)), n.Entry(), w.Time()))
	next.BookVersion, next.BookHash = 2, [32]byte{1}
	return &resealv1.FinishResetRequest{
		Revision: d.Revision, List: tw.Must[*identity.SignedList](t)(identity.SignList(next, key)).Bytes(), OpaqueRecord: record,
		Capsules: d.Capsules(), Share: n.APIShare(), RecoveryAuthHash: tw.Random(32), RecoveryRoot: tw.Random(auth.RootSize),
		BaseVersion: 1, Book: &resealv1.Book{Version: 2, Parts: [][]byte{tw.Random(40)}}, DeviceId: n.ID[:], Certified: n.Certified(n.Newest()),
	}
}

// stands makes a request put the account onto a device that it has, with a
// certificate that is right.
func stands(t *testing.T, d *tw.Device, r *resealv1.FinishResetRequest) {
	t.Helper()
	key := tw.Must[identity.AccountKey](t)(identity.NewAccountKey(rand.Reader))
	row := d.APIShare()
	row.Row = tw.Random(32)
	r.List, r.DeviceId, r.Share, r.Certified = beginning(t, d, key, nil), d.ID[:], row, d.Certified(d.NewEpoch())
}

// acquainted is how many installations an account knows in this period.
func acquainted(t *testing.T, d *tw.Device) (n int) {
	t.Helper()
	prefix := records.AcquaintedKey(records.PeriodOf(d.W.Time()), records.PairHash{})
	prefix = prefix[:len(prefix)-len(records.PairHash{})]
	for _, err := range store.Scan(ctx, d.W.Store, records.AccountPartition(d.Account.ID), prefix, store.PrefixEnd(prefix), false) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func TestResetByCode(t *testing.T) {
	w := tw.New(t, nil)
	d := w.SignUp("alice", password)
	second := d.Join()
	bob := w.SignUp("bob", password)
	tw.Must[*resealv1.AskResetResponse](t)(bob.C.AskReset(ctx, &resealv1.AskResetRequest{}))
	code, wrong := tw.Must[invite.Code](t)(invite.New(rand.Reader)), tw.Must[invite.Code](t)(invite.New(rand.Reader))
	due, _, err := w.Server.Auth().OperatorReset(ctx, d.Account.ID, code.Hash())
	if err != nil || due != w.Time().Add(auth.ResetDelay) {
		t.Fatal(due, err)
	}
	for _, dev := range []*tw.Device{d, second} {
		if !hasNotice(notices(t, dev), resealv1.AccountNotice_WHAT_RESET_ASKED, due, identity.DeviceID{}) {
			t.Error("a device is not told")
		}
	}

	// Nothing tells a wrong code, none announced, one that a device asked for,
	// and a handle that nobody has apart.
	want := ""
	for _, c := range []struct {
		handle string
		code   invite.Code
	}{{"alice", wrong}, {"bob", code}, {"nobody", code}} {
		req, _ := opening(t, w, c.handle, c.code)
		_, err := w.Client("").OpenReset(ctx, req)
		tw.Refused(t, err, resealv1.Reason_REASON_LOGIN_FAILED)
		if want == "" {
			want = err.Error()
		}
		if err.Error() != want {
			t.Errorf("%s: %v, not %s", c.handle, err, want)
		}
	}
	// The wrong one is shown, after the answer, and once.
	tried := func(dev *tw.Device) (n int) {
		for _, x := range notices(t, dev) {
			if x.What == uint8(resealv1.AccountNotice_WHAT_RESET_TRIED) {
				n++
			}
		}
		return n
	}
	w.Server.Auth().Wait()
	for dev, want := range map[*tw.Device]int{d: 1, second: 1, bob: 0} {
		if n := tried(dev); n != want {
			t.Errorf("told %d times of a wrong code, not %d", n, want)
		}
	}
	early, _ := opening(t, w, "alice", code)
	_, err = w.Client("").OpenReset(ctx, early)
	tw.Refused(t, err, resealv1.Reason_REASON_NOT_DUE)
	for _, bad := range []func(*resealv1.OpenResetRequest){
		func(r *resealv1.OpenResetRequest) { r.Code = r.Code[1:] },
		func(r *resealv1.OpenResetRequest) { r.SessionHash = make([]byte, 32) },
		func(r *resealv1.OpenResetRequest) { r.Handle = "Alice" },
	} {
		r := proto.Clone(early).(*resealv1.OpenResetRequest)
		bad(r)
		_, err := w.Client("").OpenReset(ctx, r)
		tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)
	}

	w.Pass(auth.ResetDelay + time.Second)
	reg, m1, err := opaque.StartRegistration(d.Handle, []byte(newPassword))
	if err != nil {
		t.Fatal(err)
	}
	start := &resealv1.StartResetRequest{RegistrationRequest: m1}
	// A session without a device is not the one that showed the code.
	_, _, unbound, err := w.Login("alice", password)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []tw.Client{unbound, d.C, second.C} {
		_, err := c.StartReset(ctx, start)
		tw.Refused(t, err, resealv1.Reason_REASON_NO_RESET)
	}
	firstReq, firstSession := opening(t, w, "alice", code)
	before := acquainted(t, d)
	firstReq.Installation = tw.Random(auth.InstallationSize)
	first := tw.Must[*resealv1.OpenResetResponse](t)(w.Client("").OpenReset(ctx, firstReq))
	if again := tw.Must[*resealv1.OpenResetResponse](t)(w.Client("").OpenReset(ctx, firstReq)); !proto.Equal(first, again) {
		t.Error("a repeat is answered with something else")
	}
	if n := acquainted(t, d); n != before+1 {
		t.Errorf("the account knows %d installations, and knew %d", n, before)
	}
	// The session is good for the reset and for nothing else.
	c := as(w, d.Account.ID, firstSession)
	_, err = c.ListSessions(ctx, &resealv1.ListSessionsRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_NO_DEVICE)
	_, err = c.CloseAccount(ctx, &resealv1.CloseAccountRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_NO_DEVICE)
	_, err = c.StartPasswordChange(ctx, &resealv1.StartPasswordChangeRequest{RegistrationRequest: m1})
	tw.Refused(t, err, resealv1.Reason_REASON_NO_DEVICE)
	tw.Must[*resealv1.StartResetResponse](t)(c.StartReset(ctx, start))
	// Another one by the same code takes its place.
	req, session := opening(t, w, "alice", code)
	tw.Must[*resealv1.OpenResetResponse](t)(w.Client("").OpenReset(ctx, req))
	_, err = c.StartReset(ctx, start)
	tw.Refused(t, err, resealv1.Reason_REASON_NO_RESET)

	c = as(w, d.Account.ID, session)
	m2 := tw.Must[*resealv1.StartResetResponse](t)(c.StartReset(ctx, start))
	end := anew(t, w, d, c, m2, reg)
	for name, e := range map[string]struct {
		change func(*resealv1.FinishResetRequest)
		want   resealv1.Reason
	}{
		"no device":      {func(r *resealv1.FinishResetRequest) { r.DeviceId = nil }, resealv1.Reason_REASON_MALFORMED},
		"another device": {func(r *resealv1.FinishResetRequest) { r.DeviceId = tw.Random(16) }, resealv1.Reason_REASON_MALFORMED},
		"a device that stands": {func(r *resealv1.FinishResetRequest) {
			stands(t, d, r)
		}, resealv1.Reason_REASON_MALFORMED},
		"no certificate":  {func(r *resealv1.FinishResetRequest) { r.Certified = nil }, resealv1.Reason_REASON_MALFORMED},
		"an old revision": {func(r *resealv1.FinishResetRequest) { r.Revision-- }, resealv1.Reason_REASON_CONFLICT},
	} {
		r := proto.Clone(end).(*resealv1.FinishResetRequest)
		e.change(r)
		if _, err := c.FinishReset(ctx, r); err == nil {
			t.Errorf("%s: taken", name)
		} else {
			tw.Refused(t, err, e.want)
		}
	}
	_, err = unbound.FinishReset(ctx, end)
	tw.Refused(t, err, resealv1.Reason_REASON_NO_RESET)

	// Whatever fails on the way, a repeat ends it, once.
	n := 0
	w.Outcomes(func(store.Partition, *store.Batch) memory.Outcome {
		n++
		return []memory.Outcome{memory.Never, memory.Never, memory.Now}[min(n, 3)-1]
	})
	_, err = c.FinishReset(ctx, end)
	w.Outcomes(nil)
	if err != nil {
		tw.Refused(t, err, resealv1.Reason_REASON_UNAVAILABLE)
	}
	done := tw.Must[*resealv1.FinishResetResponse](t)(c.FinishReset(ctx, end))
	if again := tw.Must[*resealv1.FinishResetResponse](t)(c.FinishReset(ctx, end)); !bytes.Equal(done.SessionShare, again.SessionShare) || len(done.SessionShare) != 32 {
		t.Errorf("%v, then %v", done, again)
	}
	for _, dev := range []*tw.Device{d, second} {
		_, err := dev.C.ListSessions(ctx, &resealv1.ListSessionsRequest{})
		tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
	}
	now := tw.Must[*resealv1.ListSessionsResponse](t)(c.ListSessions(ctx, &resealv1.ListSessionsRequest{}))
	if len(now.Sessions) != 1 || now.Reset_ != nil || !bytes.Equal(now.Sessions[0].DeviceId, end.DeviceId) {
		t.Errorf("%v", now)
	}
	_, err = w.Client("").OpenReset(ctx, req)
	tw.Refused(t, err, resealv1.Reason_REASON_LOGIN_FAILED)
	// Nor is the request of any use in another session.
	for _, other := range []tw.Client{as(w, d.Account.ID, firstSession), unbound, d.C} {
		_, err := other.FinishReset(ctx, end)
		tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
	}
}

// A cancel, a change of the password and a week that has passed end it.
func TestResetByCodeEnds(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, w *tw.World, d *tw.Device){
		"cancelled by a device": func(t *testing.T, _ *tw.World, d *tw.Device) {
			tw.Must[*resealv1.CancelResetResponse](t)(d.C.CancelReset(ctx, &resealv1.CancelResetRequest{}))
		},
		"cancelled by the operator": func(t *testing.T, w *tw.World, d *tw.Device) {
			if err := w.Server.Auth().OperatorCancelReset(ctx, d.Account.ID); err != nil {
				t.Fatal(err)
			}
		},
		"a device asks for one": func(t *testing.T, _ *tw.World, d *tw.Device) {
			tw.Must[*resealv1.AskResetResponse](t)(d.C.AskReset(ctx, &resealv1.AskResetRequest{}))
		},
		"a changed password": func(t *testing.T, w *tw.World, d *tw.Device) {
			_, _, c, err := w.Login("alice", password)
			if err != nil {
				t.Fatal(err)
			}
			tw.Must[*resealv1.ChangePasswordResponse](t)(c.ChangePassword(ctx, change(t, d, c, newPassword)))
		},
		"another code": func(t *testing.T, w *tw.World, d *tw.Device) {
			if _, _, err := w.Server.Auth().OperatorReset(ctx, d.Account.ID, [32]byte(tw.Random(32))); err != nil {
				t.Fatal(err)
			}
		},
		"a closed account": func(t *testing.T, w *tw.World, d *tw.Device) {
			if err := w.Server.Auth().DeleteAccount(ctx, d.Account.ID); err != nil {
				t.Fatal(err)
			}
		},
		"too late": func(_ *testing.T, w *tw.World, _ *tw.Device) { w.Pass(8 * 24 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			w := tw.New(t, nil)
			d := w.SignUp("alice", password)
			code := tw.Must[invite.Code](t)(invite.New(rand.Reader))
			if _, _, err := w.Server.Auth().OperatorReset(ctx, d.Account.ID, code.Hash()); err != nil {
				t.Fatal(err)
			}
			w.Pass(auth.ResetDelay + time.Second)
			req, session := opening(t, w, "alice", code)
			tw.Must[*resealv1.OpenResetResponse](t)(w.Client("").OpenReset(ctx, req))
			end(t, w, d)
			_, m1, err := opaque.StartRegistration(d.Handle, []byte(newPassword))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := as(w, d.Account.ID, session).StartReset(ctx, &resealv1.StartResetRequest{RegistrationRequest: m1}); err == nil {
				t.Error("the session goes on")
			}
			_, err = w.Client("").OpenReset(ctx, req)
			tw.Refused(t, err, resealv1.Reason_REASON_LOGIN_FAILED)
		})
	}
}
