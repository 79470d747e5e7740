package identity

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the vectors of spec/vectors/identity anew")

const vectorDir = "../spec/vectors/identity"

// scenario is one vector file. Which fields are set depends on Entry.
type scenario struct {
	Name        string            `json:"-"`
	Comment     string            `json:"comment"`
	Entry       string            `json:"entry"`   // list, certificate, follow, successor, safety-number, next-key, signature
	Outcome     string            `json:"outcome"` // see outcomes
	Bytes       string            `json:"bytes,omitempty"`
	List        string            `json:"list,omitempty"`
	Lists       []string          `json:"lists,omitempty"`
	Certs       []string          `json:"certificates,omitempty"`
	Hash        string            `json:"hash,omitempty"`
	Values      map[string]string `json:"values,omitempty"`
	ListVersion uint64            `json:"list_version,omitempty"`
}

// outcomes is the closed set of what a vector can end in.
var outcomes = map[string]error{
	"ok":                nil,
	"malformed":         ErrMalformed,
	"newer version":     ErrVersion,
	"unusable key":      ErrKey,
	"signature":         ErrSignature,
	"other account":     ErrOtherAccount,
	"older":             ErrOlder,
	"fork":              ErrFork,
	"key changed":       ErrKeyChanged,
	"next changed":      ErrNextChanged,
	"second succession": ErrSecondSuccession,
	"version fell":      ErrVersionFell,
}

// run takes a vector through every entry point that reads such bytes.
func (s scenario) run(t *testing.T) error {
	switch s.Entry {
	case "list":
		l, err := ParseSignedList(unhex(t, s.Bytes))
		if err != nil {
			return err
		}
		if l.Hash().String() != s.Hash || l.List.Version != s.ListVersion {
			t.Errorf("hash %s version %d", l.Hash(), l.List.Version)
		}
		if !bytes.Equal(reencodeList(t, l), unhex(t, s.Bytes)) {
			t.Error("encoding what was read gives other bytes")
		}
		return nil
	case "certificate":
		l := parseList(t, s.List)
		c, err := ParseCertificate(unhex(t, s.Bytes))
		if err != nil {
			return err
		}
		targets, skipped := Targets(l, []*SignedCertificate{c}, c.Certificate.NotBefore)
		err = c.VerifyIn(l)
		if (err == nil) != (len(targets) == 1) || (err == nil && skipped != 0) {
			t.Errorf("VerifyIn says %v, Targets %d and %d skipped", err, len(targets), skipped)
		}
		if d, ok := l.Find(c.Certificate.Device); ok && c.Certificate.Account == l.List.Account {
			if err2 := c.Verify(d); !errors.Is(err2, err) {
				t.Errorf("VerifyIn says %v, Verify %v", err, err2)
			}
		}
		if err == nil && c.Hash().String() != s.Hash {
			t.Errorf("hash %s", c.Hash())
		}
		return err
	case "follow":
		p := PinOf(parseList(t, s.List))
		var lists []*SignedList
		for _, b := range s.Lists {
			lists = append(lists, parseList(t, b))
		}
		q, err := p.FollowAll(lists)
		if err != nil && q != p {
			t.Error("the pin moved on an error")
		}
		if err == nil && (q.Hash.String() != s.Hash || q.Version != s.ListVersion) {
			t.Errorf("pin %s at %d", q.Hash, q.Version)
		}
		return err
	case "successor":
		a, b := parseCert(t, s.Certs[0]), parseCert(t, s.Certs[1])
		return CheckSuccessor(a, b)
	case "safety-number":
		a, b := party(t, s.Values, "a"), party(t, s.Values, "b")
		for _, got := range []string{SafetyNumber(a, b), SafetyNumber(b, a)} {
			if got != s.Values["number"] {
				t.Errorf("safety number %s", got)
			}
			if same, err := SameSafetyNumber(s.Values["number"], got); !same || err != nil {
				t.Errorf("compares as %v, %v", same, err)
			}
		}
		return nil
	case "next-key":
		k := NextAccountKey([16]byte(unhex(t, s.Values["code"])))
		p := k.Public()
		if hex.EncodeToString(k.Seed()) != s.Values["seed"] || hex.EncodeToString(p[:]) != s.Values["public"] || p.Next().String() != s.Values["next"] {
			t.Error("next key differs")
		}
		return nil
	case "signature":
		var pub [32]byte
		copy(pub[:], unhex(t, s.Values["public"]))
		sig := Signature(unhex(t, s.Values["signature"]))
		errA := AccountPublic(pub).Verify(s.Values["name"], unhex(t, s.Bytes), sig)
		errD := DevicePublic(pub).Verify(s.Values["name"], unhex(t, s.Bytes), sig)
		if !errors.Is(errA, errD) {
			t.Errorf("account key says %v, device key %v", errA, errD)
		}
		return errA
	}
	t.Fatalf("unknown entry %q", s.Entry)
	return nil
}

