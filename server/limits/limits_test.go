package limits

import (
	"fmt"
	"testing"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func TestBucket(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	l := New(Config{Rates: map[string]Rate{Login: {PerSecond: 0.5, Burst: 3}}}, c.now)
	for i := range 3 {
		if err := l.Allow(Login, "192.0.2.1"); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	for range 5 { // what is refused costs nothing
		err := l.Allow(Login, "192.0.2.1")
		d := refusal.Detail(err)
		if d.GetReason() != resealv1.Reason_REASON_RATE || d.Limit != Login || d.RetryAfterMs != 2000 {
			t.Fatalf("%v", d)
		}
	}
	if err := l.Allow(Login, "192.0.2.2"); err != nil {
		t.Errorf("another address: %v", err)
	}
	if err := l.Allow(Signup, "192.0.2.1"); err != nil {
		t.Errorf("a kind without a rate: %v", err)
	}
	c.t = c.t.Add(2 * time.Second)
	if err := l.Allow(Login, "192.0.2.1"); err != nil {
		t.Errorf("after the time that was told: %v", err)
	}
	if refusal.Reason(l.Allow(Login, "192.0.2.1")) != resealv1.Reason_REASON_RATE {
		t.Error("two tokens in the time of one")
	}
	if refusal.Reason(l.AllowN(Login, "192.0.2.3", 4)) != resealv1.Reason_REASON_LIMIT {
		t.Error("more than the burst must be said to be never")
	}
}

func TestAddresses(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	l := New(Config{
		Rates:    map[string]Rate{Login: {1, 1}, Account: {1, 1}},
		Loopback: map[string]Rate{Login: {1, 5}},
	}, c.now)
	same := func(kind, a, b string, want bool) {
		t.Helper()
		c.t = c.t.Add(time.Hour)
		if err := l.Allow(kind, a); err != nil {
			t.Fatal(err)
		}
		if got := l.Allow(kind, b) != nil; got != want {
			t.Errorf("%s and %s share a bucket: %v", a, b, got)
		}
	}
	same(Login, "2001:db8::1", "2001:db8::ffff:1", true)
	same(Login, "2001:db8:0:1::1", "2001:db8:0:2::1", false)
	same(Login, "192.0.2.1", "::ffff:192.0.2.1", true)
	same(Login, "fe80::1%eth0", "fe80::1%eth1", true)
	same(Account, "2001:db8::1", "2001:db8::2", false) // not an address
	for _, local := range []string{"127.0.0.1", "::1", ""} {
		c.t = c.t.Add(time.Hour)
		for i := range 5 {
			if err := l.Allow(Login, local); err != nil {
				t.Errorf("%q, %d: %v", local, i, err)
			}
		}
		if l.Allow(Login, local) == nil {
			t.Errorf("%q is not limited", local)
		}
	}
}

// The table is bounded, and forgets who was there the longest ago.
func TestBounded(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	l := New(Config{Rates: map[string]Rate{LoginHandle: {0.001, 1}}, MaxEntries: 100}, c.now)
	if err := l.Allow(LoginHandle, "victim"); err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		_ = l.Allow(LoginHandle, fmt.Sprint(i))
		if l.Allow(LoginHandle, "victim") == nil {
			t.Fatal("a bucket in use was forgotten")
		}
	}
	if n := len(l.tables[LoginHandle].entries); n != 100 || l.tables[LoginHandle].order.Len() != n {
		t.Errorf("%d entries", n)
	}
}

func TestDefaultKinds(t *testing.T) {
	for kind := range Default().Loopback {
		if !byAddress(kind) || Default().Rates[kind].Burst == 0 {
			t.Errorf("%s has a rate for loopback and does not count by address", kind)
		}
	}
}

// Whoever uses up the logins of a handle in one network leaves the others theirs.
func TestHandleAtOneNetwork(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	l := New(Config{Rates: map[string]Rate{LoginHandle: {0.001, 1}, RecoveryHandle: {0.001, 1}}}, c.now)
	for _, s := range []struct {
		handle, address string
		free            bool
	}{
		{"ana", "192.0.2.1", true}, {"ana", "::ffff:192.0.2.1", false}, {"ana", "192.0.2.2", true}, {"ben", "192.0.2.1", true},
		{"ana", "2001:db8::1", true}, {"ana", "2001:db8::ffff:1", false}, {"ana", "2001:db8:0:1::1", true},
	} {
		for _, kind := range []string{LoginHandle, RecoveryHandle} {
			if got := l.Allow(kind, s.handle+"@"+s.address) == nil; got != s.free {
				t.Errorf("%s: %s from %s: %v", kind, s.handle, s.address, got)
			}
		}
	}
	// It takes a hundred networks and more to use up what all share, at once and
	// for good, and years to try as many passwords as the weakest that is let pass
	// has before it.
	one, all := Default().Rates[LoginHandle], Default().Rates[LoginHandleAll]
	if all.Burst < 100*one.Burst || all.PerSecond < 100*one.PerSecond {
		t.Errorf("few networks, with %v each, use up what all share, %v", one, all)
	}
	if years := 2e10 / all.PerSecond / (365 * 24 * 3600); years < 30 {
		t.Errorf("a password holds for %.0f years", years)
	}
}
