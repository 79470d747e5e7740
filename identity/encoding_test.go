package identity

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const encodingDir = "../spec/vectors/encoding"

// encodingVector is one file of spec/vectors/encoding: text and bytes of an id,
// a time and its day, or what a signature covers.
type encodingVector struct {
	name    string
	Comment string `json:"comment"`
	Entry   string `json:"entry"`   // id, time, signed-input
	Outcome string `json:"outcome"` // ok, malformed
	Text    string `json:"text,omitempty"`
	Record  string `json:"record,omitempty"`
	Body    string `json:"body,omitempty"`
	Bytes   string `json:"bytes,omitempty"`
	Day     uint32 `json:"day,omitempty"`
}

func encodingVectors() (all []encodingVector) {
	id := func(name, outcome, comment, text string) {
		v := encodingVector{name: "id-" + name, Comment: comment, Entry: "id", Outcome: outcome, Text: text}
		if outcome == "ok" {
			v.Bytes = text
		}
		all = append(all, v)
	}
	const digits = "000102030405060708090a0b0c0d0e0f"
	id("counting", "ok", "32 lower-case digits", digits)
	id("none", "ok", "all zero reads, and means none: a record that needs an id refuses it", strings.Repeat("0", 32))
	id("highest", "ok", "every bit set", strings.Repeat("f", 32))
	id("upper-case", "malformed", "one upper-case digit: ids have one text", strings.Replace(digits, "0a", "0A", 1))
	id("short", "malformed", "a digit is missing", digits[1:])
	id("odd", "malformed", "a digit too many", digits+"0")
	id("long", "malformed", "a byte too many", digits+"10")
	id("empty", "malformed", "nothing", "")
	id("no-digit", "malformed", "a letter that is no digit", "g"+digits[1:])
	id("dashes", "malformed", "written as a UUID", "00010203-0405-0607-0809-0a0b0c0d0e0f")
	id("space", "malformed", "a space after it", digits+" ")
	id("prefix", "malformed", "0x before it", "0x"+digits)

	at := func(name, outcome, comment string, t uint64) {
		v := encodingVector{name: "time-" + name, Comment: comment, Entry: "time", Outcome: outcome, Bytes: hex.EncodeToString(binary.BigEndian.AppendUint64(nil, t))}
		if outcome == "ok" {
			v.Day = Time(t).Day()
		}
		all = append(all, v)
	}
	at("zero", "ok", "1970-01-01", 0)
	at("end-of-day", "ok", "the last millisecond of day 0", 86_399_999)
	at("next-day", "ok", "the first millisecond of day 1", 86_400_000)
	at("today", "ok", "2026-11-23T12:00:00Z", 1_795_435_200_000)
	at("latest", "ok", "9999-12-31T23:59:59.999Z", uint64(MaxTime))
	at("year-10000", "malformed", "a millisecond too late", uint64(MaxTime)+1)
	at("highest", "malformed", "every bit set: as a signed number it would be before 1970", 1<<64-1)

	input := func(name, comment, record string, body []byte) {
		all = append(all, encodingVector{name: "signed-input-" + name, Comment: comment, Entry: "signed-input", Outcome: "ok", Record: record,
			Body: hex.EncodeToString(body), Bytes: hex.EncodeToString([]byte("reseal/1 " + record + "\x00" + string(body)))})
	}
	input("empty", "an empty body", "session", nil)
	input("list", "the name ends at the first zero byte", "device list", []byte{0, 1, 2})
	input("succession", "a name that begins with another: the zero byte tells them apart", "device list succession", []byte{0, 1, 2})
	return all
}

// run takes the vector through every entry point of such bytes. A record is
// refused for a time by its parser: that of the device list stands for all.
func (v encodingVector) run(t *testing.T) (ok bool) {
	switch v.Entry {
	case "id":
		a, errA := ParseAccountID(v.Text)
		d, errD := ParseDeviceID(v.Text)
		if (errA == nil) != (errD == nil) {
			t.Errorf("account id says %v, device id %v", errA, errD)
		}
		if errA == nil && (hex.EncodeToString(a[:]) != v.Bytes || a.String() != v.Text || d.String() != v.Text || a.IsZero() != (strings.Trim(v.Text, "0") == "")) {
			t.Errorf("reads as %v and %v", a, d)
		}
		return errA == nil
	case "time":
		at := Time(binary.BigEndian.Uint64(unhex(t, v.Bytes)))
		first := must(SignList(firstList(1), aliceKey(0)))
		body := bytes.Clone(first.Bytes()[:len(first.Bytes())-64])
		l, err := ParseSignedList(resign(patch(body, atIssued, unhex(t, v.Bytes)...), aliceKey(0)))
		if err != nil {
			return false
		}
		if l.List.IssuedAt != at || at.Day() != v.Day || TimeOf(at.Time()) != at {
			t.Errorf("reads as %d, day %d", l.List.IssuedAt, at.Day())
		}
		return true
	case "signed-input":
		body := unhex(t, v.Body)
		if got := SignedInput(v.Record, body); hex.EncodeToString(got) != v.Bytes {
			t.Errorf("covers %x", got)
		}
		k := aliceKey(0)
		sig := k.Sign(v.Record, body)
		return verifyInput(k.Public(), unhex(t, v.Bytes), sig) == nil && k.Public().Verify(v.Record, body, sig) == nil &&
			k.Public().Verify(v.Record+" ", body, sig) != nil
	}
	t.Fatalf("unknown entry %q", v.Entry)
	return false
}

// TestEncodingVectors runs the files, and holds them to their generator; with
// -update it writes them.
func TestEncodingVectors(t *testing.T) {
	want := map[string]bool{}
	for _, v := range encodingVectors() {
		b := append(must(json.MarshalIndent(v, "", "  ")), '\n')
		path := filepath.Join(encodingDir, v.name+".json")
		want[path] = true
		if *update {
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%s: the generator makes another (%v); if the format changed on purpose: go test -run Vectors -update", v.name, err)
		}
	}
	for _, path := range must(filepath.Glob(filepath.Join(encodingDir, "*"))) {
		if !want[path] {
			t.Errorf("%s has no generator", path)
		}
		var v encodingVector
		if err := json.Unmarshal(must(os.ReadFile(path)), &v); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if ok := v.run(t); ok != (v.Outcome == "ok") || v.Outcome != "ok" && v.Outcome != "malformed" {
			t.Errorf("%s: accepted: %v, want %s", path, ok, v.Outcome)
		}
	}
}
