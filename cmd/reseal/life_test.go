package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/invite"
	"github.com/reseal/reseal/server"
)

var codeOnScreen = regexp.MustCompile(`recovery code: (?:\x1b\[1m)?([0-9A-Z-]{34})`)

func shownCode(t *testing.T, out string) string {
	t.Helper()
	m := codeOnScreen.FindStringSubmatch(out)
	if m == nil || !strings.Contains(out, "█") {
		t.Fatalf("no recovery code, or none to scan: %q", out)
	}
	return m[1]
}

// TestLifeAtATerminal: what is asked for and shown where somebody types.
func TestLifeAtATerminal(t *testing.T) {
	url := newServer(t)
	ana, laptop := newPerson(t, url), newPerson(t, url)
	code := shownCode(t, ana.does(exitDone, []string{secret, secret}, "signup", "ana"))
	laptop.does(exitDone, []string{secret}, "login", "ana")

	// A new password, weak and mistyped at first.
	next := secret + " two"
	ana.does(exitDone, []string{"n", secret, "12345678", "12345678", next, "other", next, next}, "passwd")
	if !strings.Contains(ana.err.String(), "not evicted") || strings.Contains(ana.err.String()+ana.out.String(), next) {
		t.Errorf("%s%s", &ana.out, &ana.err)
	}
	for _, q := range ana.asked {
		if strings.Contains(q, "assword for") && strings.Contains(q, "(shown)") {
			t.Errorf("a password is shown: %q", q)
		}
	}
	// Lost, and recovered: a slip in the code is found here.
	laptop.does(exitDone, []string{code[:33] + "U", strings.ToLower(code), secret + " three", secret + " three"}, "recover", "ana")
	code = shownCode(t, laptop.out.String())
	// Somebody knows it: the change of the password offers a rotation, which
	// asks for each device.
	laptop.does(exitDone, []string{"y", "no", code, secret + " four", secret + " four"}, "passwd")
	if !strings.Contains(laptop.asked[1], "Keep device") {
		t.Errorf("%q", laptop.asked)
	}
	code = shownCode(t, laptop.out.String())
	if out := laptop.does(exitDone, nil, "devices", "--json"); strings.Count(out, "\n") != 1 {
		t.Errorf("devices: %s", out)
	}
	if secrets := laptop.out.String() + laptop.err.String(); strings.Contains(secrets, code) {
		t.Error("the code is shown again")
	}
	laptop.does(exitFailed, []string{secret}, "close-account")
	laptop.does(exitDone, []string{secret + " four"}, "close-account")
	laptop.does(exitFailed, []string{secret + " four"}, "login", "ana")
}

