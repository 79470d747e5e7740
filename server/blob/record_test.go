package blob

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

var update = flag.Bool("update", false, "write the vectors anew")

// vector is one stored record: its encoding, and whether it is refused.
type vector struct {
	About  string `json:"about"`
	Record string `json:"record"` // st, up, own, due, due-low
	Key    string `json:"key"`    // of due, after its prefix; else empty
	Value  string `json:"value"`
	Refuse bool   `json:"refuse"`
}

const vectorDir = "../../spec/vectors/blob"

func fill[T ~[16]byte | ~[32]byte](first byte) (v T) {
	for i := range len(v) {
		switch p := any(&v).(type) {
		case *Object:
			p[i] = first + byte(i)
		case *identity.AccountID:
			p[i] = first + byte(i)
		case *message.BlobID:
			p[i] = first + byte(i)
		case *CapabilityHash:
			p[i] = first + byte(i)
		case *[16]byte:
			p[i] = first + byte(i)
		}
	}
	return v
}

func generate() []vector {
	st := state{Phase: live, Object: fill[Object](1), Account: fill[identity.AccountID](33), Length: 5 << 20,
		Segments: 300, Capability: fill[CapabilityHash](65), Completed: 1777888999000}
	up := upload{Length: message.MaxCiphertext, Segments: 1, Capability: fill[CapabilityHash](1), Created: 1777888999000}
	d := due{Blob: fill[message.BlobID](1), Reason: dueUpload, Nonce: fill[[16]byte](99), At: 1777888999000,
		Account: fill[identity.AccountID](33), Object: fill[Object](77)}
	doom := st
	doom.Phase = doomed
	x := hex.EncodeToString
	good := []vector{
		{"a live blob", "st", "", x(st.encode()), false},
		{"a doomed blob", "st", "", x(doom.encode()), false},
		{"the longest upload", "up", "", x(up.encode()), false},
		{"an upload that is due", "due", x([]byte(d.key()[len(preDue):])), x(d.encode()), false},
		{"bytes that an account takes", "own", "", x(ownValue(5<<20 + 300)), false},
		{"the janitor's mark", "due-low", "", x(low(493858).encode()), false},
	}
	out := good
	alter := func(base int, about string, change func(b []byte) []byte) {
		v := good[base]
		b, _ := hex.DecodeString(v.Value)
		v.About, v.Value, v.Refuse = about, x(change(b)), true
		out = append(out, v)
	}
	for i, v := range good {
		alter(i, v.Record+tail(i)+": a byte too many", func(b []byte) []byte { return append(b, 0) })
		alter(i, v.Record+tail(i)+": a byte too few", func(b []byte) []byte { return b[:len(b)-1] })
		alter(i, v.Record+tail(i)+": another version", func(b []byte) []byte { b[0] = 2; return b })
		alter(i, v.Record+tail(i)+": empty", func([]byte) []byte { return nil })
	}
	alter(0, "st: phase 0", func(b []byte) []byte { b[1] = 0; return b })
	alter(0, "st: phase 4", func(b []byte) []byte { b[1] = 4; return b })
	alter(0, "st: length 0", func(b []byte) []byte { clear(b[34:42]); return b })
	alter(2, "up: length above the limit", func(b []byte) []byte { b[8]++; return b })
	alter(2, "up: no segment list", func(b []byte) []byte { clear(b[9:13]); return b })
	alter(4, "own: more than a blob takes", func(b []byte) []byte { b[1] = 1; return b })
	return out
}

// tail tells the two good states of a blob apart.
func tail(i int) string { return []string{", live", ", doomed", "", "", "", ""}[i] }

// reencode parses a record and encodes it again.
func reencode(record string, key, value []byte) (k, v []byte, err error) {
	switch record {
	case "st":
		s, err := parseState(value)
		return nil, s.encode(), err
	case "up":
		u, err := parseUpload(value)
		return nil, u.encode(), err
	case "own":
		size, err := parseOwn(value)
		return nil, ownValue(size), err
	case "due":
		d, err := parseDue(key, value)
		return []byte(d.key()[len(preDue):]), d.encode(), err
	}
	l, err := parseLow(value)
	return nil, l.encode(), err
}

// name is the file of a vector.
func (v vector) name() string {
	return strings.Trim(regexp.MustCompile("[^a-z0-9]+").ReplaceAllString(v.About, "-"), "-") + ".json"
}

// TestVectorsAreCurrent holds the vectors to their generator. With -update it
// writes them.
func TestVectorsAreCurrent(t *testing.T) {
	names := map[string]bool{}
	for _, v := range generate() {
		if names[v.name()] {
			t.Fatalf("two vectors are called %s", v.name())
		}
		names[v.name()] = true
		want, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		want, path := append(want, '\n'), filepath.Join(vectorDir, v.name())
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: the generator makes another (%v); if the format changed on purpose: go test -run Vectors -update", v.name(), err)
		}
	}
	all, err := os.ReadDir(vectorDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if !names[e.Name()] {
			t.Errorf("%s has no generator", e.Name())
		}
	}
}

// TestVectors reads each vector as a server does.
func TestVectors(t *testing.T) {
	all, err := filepath.Glob(filepath.Join(vectorDir, "*.json"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var v vector
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		key, _ := hex.DecodeString(v.Key)
		value, _ := hex.DecodeString(v.Value)
		k, b, err := reencode(v.Record, key, value)
		if (err != nil) != v.Refuse {
			t.Errorf("%s: %v", v.About, err)
		}
		if err == nil && (!bytes.Equal(b, value) || !bytes.Equal(k, key)) {
			t.Errorf("%s: encodes as %x", v.About, b)
		}
	}
}

func FuzzRecords(f *testing.F) {
	for _, v := range generate() {
		key, _ := hex.DecodeString(v.Key)
		value, _ := hex.DecodeString(v.Value)
		f.Add(v.Record, key, value)
	}
	f.Fuzz(func(t *testing.T, record string, key, value []byte) {
		k, v, err := reencode(record, key, value)
		if err == nil && (!bytes.Equal(v, value) || record == "due" && !bytes.Equal(k, key)) {
			t.Fatalf("%s %x %x encodes as %x %x", record, key, value, k, v)
		}
	})
}

func FuzzRange(f *testing.F) {
	for _, v := range []string{"bytes=0-0", "bytes=5-", "bytes=-5", "bytes=9-5", "bytes=0-1,2-3", "bytes=-", "x"} {
		f.Add(v, int64(100))
	}
	f.Fuzz(func(t *testing.T, v string, length int64) {
		if length < 1 {
			return
		}
		if s, ok := parseRange(v, length); ok && (s.start < 0 || s.start >= s.end || s.end > length) {
			t.Fatalf("%q of %d: %+v", v, length, s)
		}
	})
}
