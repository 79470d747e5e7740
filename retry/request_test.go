package retry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorDir = "../spec/vectors/retry"

func fill32(name string) [32]byte { return sha256.Sum256([]byte("fixture " + name)) }

func fill16(name string) [16]byte {
	h := fill32(name)
	return [16]byte(h[:16])
}

func fixtureKey(t testing.TB, name string) identity.DeviceKey {
	t.Helper()
	seed := fill32(name)
	k, err := identity.DeviceKeyFromSeed(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ids makes n message ids, sorted.
func ids(n int) []message.ID {
	out := make([]message.ID, n)
	for i := range out {
		out[i] = fill32("message" + string(rune(i)))
		out[i][0], out[i][1] = 0, 0
	}
	slices.SortFunc(out, compareIDs)
	return out
}

func fixtureRequest(n int) Request {
	return Request{
		Account: fill16("bob"), Device: fill16("bob's phone"), Cert: fill32("cert"), ListVersion: 4, ListHash: fill32("list"),
		To: fill16("alice"), Nonce: fill16("nonce"), Messages: ids(n),
	}
}

// signAnything signs without validation, for requests that must be refused.
func signAnything(t testing.TB, r Request, name string) []byte {
	t.Helper()
	body := r.encode()
	sig := fixtureKey(t, "bob's phone").Sign(name, body)
	return append(body, sig[:]...)
}

type vector struct {
	Scenario string `json:"scenario"`
	Outcome  string `json:"outcome"`
	Hex      string `json:"hex"`
	Key      string `json:"key"`
	ID       string `json:"id,omitempty"`
}

var outcomes = map[string]error{"ok": nil, "malformed": ErrMalformed, "version": ErrVersion, "signature": ErrSignature}

func generate(t testing.TB) map[string]vector {
	vs := make(map[string]vector)
	key := fixtureKey(t, "bob's phone").Public()
	add := func(name, scenario, outcome string, b []byte) {
		vs["request-"+name+".json"] = vector{Scenario: scenario, Outcome: outcome, Hex: hex.EncodeToString(b), Key: hex.EncodeToString(key[:])}
	}
	good := func(name, scenario string, r Request) []byte {
		s, err := SignRequest(r, fixtureKey(t, "bob's phone"))
		if err != nil {
			t.Fatal(err)
		}
		add(name, scenario, "ok", s.Bytes())
		v := vs["request-"+name+".json"]
		v.ID = s.ID().String()
		vs["request-"+name+".json"] = v
		return s.Bytes()
	}
	b := good("one", "one message", fixtureRequest(1))
	good("256", "as many messages as a request holds", fixtureRequest(MaxMessages))
	own := fixtureRequest(2)
	own.To = own.Account
	good("own-account", "for holder copies, addressed to the own account", own)

	add("empty", "no bytes", "malformed", nil)
	add("version-0", "version 0", "malformed", patched(b, 1, 0))
	add("version-2", "version 2, of any size", "version", append(patched(b, 1, 2), 7))
	add("trailing-byte", "a byte too many", "malformed", append(bytes.Clone(b), 0))
	add("truncated", "a byte short", "malformed", b[:len(b)-1])
	add("signature-altered", "the signature altered", "signature", patched(b, len(b)-64, b[len(b)-64]^1))
	add("body-altered", "the addressed account altered", "signature", patched(b, 106, b[106]^1))
	add("other-name", "signed as another record", "signature", signAnything(t, fixtureRequest(1), "epoch certificate"))
	for name, alter := range badRequests {
		r := fixtureRequest(3)
		alter(&r)
		add("bad-"+name, "signed, but not valid: "+name, "malformed", signAnything(t, r, signedName))
	}
	return vs
}

var badRequests = map[string]func(*Request){
	"no-messages":   func(r *Request) { r.Messages = nil },
	"257-messages":  func(r *Request) { r.Messages = ids(MaxMessages + 1) },
	"unsorted":      func(r *Request) { r.Messages[0], r.Messages[1] = r.Messages[1], r.Messages[0] },
	"message-twice": func(r *Request) { r.Messages[1] = r.Messages[0] },
	"no-account":    func(r *Request) { r.Account = identity.AccountID{} },
	"no-device":     func(r *Request) { r.Device = identity.DeviceID{} },
	"no-addressee":  func(r *Request) { r.To = identity.AccountID{} },
}

func patched(b []byte, at int, with byte) []byte {
	b = bytes.Clone(b)
	b[at] = with
	return b
}

func TestVectors(t *testing.T) {
	want := generate(t)
	if *update {
		for name, v := range want {
			writeJSON(t, name, v)
		}
	}
	files, err := filepath.Glob(vectorDir + "/request-*.json")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d vector files, the generator makes %d: run go test ./retry -update", len(files), len(want))
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			var v vector
			readJSON(t, name, &v)
			if v != want[name] {
				t.Fatal("file is not what the generator makes")
			}
			runVector(t, v)
		})
	}
}

