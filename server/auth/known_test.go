package auth_test

import (
	"testing"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/records"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/auth"
	"github.com/reseal/reseal/server/limits"
)

// Whoever hammers a handle with wrong passwords keeps nobody out who comes from
// an installation that the account knows: by its sign-up, a login or a recovery.
func TestStrangersDoNotLockOut(t *testing.T) {
	one := func(burst int) limits.Rate { return limits.Rate{PerSecond: 0.001, Burst: burst} }
	w := tw.New(t, func(c *server.Config) {
		c.Limits = &limits.Config{Rates: map[string]limits.Rate{
			limits.Login: one(100), limits.LoginHandle: one(3), limits.LoginHandleAll: one(3), limits.LoginKnown: one(4),
			limits.RecoveryHandle: one(2), limits.RecoveryKnown: one(2),
		}}
	})
	phone, laptop, tablet := tw.Random(auth.InstallationSize), tw.Random(auth.InstallationSize), tw.Random(auth.InstallationSize)
	d, req := w.Signup("alice", password)
	req.Installation = phone
	tw.Must[*resealv1.FinishSignupResponse](t)(w.Client("").FinishSignup(ctx, req))
	login := func(installation []byte, pass string) resealv1.Reason {
		t.Helper()
		_, _, _, err := w.LoginFrom(installation, "alice", pass)
		if err != nil && refusal.Detail(err) == nil {
			return resealv1.Reason_REASON_LOGIN_FAILED // found by the client
		}
		return refusal.Reason(err)
	}
	const good, wrong, rate = resealv1.Reason_REASON_UNSPECIFIED, resealv1.Reason_REASON_LOGIN_FAILED, resealv1.Reason_REASON_RATE
	for i, c := range []struct {
		from []byte
		pass string
		want resealv1.Reason
	}{
		{laptop, password, good}, // counts as anybody's, and is known from now on
		{nil, "wrong horse", wrong},
		{tw.Random(auth.InstallationSize), "wrong horse", wrong},
		{tw.Random(auth.InstallationSize), "wrong horse", rate},
		{nil, password, rate},
		{tablet, password, rate},
		{phone, password, good},
		{laptop, password, good},
		{phone, password, good},
		{phone, "wrong horse", wrong},
		{phone, password, good},
		{phone, password, rate}, // it has its own end
		{laptop, password, good},
	} {
		if got := login(c.from, c.pass); got != c.want {
			t.Errorf("%d: %v, want %v", i, got, c.want)
		}
	}
	// What one account knows, another does not.
	_, otherReq := w.Signup("bob", password)
	tw.Must[*resealv1.FinishSignupResponse](t)(w.Client("").FinishSignup(ctx, otherReq))
	for range 3 {
		if _, _, _, err := w.LoginFrom(phone, "bob", "wrong horse"); refusal.Reason(err) == rate {
			t.Error(err)
		}
	}
	if _, _, _, err := w.LoginFrom(laptop, "bob", password); refusal.Reason(err) != rate {
		t.Errorf("%v", err)
	}

	// Recoveries, the same.
	recover := func(installation []byte, right bool) error {
		a := d.Account.Code.Auth().Bytes()
		if !right {
			a[0] ^= 1
		}
		_, err := w.Client("").StartRecovery(ctx, &resealv1.StartRecoveryRequest{Handle: "alice", RecoveryAuth: a[:], SessionHash: tw.Random(32), Installation: installation})
		return err
	}
	for range 2 {
		tw.Refused(t, recover(nil, false), wrong)
	}
	tw.Refused(t, recover(tablet, true), rate)
	for range 2 {
		if err := recover(laptop, true); err != nil {
			t.Error(err)
		}
	}
	tw.Refused(t, recover(laptop, true), rate)

	// Forgotten after two months without a login.
	w.Pass(61 * 24 * time.Hour)
	for range 3 {
		login(nil, "wrong horse")
	}
	if got := login(phone, password); got != rate {
		t.Errorf("two months later: %v", got)
	}
	_, ke1, err := opaque.StartLogin(must(t, "alice"), []byte(password))
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Client("").StartLogin(ctx, &resealv1.StartLoginRequest{Handle: "alice", Ke1: ke1, Installation: tw.Random(31)})
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)
}

// start begins a login, which is all that a guess at a password takes.
func start(t *testing.T, w *tw.World, installation []byte) resealv1.Reason {
	t.Helper()
	_, ke1, err := opaque.StartLogin(must(t, "alice"), []byte("wrong horse"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Client("").StartLogin(ctx, &resealv1.StartLoginRequest{Handle: "alice", Ke1: ke1, Installation: installation})
	return refusal.Reason(err)
}

// Somebody who had the password, and logged in from as many installations as they
// could make up, does not guess at the next one with a bucket for each of them.
func TestFewInstallationsAreKnown(t *testing.T) {
	const rate = resealv1.Reason_REASON_RATE
	one := func(burst int) limits.Rate { return limits.Rate{PerSecond: 1.0 / (24 * 3600), Burst: burst} }
	w := tw.New(t, func(c *server.Config) {
		c.Limits = &limits.Config{Rates: map[string]limits.Rate{
			limits.LoginHandle: one(8), limits.LoginHandleAll: one(8), limits.LoginKnown: one(5), limits.Installation: one(3),
		}}
	})
	_, req := w.Signup("alice", password)
	phone := tw.Random(auth.InstallationSize)
	req.Installation = phone // the first of three
	tw.Must[*resealv1.FinishSignupResponse](t)(w.Client("").FinishSignup(ctx, req))
	all := [][]byte{phone}
	login := func(from []byte) {
		t.Helper()
		if _, _, _, err := w.LoginFrom(from, "alice", password); err != nil {
			t.Fatal(err)
		}
	}
	for range 6 {
		all = append(all, tw.Random(auth.InstallationSize))
		login(all[len(all)-1])
	}
	for range 10 { // more than strangers may guess
		start(t, w, nil)
	}
	guesses := 0
	for _, from := range all {
		for range 10 {
			if start(t, w, from) != rate {
				guesses++
			}
		}
	}
	if guesses != 3*5 {
		t.Errorf("%d guesses, want 15: by three installations", guesses)
	}
	// What is known stays known, and takes no place of a new one: in the next
	// period it is noted again, and there are three places for others.
	w.Pass(time.Duration(records.PeriodEnd(records.PeriodOf(w.Time()))-w.Time())*time.Millisecond + 10*24*time.Hour)
	login(phone)
	for _, from := range all[3:] {
		login(from)
	}
	for range 10 {
		start(t, w, nil)
	}
	for i, from := range all {
		// The second and the third are known from before; the last is one too many.
		if got := start(t, w, from); (got == rate) != (i == 6) {
			t.Errorf("%d: %v", i, got)
		}
	}
}
