package auth_test

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/invite"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/auth"
	"github.com/reseal/reseal/server/limits"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// operated is an account with a reset that the operator may have announced.
type operated struct {
	w    *tw.World
	d    *tw.Device
	code invite.Code
	end  *resealv1.FinishResetRequest
	c    tw.Client
}

func (o *operated) announce(t *testing.T) error {
	o.code = tw.Must[invite.Code](t)(invite.New(rand.Reader))
	_, _, err := o.w.Server.Auth().OperatorReset(ctx, o.d.Account.ID, o.code.Hash())
	return err
}

// prepare goes as far as the last request.
func (o *operated) prepare(t *testing.T) {
	t.Helper()
	reg, m1, err := opaque.StartRegistration(o.d.Handle, []byte(newPassword))
	if err != nil {
		t.Fatal(err)
	}
	m2 := tw.Must[*resealv1.StartResetResponse](t)(o.c.StartReset(ctx, &resealv1.StartResetRequest{RegistrationRequest: m1}))
	o.end = anew(t, o.w, o.d, o.c, m2, reg)
}

// The server stops at any write of any step, before the write or behind it, and
// nothing after it happens. The step made again goes on as if it had not.
func TestResetByCodeStops(t *testing.T) {
	for name, how := range map[string]memory.Outcome{"before": memory.Never, "behind": memory.Now} {
		for _, step := range []string{"announce", "open", "finish"} {
			writes := 0
			for hit := true; hit; writes++ {
				t.Run(fmt.Sprintf("%s/%s %d", step, name, writes), func(t *testing.T) { hit = stopped(t, step, writes, how) })
			}
			if writes < 2 {
				t.Errorf("%s: no write was seen", step)
			}
		}
	}
}

// stopped stops the server at the nth write of a step; it tells whether there was
// one.
func stopped(t *testing.T, step string, nth int, how memory.Outcome) (hit bool) {
	w := tw.New(t, nil)
	o := &operated{w: w, d: w.SignUp("alice", password)}
	// Whatever the outcome, from the write on nothing else happens.
	at := func(s string, f func() error) error {
		if s != step {
			return f()
		}
		n := 0
		w.Outcomes(func(store.Partition, *store.Batch) memory.Outcome {
			switch n++; {
			case n <= nth:
				return memory.Known
			case n == nth+1:
				hit = true
				return how
			}
			return memory.Never
		})
		_ = f()
		w.Outcomes(nil)
		return nil
	}
	if err := at("announce", func() error { return o.announce(t) }); err != nil {
		t.Fatal(err)
	}
	before := o.code
	if step == "announce" { // whose code nobody saw
		if err := o.announce(t); err != nil {
			t.Fatal(err)
		}
	}
	if !hasNotice(notices(t, o.d), resealv1.AccountNotice_WHAT_RESET_ASKED, w.Time().Add(auth.ResetDelay), identity.DeviceID{}) {
		t.Error("the device is not told")
	}
	w.Pass(auth.ResetDelay + time.Second)
	if step == "announce" {
		req, _ := opening(t, w, "alice", before)
		_, err := w.Client("").OpenReset(ctx, req)
		tw.Refused(t, err, resealv1.Reason_REASON_LOGIN_FAILED)
	}
	req, session := opening(t, w, "alice", o.code)
	o.c = as(w, o.d.Account.ID, session)
	_ = at("open", func() error { _, err := w.Client("").OpenReset(ctx, req); return err })
	tw.Must[*resealv1.OpenResetResponse](t)(w.Client("").OpenReset(ctx, req))
	o.prepare(t)
	_ = at("finish", func() error { _, err := o.c.FinishReset(ctx, o.end); return err })
	_, _, _, olds := w.Login("alice", password)
	_, _, _, news := w.Login("alice", newPassword)
	if (olds == nil) == (news == nil) {
		t.Errorf("not one password works: the old one %v, the new one %v", olds, news)
	}
	if done := tw.Must[*resealv1.FinishResetResponse](t)(o.c.FinishReset(ctx, o.end)); done.Credential != 2 || len(done.SessionShare) != 32 {
		t.Errorf("%v", done)
	}
	now := tw.Must[*resealv1.ListSessionsResponse](t)(o.c.ListSessions(ctx, &resealv1.ListSessionsRequest{}))
	if now.Reset_ != nil {
		t.Errorf("the reset goes on: %v", now.Reset_)
	}
	tw.Refused(t, alive(o.d.C), resealv1.Reason_REASON_SESSION_ENDED)
	return hit
}

// A wrong code at a handle that has a reset, at one that has none, and at one that
// nobody has are answered after the same reads.
func TestResetByCodeTakesAsLongForNobody(t *testing.T) {
	w := tw.New(t, nil)
	for _, h := range []string{"alice", "bob"} {
		w.Account(h)
	}
	id := tw.Must[identity.AccountID](t)(w.Server.Auth().Named(ctx, "alice"))
	if _, _, err := w.Server.Auth().OperatorReset(ctx, id, [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	reads := map[string]uint64{}
	for _, h := range []string{"alice", "bob", "nobody"} {
		before := w.Store.Examined()
		req, _ := opening(t, w, h, tw.Must[invite.Code](t)(invite.New(rand.Reader)))
		_, err := w.Client("").OpenReset(ctx, req)
		tw.Refused(t, err, resealv1.Reason_REASON_LOGIN_FAILED)
		reads[h] = w.Store.Examined() - before
	}
	if reads["alice"] != reads["nobody"] || reads["bob"] != reads["nobody"] {
		t.Errorf("reads: %v", reads)
	}
}

// Codes are counted as recoveries are, and with them: by handle and
// network, known or not.
func TestResetByCodeRates(t *testing.T) {
	l := limits.Default()
	w := tw.New(t, func(c *server.Config) { c.Limits = &l })
	try := func(h string) error {
		req, _ := opening(t, w, h, tw.Must[invite.Code](t)(invite.New(rand.Reader)))
		_, err := w.Client("").OpenReset(ctx, req)
		return err
	}
	for range l.Rates[limits.RecoveryHandle].Burst {
		tw.Refused(t, try("nobody"), resealv1.Reason_REASON_LOGIN_FAILED)
	}
	tw.Refused(t, try("nobody"), resealv1.Reason_REASON_RATE)
	_, err := w.Client("").StartRecovery(ctx, &resealv1.StartRecoveryRequest{Handle: "nobody", RecoveryAuth: tw.Random(32), SessionHash: tw.Random(32)})
	tw.Refused(t, err, resealv1.Reason_REASON_RATE)
	tw.Refused(t, try("somebody"), resealv1.Reason_REASON_LOGIN_FAILED)
	w.Pass(61 * time.Second)
	tw.Refused(t, try("nobody"), resealv1.Reason_REASON_LOGIN_FAILED)
}
