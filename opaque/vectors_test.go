package opaque

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectors = "../spec/vectors/login/"

// scenario is one vector file: what goes into an entry point, and what comes
// out. Bytes are hexadecimal.
type scenario struct {
	Comment string            `json:"comment"`
	Entry   string            `json:"entry"`
	Outcome string            `json:"outcome"`
	In      map[string]string `json:"in"`
	Out     map[string]string `json:"out,omitempty"`
}

func x(b []byte) string { return hex.EncodeToString(b) }

func (s scenario) in(t *testing.T, name string) []byte { return unhex(t, s.In[name]) }

func outcome(err error) string {
	switch err {
	case nil:
		return "ok"
	case ErrExpired:
		return "expired"
	case ErrLogin, ErrSetup, ErrMessage, handle.Err:
		return "refused"
	}
	return err.Error()
}

func (s scenario) run(t *testing.T) (map[string]string, string) {
	t.Helper()
	switch s.Entry {
	case "handle":
		h, err := handle.Parse(s.In["text"])
		if err != nil {
			return nil, outcome(err)
		}
		return map[string]string{"handle": string(h), "credential_identifier": x(credentialID(h))}, "ok"
	case "server setup":
		v, err := ParseSetup(s.in(t, "bytes"))
		if err != nil {
			return nil, outcome(err)
		}
		equal(t, "setup written again", v.Encode(), s.in(t, "bytes"))
		srv, err := NewServer(v)
		if err != nil {
			t.Fatal(err)
		}
		tokens := v.Key("login state")
		return map[string]string{
			"public_key": x(srv.lib.ServerKeyMaterial.PublicKeyBytes), "login_state_key": x(tokens[:]), "fake_record": x(v.fakeRecord()),
		}, "ok"
	case "server challenge":
		v, err := ParseSetup(s.in(t, "setup"))
		if err != nil {
			t.Fatal(err)
		}
		srv, err := NewServer(v)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := srv.Answer(s.in(t, "challenge"))
		if err != nil {
			return nil, outcome(err)
		}
		return map[string]string{"answer": x(answer)}, "ok"
	case "server answer":
		c, err := NewChallenge(bytes.NewReader(s.in(t, "uniform")))
		if err != nil {
			t.Fatal(err)
		}
		k, err := c.Check(s.in(t, "answer"))
		if err != nil {
			return nil, outcome(err)
		}
		return map[string]string{"challenge": x(c.Bytes()), "public_key": k.String()}, "ok"
	case "login":
		return s.login(t), "ok"
	case "login state":
		st, err := openLoginState([32]byte(s.in(t, "login_state_key")), s.in(t, "state"))
		if err != nil {
			return nil, outcome(err)
		}
		equal(t, "state sealed again", st.seal([32]byte(s.in(t, "login_state_key"))), s.in(t, "state"))
		return map[string]string{
			"id": x(st.ID[:]), "handle": string(st.Handle), "account": x(st.Account[:]), "credential": strconv.FormatUint(st.Credential, 10),
			"expires": strconv.FormatUint(uint64(st.Expires), 10), "known": strconv.FormatBool(st.known),
			"ke3": x(st.mac[:]), "session_hash": x(st.session[:]),
		}, "ok"
	}
	t.Fatal("unknown entry", s.Entry)
	return nil, ""
}

// login runs a sign-up and a login in production's parameters with the
// randomness fixed.
func (s scenario) login(t *testing.T) map[string]string {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	setup, err := ParseSetup(s.in(t, "setup"))
	must(err)
	srv, err := NewServer(setup)
	must(err)
	h := handle.Handle(s.In["handle"])
	ids := identitiesOf(h)
	reg, request, err := production.startRegistration(ids, []byte(s.In["password"]), random{
		blind: s.in(t, "blind_registration"), envelopeNonce: s.in(t, "envelope_nonce"),
	})
	must(err)
	response, err := srv.Register(h, request)
	must(err)
	record, export, err := reg.Finish(response)
	must(err)
	login, ke1, err := production.startLogin(ids, []byte(s.In["password"]), random{
		blind: s.in(t, "blind_login"), keyShareSeed: s.in(t, "client_keyshare_seed"), nonce: s.in(t, "client_nonce"),
	})
	must(err)
	ke2, out, err := srv.respond(credentialID(h), ids.client, record, ke1, random{
		keyShareSeed: s.in(t, "server_keyshare_seed"), nonce: s.in(t, "server_nonce"), maskingNonce: s.in(t, "masking_nonce"),
	})
	must(err)
	login.ids.server = srv.public[:] // as FinishAt does: every byte is the same
	r, session, err := login.finish(ke2)
	must(err)
	equal(t, "the server's session key", out.SessionSecret, session)
	equal(t, "export key", r.Export.b[:], export.b[:])
	hash := r.Session.Hash()
	return map[string]string{
		"registration_request": x(request), "registration_response": x(response), "record": x(record), "export_key": x(export.b[:]),
		"ke1": x(ke1), "ke2": x(ke2), "ke3": x(r.KE3), "session_key": x(session), "session_secret": x(r.Session.b[:]), "session_hash": x(hash[:]),
	}
}

