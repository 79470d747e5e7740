package opaque

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
)

const alice handle.Handle = "alice"

var password = []byte("correct horse battery staple")

// world is a server with alice signed up, made once: Argon2id is slow.
var world = sync.OnceValue(func() *fixture {
	f := &fixture{account: identity.AccountID{1, 2, 3}}
	var err error
	if f.setup, err = NewSetup(rand.Reader); err != nil {
		panic(err)
	}
	if f.server, err = NewServer(f.setup); err != nil {
		panic(err)
	}
	reg, request, err := StartRegistration(alice, password)
	if err != nil {
		panic(err)
	}
	response, err := f.server.Register(alice, request)
	if err != nil {
		panic(err)
	}
	if f.record, f.export, err = reg.Finish(response); err != nil {
		panic(err)
	}
	return f
})

type fixture struct {
	setup   Setup
	server  *Server
	account identity.AccountID
	record  []byte
	export  ExportKey
}

func (f *fixture) known() *Known { return &Known{Account: f.account, Credential: 7, Record: f.record} }

const now identity.Time = 1_700_000_000_000

func start(t *testing.T, h handle.Handle, k *Known, pw []byte) (l *Login, ke2, state []byte) {
	t.Helper()
	l, ke1, err := StartLogin(h, pw)
	if err != nil {
		t.Fatal(err)
	}
	ke2, state, err = world().server.StartLogin(rand.Reader, h, k, ke1, now)
	if err != nil {
		t.Fatal(err)
	}
	return l, ke2, state
}

