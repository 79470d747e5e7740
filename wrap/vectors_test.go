package wrap

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// Wraps cannot be reproduced, because crypto/hpke takes no source of randomness:
// -update makes new ones, the test opens the committed ones.
var update = flag.Bool("update", false, "make the wraps of the vectors anew and write all files")

// peerFiles are written by peer.mjs, an implementation that shares no code with
// this one.
const peerFiles = 2

const vectorDir = "../spec/vectors/wrap"

// vector is one file, as spec/wrap.md, section 8, describes: a whole case, or a
// base and one change to it.
type vector struct {
	Scenario string `json:"scenario"`
	Outcome  string `json:"outcome"`

	EpochSeed string `json:"epoch_seed,omitempty"`
	AuthSeed  string `json:"auth_seed,omitempty"`
	FromAuth  string `json:"from_auth,omitempty"`
	Header    string `json:"header,omitempty"`
	Wrap      string `json:"wrap,omitempty"`
	CEK       string `json:"cek,omitempty"`
	R         string `json:"r,omitempty"`
	Digest    string `json:"digest,omitempty"`

	Base     string `json:"base,omitempty"`
	Part     string `json:"part,omitempty"`
	Offset   int    `json:"offset,omitempty"`
	Xor      string `json:"xor,omitempty"`
	Append   string `json:"append,omitempty"`
	Truncate int    `json:"truncate,omitempty"`
	Replace  string `json:"replace,omitempty"`
}

var outcomes = map[string]error{
	"ok": nil, "open": ErrOpen, "malformed": message.ErrMalformed, "version": message.ErrVersion,
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// changed is base with the one change that v describes.
func changed(t *testing.T, base, v vector) vector {
	part, ok := map[string]*string{
		"wrap": &base.Wrap, "header": &base.Header, "epoch seed": &base.EpochSeed, "auth seed": &base.AuthSeed,
		"from auth": &base.FromAuth,
	}[v.Part]
	if !ok {
		t.Fatalf("unknown part %q", v.Part)
	}
	b := unhex(t, *part)
	for i, x := range unhex(t, v.Xor) {
		b[v.Offset+i] ^= x
	}
	b = append(b, unhex(t, v.Append)...)
	if v.Truncate > 0 {
		b = b[:v.Truncate]
	}
	if v.Replace != "" {
		b = unhex(t, v.Replace)
	}
	if *part == hex.EncodeToString(b) {
		t.Fatal("a change that changes nothing")
	}
	*part = hex.EncodeToString(b)
	return base
}

// open runs a case through parsers and every way to open.
func open(t *testing.T, v vector) (Secret, error) {
	h, err := message.ParseHeader(unhex(t, v.Header))
	if err != nil {
		return Secret{}, err
	}
	w, err := message.ParseWrap(unhex(t, v.Wrap))
	if err != nil {
		return Secret{}, err
	}
	epoch, err := identity.EpochKeyFromSeed(unhex(t, v.EpochSeed))
	if err != nil {
		t.Fatal(err)
	}
	auth, err := identity.EpochAuthKeyFromSeed(unhex(t, v.AuthSeed))
	if err != nil {
		t.Fatal(err)
	}
	from := identity.EpochAuthPublic(unhex(t, v.FromAuth))
	s, err := Open(*w, epoch, auth, from, h)
	again, againErr := NewSealer(auth, 1).Open(*w, epoch, from, h)
	if s != again || err != againErr {
		t.Fatal("Sealer.Open differs from Open:", err, againErr)
	}
	if err != nil && s != (Secret{}) {
		t.Fatal("part of a secret with an error")
	}
	return s, err
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	generated := changes(t)
	for name, want := range generated {
		if got := readVector(t, name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is not what the generator makes", name)
		}
	}
	files, err := filepath.Glob(vectorDir + "/*.json")
	if err != nil || len(files) != len(generated)+len(wholes(t))+peerFiles {
		t.Fatal(len(files), "vector files; run go test ./wrap -update", err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			v := readVector(t, name)
			want, known := outcomes[v.Outcome]
			if !known {
				t.Fatalf("unknown outcome %q", v.Outcome)
			}
			whole := v
			if v.Base != "" {
				whole = changed(t, readVector(t, v.Base), v)
			}
			s, err := open(t, whole)
			if !errors.Is(err, want) {
				t.Fatalf("%s: got %v, want %v", v.Scenario, err, want)
			}
			if err == nil && (hex.EncodeToString(s.CEK[:]) != v.CEK || hex.EncodeToString(s.R[:]) != v.R || s.Digest.String() != v.Digest) {
				t.Fatalf("%s: opens to something else", v.Scenario)
			}
		})
	}
}