// TestCodeBesideAnError: a code that may have come into force is shown though
// the command failed.
func TestCodeBesideAnError(t *testing.T) {
	code, err := capsule.NewRecoveryCode(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, json := range []bool{false, true} {
		s := newSurroundings(t, nil)
		c := &cli{env: &s.env, json: json}
		if err := c.changedCode("ana", code, reseal.ErrUncertain, nil, "done"); !errors.Is(err, reseal.ErrUncertain) {
			t.Errorf("the error is lost: %v", err)
		}
		out := s.out.String()
		if !strings.Contains(out, code.Reveal()) || strings.Contains(out, `"done":true`) || !json && !strings.Contains(s.err.String(), "not known yet") {
			t.Errorf("json %v: %s%s", json, out, &s.err)
		}
		s.out.Reset()
		if err := c.changedCode("ana", reseal.RecoveryCode{}, reseal.ErrSamePassword, nil, "done"); !errors.Is(err, reseal.ErrSamePassword) || s.out.Len() > 0 {
			t.Errorf("%v: %s", err, &s.out)
		}
	}
}

// TestResetAtATerminal: asked for, announced, cancelled, asked for again, and
// made to happen a day later.
func TestResetAtATerminal(t *testing.T) {
	var offset atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	url := newServerAt(t, now)
	ana, laptop, ben := newPerson(t, url), newPerson(t, url), newPerson(t, url)
	ben.clock = now
	ana.does(exitDone, []string{secret, secret}, "signup", "ana")
	laptop.does(exitDone, []string{secret}, "login", "ana")
	ben.does(exitDone, []string{secret, secret}, "signup", "ben")
	ben.does(exitDone, nil, "send", "ana", "--text", "who is there")
	ben.does(exitDone, nil, "contacts", "verify", "ana", ben.contact("ana").SafetyNumber)
	if out := ana.does(exitDone, nil, "reset", "ana"); !strings.Contains(out, "run this again in 24 h") {
		t.Errorf("%q", out)
	}
	if laptop.does(exitDone, nil, "inbox"); !strings.Contains(laptop.err.String(), "WARNING: a reset of the account was asked for") {
		t.Errorf("the laptop is not told: %s", &laptop.err)
	}
	if laptop.does(exitDone, nil, "devices"); !strings.Contains(laptop.err.String(), `"reseal reset ana --cancel" prevents that`) {
		t.Errorf("the laptop does not see it: %s", &laptop.err)
	}
	if laptop.does(exitUsage, nil, "reset", "ana"); !strings.Contains(laptop.err.String(), "has asked for the reset already") {
		t.Errorf("%s", &laptop.err)
	}
	if ana.does(exitFailed, nil, "reset", "ana", "--json"); !strings.Contains(ana.out.String(), `"error":"not_due"`) {
		t.Errorf("%s", &ana.out)
	}
	laptop.does(exitDone, nil, "reset", "ana", "--cancel")
	if ana.does(exitDone, nil, "reset", "ana", "--json"); !strings.Contains(ana.out.String(), `"state":"asked"`) {
		t.Errorf("cancelled, and not asked for again: %s", &ana.out)
	}

	offset.Store(int64(24*time.Hour + time.Minute))
	in, err := reseal.Open(ana.home, reseal.Options{Server: url, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	all, err := in.Resume(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("resume: %v", err)
	}
	next := secret + " anew"
	ana.out.Reset()
	ana.answers = []string{next, next}
	c := &cli{env: &ana.env}
	if err := c.reset(t.Context(), all[0], false); err != nil {
		t.Fatal(err)
	}
	shownCode(t, ana.out.String())
	if !strings.Contains(ana.out.String(), "has begun anew") {
		t.Errorf("%s", &ana.out)
	}
	if laptop.does(exitFailed, []string{secret}, "login", "ana", "--json"); !strings.Contains(laptop.out.String(), `"login_failed"`) {
		t.Errorf("%s", &laptop.out)
	}

	// Whoever had verified the old key sends nothing until they agree to the
	// new one, and to that very one.
	old := ben.contact("ana")
	if old.State != "alarm" || !old.Verified || len(old.Offered) != 1 || old.Offered[0] == old.SafetyNumber {
		t.Fatalf("%+v", old)
	}
	if ben.does(exitFailed, nil, "send", "ana", "--text", "to whom?", "--json"); !strings.Contains(ben.out.String(), `"error":"alarm"`) {
		t.Errorf("%s", &ben.out)
	}
	if ben.does(exitFailed, nil, "contacts", "verify", "ana", old.SafetyNumber, "--json"); !strings.Contains(ben.out.String(), `"error":"alarm"`) {
		t.Errorf("%s", &ben.out)
	}
	if ben.does(exitFailed, nil, "contacts", "trust", "ana", old.SafetyNumber, "--json"); !strings.Contains(ben.out.String(), `"error":"mismatch"`) {
		t.Errorf("%s", &ben.out)
	}
	if ben.does(exitFailed, nil, "send", "ana", "--text", "to whom?", "--json"); !strings.Contains(ben.out.String(), `"error":"alarm"`) {
		t.Errorf("%s", &ben.out)
	}
	ben.does(exitDone, nil, "contacts", "trust", "ana", old.Offered[0])
	if k := ben.contact("ana"); k.State != "known" || k.Verified || !k.Changed || k.SafetyNumber != old.Offered[0] {
		t.Errorf("%+v", k)
	}
	ben.does(exitDone, nil, "send", "ana", "--text", "to you")
}

// contact is what "contacts --json" says of one.
func (p *person) contact(handle string) contactItem {
	p.t.Helper()
	for line := range strings.Lines(p.does(exitDone, nil, "contacts", "--json")) {
		var k contactItem
		if err := json.Unmarshal([]byte(line), &k); err != nil {
			p.t.Fatalf("%s: %v", line, err)
		}
		if k.Handle == handle {
			return k
		}
	}
	p.t.Fatalf("no contact %s", handle)
	return contactItem{}
}

// TestOperatorsResetAtATerminal: an owner who has lost everything gets the handle
// back on a new machine, by the operator's code.
func TestOperatorsResetAtATerminal(t *testing.T) {
	var offset atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	url := newServerAt(t, now)
	lost, ana := newPerson(t, url), newPerson(t, url)
	lost.does(exitDone, []string{secret, secret}, "signup", "ana")
	ana.clock = now
	running, _ := servers.Load(url)
	operator := running.(*server.Server).Auth()
	id, err := operator.Named(t.Context(), "ana")
	if err != nil {
		t.Fatal(err)
	}
	code, err := invite.New(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := operator.OperatorReset(t.Context(), id, code.Hash()); err != nil {
		t.Fatal(err)
	}
	next := secret + " anew"
	if ana.does(exitFailed, []string{next, next}, "reset", "ana", "--code", code.Reveal(), "--json"); !strings.Contains(ana.out.String(), `"error":"not_due"`) {
		t.Errorf("%s", &ana.out)
	}
	offset.Store(int64(24*time.Hour + time.Minute))
	shownCode(t, ana.does(exitDone, []string{next, next}, "reset", "ana", "--code", strings.ToLower(code.Reveal())))
	if !strings.Contains(ana.out.String(), "has begun anew and is logged in here") {
		t.Errorf("%s", &ana.out)
	}
	if out := ana.does(exitDone, nil, "devices", "--json"); strings.Count(out, "\n") != 1 {
		t.Errorf("%s", out)
	}
	ana.does(exitDone, nil, "logout")
	ana.does(exitDone, []string{next}, "login", "ana")
}