func TestVectors(t *testing.T) {
	files := must(filepath.Glob(filepath.Join(vectorDir, "*.json")))
	if len(files) == 0 {
		t.Fatal("no vectors")
	}
	seen := map[string]int{}
	for _, f := range files {
		var s scenario
		d := json.NewDecoder(bytes.NewReader(must(os.ReadFile(f))))
		d.DisallowUnknownFields()
		if err := d.Decode(&s); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		seen[s.Entry]++
		t.Run(filepath.Base(f), func(t *testing.T) {
			want, ok := outcomes[s.Outcome]
			if !ok {
				t.Fatalf("unknown outcome %q", s.Outcome)
			}
			if err := s.run(t); !errors.Is(err, want) || (want == nil) != (err == nil) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
	for _, entry := range []string{"list", "certificate", "follow", "successor", "safety-number", "next-key", "signature"} {
		if seen[entry] == 0 {
			t.Errorf("no vector for %s", entry)
		}
	}
}

// TestVectorsAreCurrent makes every vector anew and compares: the files are
// what the generators say, no more and no less.
func TestVectorsAreCurrent(t *testing.T) {
	want := map[string][]byte{}
	for _, s := range scenarios() {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(s); err != nil {
			t.Fatal(err)
		}
		if want[s.Name] != nil {
			t.Fatalf("two vectors are called %s", s.Name)
		}
		want[s.Name] = b.Bytes()
	}
	if *update {
		if err := os.MkdirAll(vectorDir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, f := range must(filepath.Glob(filepath.Join(vectorDir, "*.json"))) {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
		for name, b := range want {
			if err := os.WriteFile(filepath.Join(vectorDir, name+".json"), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	files := must(filepath.Glob(filepath.Join(vectorDir, "*.json")))
	if len(files) != len(want) {
		t.Errorf("%d files, %d generators", len(files), len(want))
	}
	for name, b := range want {
		got, err := os.ReadFile(filepath.Join(vectorDir, name+".json"))
		if err != nil || !bytes.Equal(got, b) {
			t.Errorf("%s.json is not what its generator makes (%v); go test ./identity -run VectorsAreCurrent -update", name, err)
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parseList(t testing.TB, s string) *SignedList {
	t.Helper()
	l, err := ParseSignedList(unhex(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func parseCert(t testing.TB, s string) *SignedCertificate {
	t.Helper()
	c, err := ParseCertificate(unhex(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func party(t testing.TB, v map[string]string, side string) (p Party) {
	t.Helper()
	copy(p.ID[:], unhex(t, v[side+"_id"]))
	copy(p.Key[:], unhex(t, v[side+"_key"]))
	return p
}

// reencodeList writes what was read, with the signatures as they came.
func reencodeList(t testing.TB, l *SignedList) []byte {
	t.Helper()
	var from *AccountPublic
	n := 64
	if l.Rotation() {
		k := l.From()
		from, n = &k, 128
	}
	body, err := encodeList(l.List, from)
	if err != nil {
		t.Fatal(err)
	}
	return append(body, l.Bytes()[len(l.Bytes())-n:]...)
}