func readVector(t *testing.T, name string) (v vector) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir, name))
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func writeVectors(t *testing.T) {
	all := wholes(t)
	for name, v := range changes(t) {
		all[name] = v
	}
	for name, v := range all {
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(vectorDir, name), append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// wholes are the cases that need a wrap of their own.
func wholes(t *testing.T) map[string]vector {
	phone, bob, tablet, laptop := newDevice(t, "alice", "phone"), newDevice(t, "bob", "phone"), newDevice(t, "bob", "tablet"), newDevice(t, "alice", "laptop")
	s := newSecret()
	h := newHeader(phone, bob.account, s.Digest)
	whole := func(scenario, outcome string, from, to device, w message.Wrap) vector {
		public, seed := w.Context.From.Auth, to.epoch.Seed()
		return vector{
			Scenario: scenario, Outcome: outcome, EpochSeed: hex.EncodeToString(seed), AuthSeed: hex.EncodeToString(to.auth.Seed()),
			FromAuth: hex.EncodeToString(public[:]), Header: hex.EncodeToString(h.Encode()), Wrap: hex.EncodeToString(w.Encode()),
			CEK: hex.EncodeToString(s.CEK[:]), R: hex.EncodeToString(s.R[:]), Digest: s.Digest.String(),
		}
	}
	low := wrapContext(phone, bob)
	low.From.Auth = identity.EpochAuthPublic{}
	lowWrap, err := sealWith(low, bob.epoch.Public(), new([32]byte), h, s)
	if err != nil {
		t.Fatal(err)
	}
	z, err := phone.auth.DH(bob.auth.Public())
	if err != nil {
		t.Fatal(err)
	}
	other := s
	other.Digest[31] ^= 1
	otherWrap, err := sealWith(wrapContext(phone, bob), bob.epoch.Public(), &z, h, other)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]vector{
		"good-sender.json":       whole("the sending device wraps for a recipient's device", "ok", phone, bob, mustSeal(t, phone, bob, h, s)),
		"good-copy.json":         whole("the sending device wraps for another of its account", "ok", phone, laptop, mustSeal(t, phone, laptop, h, s)),
		"good-holder-own.json":   whole("the recipient's tablet answers its phone", "ok", tablet, bob, mustSeal(t, tablet, bob, h, s)),
		"good-holder-other.json": whole("the sender's laptop answers", "ok", laptop, bob, mustSeal(t, laptop, bob, h, s)),
		"bad-low-order-xa.json":  whole("XA of the wrapping device is zero and z was taken as zero", "open", phone, bob, lowWrap),
		"bad-digest-inside.json": whole("the box authenticates, and carries another digest than the header", "open", phone, bob, otherWrap),
	}
}

// field is the last byte of one field of a record.
type field struct {
	name    string
	last    int
	xor     string
	outcome string
}

var wrapFields = []field{
	{"label", 20, "01", "malformed"}, {"version", 22, "03", "version"}, {"version-0", 22, "01", "malformed"},
	{"from-account", 38, "01", "open"}, {"from-account-key", 70, "01", "open"}, {"from-device", 86, "01", "open"},
	{"from-device-key", 118, "01", "open"}, {"from-auth", 150, "01", "open"}, {"from-epoch", 158, "01", "open"},
	{"from-cert", 190, "01", "open"}, {"from-list-version", 198, "01", "open"}, {"from-list-hash", 230, "01", "open"},
	{"wrapped-at", 238, "01", "open"},
	{"to-account", 254, "01", "open"}, {"to-account-key", 286, "01", "open"}, {"to-device", 302, "01", "open"},
	{"to-device-key", 334, "01", "open"}, {"to-epoch", 342, "01", "open"}, {"to-cert", 374, "01", "open"},
	{"to-list-version", 382, "01", "open"}, {"to-list-hash", 414, "01", "open"},
	{"enc-mlkem", 415, "01", "open"}, {"enc-mlkem-last", 415 + 1087, "80", "open"}, {"enc-x25519", 415 + 1088, "01", "open"}, {"enc-x25519-unused-bit", 415 + 1119, "80", "open"},
	{"box-first", 1535, "01", "open"}, {"box-digest", 1535 + 95, "01", "open"}, {"box-tag", 1646, "01", "open"},
}

var headerFields = []field{
	{"version", 1, "03", "version"}, {"day", 5, "01", "malformed"}, {"id", 33, "01", "open"}, {"kind", 34, "01", "malformed"},
	{"sender", 50, "01", "open"}, {"recipient", 66, "01", "open"}, {"sender-device", 82, "01", "open"},
	{"created", 90, "01", "open"}, {"expires", 98, "01", "open"}, {"policy", 99, "03", "open"}, {"suite", 101, "01", "malformed"},
	{"blob", 133, "01", "open"}, {"length", 141, "01", "open"}, {"digest", 173, "01", "open"},
	{"rewrapper-half", 189, "01", "malformed"},
}

// changes are the cases to refuse that a change to a good one makes.
func changes(t *testing.T) map[string]vector {
	const base = "good-sender.json"
	vs := make(map[string]vector)
	add := func(name string, v vector) {
		v.Base = base
		vs["bad-"+name+".json"] = v
	}
	for _, f := range wrapFields {
		add("wrap-"+f.name, vector{Scenario: "wrap altered: " + f.name, Part: "wrap", Offset: f.last, Xor: f.xor, Outcome: f.outcome})
	}
	for _, f := range headerFields {
		add("header-"+f.name, vector{Scenario: "header altered: " + f.name, Part: "header", Offset: f.last, Xor: f.xor, Outcome: f.outcome})
	}
	phone, bob, tablet := newDevice(t, "alice", "phone"), newDevice(t, "bob", "phone"), newDevice(t, "bob", "tablet")
	h := newHeader(phone, bob.account, newSecret().Digest)
	held := h.WithRewrapper(tablet.account, tablet.id)
	other := tablet.auth.Public()
	add("header-rewrapper", vector{Scenario: "the header names a rewrapper, the wrap is by the sender", Part: "header",
		Replace: hex.EncodeToString(held.Encode()), Outcome: "open"})
	add("trailing-byte", vector{Scenario: "a byte too many", Part: "wrap", Append: "00", Outcome: "malformed"})
	add("truncated", vector{Scenario: "a byte short", Part: "wrap", Truncate: message.WrapSize - 1, Outcome: "malformed"})
	add("context-only", vector{Scenario: "nothing behind the context", Part: "wrap", Truncate: message.ContextSize, Outcome: "malformed"})
	add("epoch-key", vector{Scenario: "another epoch key of the recipient", Part: "epoch seed", Xor: "01", Outcome: "open"})
	add("auth-key", vector{Scenario: "another epoch auth key of the recipient", Part: "auth seed", Offset: 1, Xor: "01", Outcome: "open"})
	add("from-auth", vector{Scenario: "the certificate has another XA than the wrap", Part: "from auth",
		Replace: hex.EncodeToString(other[:]), Outcome: "open"})
	add("from-auth-zero", vector{Scenario: "the certificate's XA is of low order", Part: "from auth",
		Replace: hex.EncodeToString(make([]byte, 32)), Outcome: "open"})
	return vs
}

// FuzzOpen: whatever bytes come as a wrap, only the committed one opens.
func FuzzOpen(f *testing.F) {
	b, err := os.ReadFile(filepath.Join(vectorDir, "good-sender.json"))
	var v vector
	if err != nil || json.Unmarshal(b, &v) != nil {
		f.Fatal(err)
	}
	good, err := hex.DecodeString(v.Wrap)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, fl := range wrapFields {
		bad := append([]byte(nil), good...)
		bad[fl.last] ^= 1
		f.Add(bad)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := v
		c.Wrap = hex.EncodeToString(b)
		if _, err := open(t, c); err == nil && c.Wrap != v.Wrap {
			t.Fatal("an altered wrap opens")
		}
	})
}