func runVector(t *testing.T, v vector) {
	b, err := hex.DecodeString(v.Hex)
	if err != nil {
		t.Fatal(err)
	}
	key, err := hex.DecodeString(v.Key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRequest(b)
	if err == nil {
		err = r.Verify(identity.DevicePublic(key))
	}
	want, known := outcomes[v.Outcome]
	if !known || !errors.Is(err, want) {
		t.Fatalf("%s: got %v, want %v", v.Scenario, err, want)
	}
	if err == nil && (r.ID().String() != v.ID || !bytes.Equal(r.Bytes(), b) || !bytes.Equal(r.encode(), r.body())) {
		t.Fatal("parsed to something else")
	}
}

func writeJSON(t *testing.T, name string, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(vectorDir, name), append(b, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir, name))
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestSignRequestRefuses(t *testing.T) {
	for name, alter := range badRequests {
		r := fixtureRequest(3)
		alter(&r)
		if _, err := SignRequest(r, fixtureKey(t, "bob's phone")); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifyByAnotherDevice(t *testing.T) {
	s, err := SignRequest(fixtureRequest(3), fixtureKey(t, "bob's phone"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(fixtureKey(t, "bob's tablet").Public()); !errors.Is(err, ErrSignature) {
		t.Error("another device's key verifies:", err)
	}
	if err := s.Verify(identity.DevicePublic{}); !errors.Is(err, ErrSignature) {
		t.Error("a low-order key verifies:", err)
	}
}

// The id must not follow the signature, and must follow the nonce.
func TestRequestID(t *testing.T) {
	key := fixtureKey(t, "bob's phone")
	a, err := SignRequest(fixtureRequest(3), key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseRequest(patched(a.Bytes(), len(a.Bytes())-1, 0xff))
	if err != nil || a.ID() != b.ID() {
		t.Error("another signature, another id", err)
	}
	next := fixtureRequest(3)
	next.Nonce[0] ^= 1
	c, err := SignRequest(next, key)
	if err != nil || a.ID() == c.ID() {
		t.Error("another nonce, the same id", err)
	}
}

// A caller that changes its slice later must not change what was signed.
func TestSignedRequestOwnsItsBytes(t *testing.T) {
	r := fixtureRequest(2)
	s, err := SignRequest(r, fixtureKey(t, "bob's phone"))
	if err != nil {
		t.Fatal(err)
	}
	want := s.ID()
	r.Messages[0][5] ^= 1
	s.Bytes()[3] ^= 1
	if s.ID() != want || s.Messages[0] == r.Messages[0] {
		t.Error("shared memory")
	}
}

func TestBatches(t *testing.T) {
	if Batches(nil) != nil {
		t.Error("a batch of nothing")
	}
	in := ids(600)
	shuffled := append(slices.Clone(in), in[:50]...)
	slices.Reverse(shuffled)
	before := slices.Clone(shuffled)
	got := Batches(shuffled)
	if !slices.Equal(before, shuffled) {
		t.Error("argument changed")
	}
	if len(got) != 3 || !reflect.DeepEqual(slices.Concat(got...), in) {
		t.Fatal("ids lost, repeated or unsorted")
	}
	for _, b := range got {
		r := fixtureRequest(1)
		r.Messages = b
		if err := r.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, v := range generate(f) {
		b, err := hex.DecodeString(v.Hex)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	key := fixtureKey(f, "bob's phone").Public()
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRequest(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrVersion) {
				t.Fatal("unnamed error", err)
			}
			return
		}
		if !bytes.Equal(r.encode(), r.body()) || !bytes.Equal(r.Bytes(), b) {
			t.Fatal("two encodings of one request")
		}
		_ = r.Verify(key)
	})
}