func TestLogin(t *testing.T) {
	f := world()
	l, ke2, state := start(t, alice, f.known(), password)
	r, err := l.Finish(ke2)
	if err != nil {
		t.Fatal(err)
	}
	if r.Export != f.export {
		t.Error("export key of the login is not that of the registration")
	}
	st, err := f.server.FinishLogin(state, r.KE3, r.Session.Hash(), now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if st.Account != f.account || st.Credential != 7 || st.Handle != alice {
		t.Errorf("login state = %v %d %v", st.Account, st.Credential, st.Handle)
	}
	// Another node of the same setup finishes it, and a repeat is the same login.
	setup, err := ParseSetup(f.setup.Encode())
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewServer(setup)
	if err != nil {
		t.Fatal(err)
	}
	again, err := other.FinishLogin(state, r.KE3, r.Session.Hash(), now)
	if err != nil || again.ID != st.ID {
		t.Errorf("other node: %v, id %x, want %x", err, again.ID, st.ID)
	}

	for name, c := range map[string]struct {
		state, ke3 []byte
		session    SessionHash
		at         identity.Time
		want       error
	}{
		"late":               {state, r.KE3, r.Session.Hash(), now.Add(LoginStateLife) + 1, ErrExpired},
		"other session":      {state, r.KE3, SessionHash{1}, now, ErrLogin},
		"altered KE3":        {state, flip(r.KE3, 5), r.Session.Hash(), now, ErrLogin},
		"short KE3":          {state, r.KE3[:63], r.Session.Hash(), now, ErrLogin},
		"no KE3":             {state, nil, r.Session.Hash(), now, ErrLogin},
		"no state":           {nil, r.KE3, r.Session.Hash(), now, ErrLogin},
		"state id":           {flip(state, 10), r.KE3, r.Session.Hash(), now, ErrLogin},
		"state body":         {flip(state, 50), r.KE3, r.Session.Hash(), now, ErrLogin},
		"state version":      {flip(state, 1), r.KE3, r.Session.Hash(), now, ErrLogin},
		"state with a byte":  {append(bytes.Clone(state), 0), r.KE3, r.Session.Hash(), now, ErrLogin},
		"state short a byte": {state[:len(state)-1], r.KE3, r.Session.Hash(), now, ErrLogin},
	} {
		if st, err := f.server.FinishLogin(c.state, c.ke3, c.session, c.at); !errors.Is(err, c.want) || st != (LoginState{}) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1
	return b
}

// TestStatesDoNotMix: KE3 of one login never finishes another.
func TestStatesDoNotMix(t *testing.T) {
	f := world()
	l, ke2, _ := start(t, alice, f.known(), password)
	r, err := l.Finish(ke2)
	if err != nil {
		t.Fatal(err)
	}
	_, _, second := start(t, alice, f.known(), password)
	if _, err := f.server.FinishLogin(second, r.KE3, r.Session.Hash(), now); !errors.Is(err, ErrLogin) {
		t.Errorf("KE3 under another state: %v", err)
	}
}

// TestOneErrorForAll: a wrong password, an unknown handle, another server and a
// changed answer are the same to the client; sizes are equal too.
func TestOneErrorForAll(t *testing.T) {
	f := world()
	other, err := NewSetup(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := NewServer(other)
	if err != nil {
		t.Fatal(err)
	}
	l, ke2, state := start(t, alice, f.known(), password)
	_ = l
	wrong, wrongKE2, _ := start(t, alice, f.known(), []byte("correct horse battery stable"))
	unknown, fakeKE2, fakeState := start(t, "malik", nil, password)
	if len(fakeKE2) != len(ke2) || len(ke2) != KE2Size || len(fakeState) != len(state) {
		t.Errorf("sizes differ: KE2 %d and %d, state %d and %d", len(ke2), len(fakeKE2), len(state), len(fakeState))
	}
	elsewhere, ke1, err := StartLogin(alice, password)
	if err != nil {
		t.Fatal(err)
	}
	strangerKE2, _, err := stranger.StartLogin(rand.Reader, alice, f.known(), ke1, now)
	if err != nil {
		t.Fatal(err)
	}
	renamed, renamedKE2, _ := start(t, "alicia", f.known(), password)
	for name, c := range map[string]struct {
		l   *Login
		ke2 []byte
	}{
		"wrong password":   {wrong, wrongKE2},
		"unknown handle":   {unknown, fakeKE2},
		"another server":   {elsewhere, strangerKE2},
		"another's record": {renamed, renamedKE2},
		"altered KE2":      {l, flip(ke2, 319)},
	} {
		if r, err := c.l.Finish(c.ke2); err != ErrLogin || r.Session != (SessionSecret{}) {
			t.Errorf("%s: %v, want ErrLogin", name, err)
		}
	}
	if _, err := f.server.FinishLogin(fakeState, make([]byte, KE3Size), SessionHash{}, now); err != ErrLogin {
		t.Errorf("fake state: %v", err)
	}
}

// TestFakeIsStable: nothing of an answer changes when a handle gets taken or
// the server restarts, apart from what is random each time.
func TestFakeIsStable(t *testing.T) {
	f := world()
	_, ke1, err := StartLogin(alice, password)
	if err != nil {
		t.Fatal(err)
	}
	a, _, _ := f.server.StartLogin(rand.Reader, alice, nil, ke1, now)
	b, _, _ := f.server.StartLogin(rand.Reader, alice, f.known(), ke1, now)
	equal(t, "evaluated message", a[:32], b[:32])
	if bytes.Equal(a[32:64], b[32:64]) {
		t.Error("masking nonce repeats")
	}
	equal(t, "fake record", f.server.fake, f.setup.fakeRecord())
	if err := f.server.CheckRecord(f.server.fake); err != nil {
		t.Error("the fake record is not well formed")
	}
	c, _, _ := f.server.StartLogin(rand.Reader, "bob", nil, ke1, now)
	if bytes.Equal(a[:32], c[:32]) {
		t.Error("two handles share an OPRF key")
	}
}

func TestMalformedMessages(t *testing.T) {
	f := world()
	identityElement := make([]byte, 32)
	nonCanonical := bytes.Repeat([]byte{0xff}, 32)
	_, ke1, err := StartLogin(alice, password)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"empty": nil, "short": ke1[:95], "long": append(bytes.Clone(ke1), 0),
		"identity blinded":       append(bytes.Clone(identityElement), ke1[32:]...),
		"identity key share":     append(bytes.Clone(ke1[:64]), identityElement...),
		"non-canonical blinded":  append(bytes.Clone(nonCanonical), ke1[32:]...),
		"non-canonical keyshare": append(bytes.Clone(ke1[:64]), nonCanonical...),
	} {
		for _, k := range []*Known{nil, f.known()} {
			if _, _, err := f.server.StartLogin(rand.Reader, alice, k, b, now); err != ErrMessage {
				t.Errorf("KE1 %s: %v", name, err)
			}
		}
	}
	for name, b := range map[string][]byte{"empty": nil, "identity": identityElement, "non-canonical": nonCanonical, "long": make([]byte, 33)} {
		if _, err := f.server.Register(alice, b); err != ErrMessage {
			t.Errorf("registration request %s: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{"empty": nil, "short": f.record[:191], "zero": make([]byte, RecordSize)} {
		if err := f.server.CheckRecord(b); err != ErrMessage {
			t.Errorf("record %s: %v", name, err)
		}
	}
	reg, _, err := StartRegistration(alice, password)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := reg.Finish(make([]byte, ResponseSize)); err != ErrMessage {
		t.Errorf("zero response: %v", err)
	}
	for _, pw := range [][]byte{nil, make([]byte, MaxPassword+1)} {
		if _, _, err := StartRegistration(alice, pw); err != ErrPassword {
			t.Errorf("password of %d: %v", len(pw), err)
		}
		if _, _, err := StartLogin(alice, pw); err != ErrPassword {
			t.Errorf("password of %d: %v", len(pw), err)
		}
	}
}

func TestSetup(t *testing.T) {
	b := world().setup.Encode()
	if len(b) != SetupSize {
		t.Fatalf("%d bytes", len(b))
	}
	s, err := ParseSetup(b)
	if err != nil || s != world().setup {
		t.Fatal(err, "round trip")
	}
	for i := range b {
		if _, err := ParseSetup(flip(b, i)); err != ErrSetup {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	for _, b := range [][]byte{nil, b[:SetupSize-1], append(bytes.Clone(b), 0)} {
		if _, err := ParseSetup(b); err != ErrSetup {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
	for name, private := range map[string][]byte{"zero": make([]byte, 32), "not reduced": bytes.Repeat([]byte{0xff}, 32)} {
		bad := Setup{private: [32]byte(private)}
		if _, err := ParseSetup(bad.Encode()); err != ErrSetup {
			t.Errorf("%s key: %v", name, err)
		}
	}
	if s.Key("a") == s.Key("b") {
		t.Error("derived keys")
	}
}

func TestSecretsPrintHidden(t *testing.T) {
	f := world()
	l, _, _ := start(t, alice, f.known(), password)
	c, err := NewChallenge(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{f.setup, f.export, f.server, SessionSecretOf([32]byte{1}), l, c} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			if got := fmt.Sprintf(verb, v); got != "hidden" {
				t.Errorf("%T under %s prints %q", v, verb, got)
			}
		}
	}
}

func TestConcurrent(t *testing.T) {
	f := world()
	_, ke1, err := StartLogin(alice, password)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if _, _, err := f.server.StartLogin(rand.Reader, alice, f.known(), ke1, now); err != nil {
					t.Error(err)
				}
				if _, err := f.server.Register("bob", ke1[:32]); err != nil {
					t.Error(err)
				}
				if _, err := f.server.Answer(ke1[:32]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzParseSetup(f *testing.F) {
	f.Add(world().setup.Encode())
	f.Add([]byte(strings.Repeat("a", SetupSize)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := ParseSetup(b); err == nil {
			equal(t, "round trip", s.Encode(), b)
		}
	})
}

func FuzzLoginState(f *testing.F) {
	key := [32]byte{1}
	st := LoginState{ID: [32]byte{2}, Handle: alice, Account: identity.AccountID{3}, Expires: now, known: true}
	f.Add(st.seal(key))
	f.Add([]byte{0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if st, err := openLoginState(key, b); err == nil {
			equal(t, "round trip", st.seal(key), b)
		}
	})
}

func FuzzServerMessages(f *testing.F) {
	f.Add(make([]byte, KE1Size))
	_, ke1, err := StartLogin(alice, password)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ke1)
	f.Add(world().record)
	f.Fuzz(func(t *testing.T, b []byte) {
		srv := world().server
		_, _, _ = srv.StartLogin(rand.Reader, alice, nil, b, now)
		_, _ = srv.Register(alice, b)
		_, _ = srv.FinishLogin(b, b, SessionHash{}, now)
		_ = srv.CheckRecord(b)
		if l, _, err := StartLogin(alice, password); err == nil && len(b) != KE2Size {
			if _, err := l.Finish(b); err != ErrLogin {
				t.Error(err)
			}
		}
	})
}