func TestVectors(t *testing.T) {
	made := scenarios(t)
	if *update {
		for name, s := range made {
			out, got := s.run(t)
			if got != s.Outcome {
				t.Fatalf("%s: %s, want %s", name, got, s.Outcome)
			}
			s.Out = out
			b, err := json.MarshalIndent(s, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(vectors+name+".json", append(b, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	var files []string
	for _, prefix := range []string{"handle", "setup", "server", "login", "state"} {
		found, err := filepath.Glob(vectors + prefix + "-*.json")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) != len(made) {
		t.Errorf("%d files, %d scenarios: run with -update", len(files), len(made))
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			var s scenario
			if err := json.Unmarshal(b, &s); err != nil {
				t.Fatal(err)
			}
			if g := made[name]; g.Comment != s.Comment || g.Outcome != s.Outcome || !maps.Equal(g.In, s.In) {
				t.Error("the file is not what its generator makes: run with -update")
			}
			out, got := s.run(t)
			if got != s.Outcome || !maps.Equal(out, s.Out) {
				t.Errorf("%s, want %s\n got %v\nwant %v", got, s.Outcome, out, s.Out)
			}
		})
	}
}

func fill(n int, from byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

// scenarios makes the vectors.
func scenarios(t *testing.T) map[string]scenario {
	all := map[string]scenario{}
	add := func(name, entry, comment, outcome string, in map[string]string) {
		all[name] = scenario{Comment: comment, Entry: entry, Outcome: outcome, In: in}
	}
	for name, c := range map[string][3]string{
		"good": {"alice", "ok", "letters"}, "folded": {"Alice.B-9_z", "ok", "upper case is folded"},
		"shortest": {"abc", "ok", "3 characters"}, "longest": {strings.Repeat("a", 32), "ok", "32 characters"},
		"too-short": {"ab", "refused", "2 characters"}, "too-long": {strings.Repeat("a", 33), "refused", "33 characters"},
		"digit-first": {"1abc", "refused", "a digit first"}, "separator-first": {"_abc", "refused", "a separator first"},
		"separator-last": {"abc.", "refused", "a separator last"}, "separators": {"a.-b", "refused", "two separators in a row"},
		"cyrillic": {"b\u043eb", "refused", "a letter that looks like o"}, "space": {" bob", "refused", "a space"}, "slash": {"a/bc", "refused", "a slash"},
	} {
		add("handle-"+name, "handle", c[2], c[1], map[string]string{"text": c[0]})
	}

	setup, err := NewSetup(bytes.NewReader(fill(128, 0)))
	if err != nil {
		t.Fatal(err)
	}
	enc := setup.Encode()
	bad := func(f func([]byte) []byte) map[string]string {
		return map[string]string{"bytes": x(f(bytes.Clone(enc)))}
	}
	resum := func(b []byte) []byte {
		sum := setupSum(b[:len(b)-sha256.Size])
		return append(b[:len(b)-sha256.Size], sum[:]...)
	}
	add("setup-good", "server setup", "a key file", "ok", map[string]string{"bytes": x(enc)})
	add("setup-damaged", "server setup", "one bit changed", "refused", bad(func(b []byte) []byte { return flip(b, 9) }))
	add("setup-truncated", "server setup", "a byte short", "refused", bad(func(b []byte) []byte { return b[:SetupSize-1] }))
	add("setup-trailing", "server setup", "a byte more", "refused", bad(func(b []byte) []byte { return append(b, 0) }))
	add("setup-version-2", "server setup", "a version that is not known, with a good sum", "refused", bad(func(b []byte) []byte { b[1] = 2; return resum(b) }))
	add("setup-zero-key", "server setup", "a private key of zero, with a good sum", "refused", bad(func(b []byte) []byte { clear(b[66:98]); return resum(b) }))
	add("setup-key-not-reduced", "server setup", "a private key above the group order, with a good sum", "refused",
		bad(func(b []byte) []byte { copy(b[66:98], bytes.Repeat([]byte{0xff}, 32)); return resum(b) }))

	answers(t, setup, add)

	scalar := func(from byte) string { b := fill(32, from); b[31] = 0; return x(b) }
	add("login-good", "login", "sign-up and login in the parameters of this format", "ok", map[string]string{
		"setup": x(enc), "handle": "alice", "password": "correct horse battery staple",
		"blind_registration": scalar(1), "envelope_nonce": x(fill(32, 2)), "blind_login": scalar(3), "client_keyshare_seed": x(fill(32, 4)),
		"client_nonce": x(fill(32, 5)), "server_keyshare_seed": x(fill(32, 6)), "server_nonce": x(fill(32, 7)), "masking_nonce": x(fill(32, 8)),
	})

	st := LoginState{
		ID: [32]byte(fill(32, 1)), Handle: alice, Account: identity.AccountID(fill(16, 2)), Credential: 3, Expires: now, known: true,
		mac: [KE3Size]byte(fill(64, 4)), session: SessionHash(fill(32, 5)),
	}
	key := [32]byte(fill(32, 9))
	sealed := st.seal(key)
	unknown := LoginState{ID: st.ID, Handle: "nobody", Expires: now, mac: st.mac, session: st.session}
	state := func(name, comment, outcome string, b []byte) {
		add("state-"+name, "login state", comment, outcome, map[string]string{"login_state_key": x(key[:]), "state": x(b)})
	}
	state("good", "a login of a known handle", "ok", sealed)
	state("unknown", "a login of an unknown handle", "ok", unknown.seal(key))
	state("altered", "one bit changed", "refused", flip(sealed, 60))
	state("other-id", "another id, and so another key", "refused", flip(sealed, 2))
	state("version-2", "a version that is not the server's own", "refused", append([]byte{0, 2}, sealed[2:]...))
	state("truncated", "a byte short", "refused", sealed[:len(sealed)-1])
	state("trailing", "a byte more", "refused", append(bytes.Clone(sealed), 0))
	return all
}

// answers makes the vectors of section 6.1.
func answers(t *testing.T, setup Setup, add func(name, entry, comment, outcome string, in map[string]string)) {
	uniform := fill(64, 7)
	c, err := NewChallenge(bytes.NewReader(uniform))
	if err != nil {
		t.Fatal(err)
	}
	srv, err := NewServer(setup)
	if err != nil {
		t.Fatal(err)
	}
	good, err := srv.Answer(c.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewSetup(bytes.NewReader(fill(128, 9)))
	if err != nil {
		t.Fatal(err)
	}
	another, err := NewServer(other)
	if err != nil {
		t.Fatal(err)
	}
	challenge := func(name, comment, outcome string, b []byte) {
		add("server-challenge-"+name, "server challenge", comment, outcome, map[string]string{"setup": x(setup.Encode()), "challenge": x(b)})
	}
	challenge("good", "a challenge and its answer", "ok", c.Bytes())
	challenge("identity", "the identity element", "refused", make([]byte, 32))
	challenge("not-canonical", "no element", "refused", bytes.Repeat([]byte{0xff}, 32))
	challenge("truncated", "a byte short", "refused", c.Bytes()[:31])
	answer := func(name, comment, outcome string, b []byte) {
		add("server-answer-"+name, "server answer", comment, outcome, map[string]string{"uniform": x(uniform), "answer": x(b)})
	}
	answer("good", "the answer to the challenge of these 64 bytes", "ok", good)
	answer("altered", "one bit of the proof changed", "refused", flip(good, 40))
	answer("other-key", "a key that the proof is not for", "refused", append(bytes.Clone(another.public[:]), good[32:]...))
	answer("identity", "the identity element for a key, with its proof", "refused",
		append(make([]byte, 32), proof(production.conf.AKE.Group().NewElement(), ServerKey{}, c.Bytes())...))
	answer("truncated", "a byte short", "refused", good[:AnswerSize-1])
	answer("trailing", "a byte more", "refused", append(bytes.Clone(good), 0))
}
