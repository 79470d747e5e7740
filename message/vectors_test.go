package message

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/reseal/reseal/identity"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorDir = "../spec/vectors/message"

// vector is one file: one scenario, and one of the outcomes that spec/message.md,
// section 10, names.
type vector struct {
	Scenario string `json:"scenario"`
	Format   string `json:"format"`
	Hex      string `json:"hex"`
	Outcome  string `json:"outcome"`
	// For receipts.
	Header string `json:"header,omitempty"`
	R      string `json:"r,omitempty"`
	// For ids.
	Inputs map[string]string `json:"inputs,omitempty"`
}

// outcomes are the closed set, each with the error behind it.
var outcomes = map[string]error{
	"ok": nil, "malformed": ErrMalformed, "version": ErrVersion, "party": ErrParty, "receipt": ErrReceipt,
}

// parse runs the bytes of one record through its parser and returns what
// encoding gives back.
func parse(format string, b []byte) ([]byte, error) {
	switch format {
	case "header":
		h, err := ParseHeader(b)
		return h.Encode(), err
	case "wrap":
		w, err := ParseWrap(b)
		if err != nil {
			return nil, err
		}
		return w.Encode(), nil
	case "send":
		s, err := ParseSend(b)
		if err != nil {
			return nil, err
		}
		return s.Encode(), nil
	case "end":
		e, err := ParseEndRecord(b)
		return e.Encode(), err
	case "receipt":
		rc, err := ParseReceipt(b)
		if err != nil {
			return nil, err
		}
		return append(rc.encode(), b[receiptBody:]...), nil
	}
	panic("unknown format " + format)
}

func run(t *testing.T, v vector) ([]byte, error) {
	b := unhex(t, v.Hex)
	switch v.Format {
	case "id":
		day, err := strconv.ParseUint(v.Inputs["day"], 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		id := NewID(uint32(day), identity.AccountID(unhex(t, v.Inputs["sender"])),
			identity.AccountID(unhex(t, v.Inputs["recipient"])), ClientID(unhex(t, v.Inputs["client id"])), Digest(unhex(t, v.Inputs["digest"])))
		return id[:], nil
	case "receipt":
		if v.Header == "" {
			return parse(v.Format, b)
		}
		h, err := ParseHeader(unhex(t, v.Header))
		if err != nil {
			t.Fatal(err)
		}
		rc, err := VerifyReceipt(b, R(unhex(t, v.R)), h)
		if err != nil {
			return nil, err
		}
		return rc.Seal(R(unhex(t, v.R))), nil
	}
	return parse(v.Format, b)
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVectors(t *testing.T) {
	want := generate()
	if *update {
		write(t, want)
	}
	files, err := filepath.Glob(vectorDir + "/*.json")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d vector files, the generator makes %d: run go test ./message -update", len(files), len(want))
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			var v vector
			if b, err := os.ReadFile(file); err != nil || json.Unmarshal(b, &v) != nil {
				t.Fatal("unreadable", err)
			}
			if w := want[name]; w.Hex != v.Hex || w.Outcome != v.Outcome {
				t.Fatal("file is not what the generator makes")
			}
			wantErr, known := outcomes[v.Outcome]
			if !known {
				t.Fatalf("unknown outcome %q", v.Outcome)
			}
			again, err := run(t, v)
			if !errors.Is(err, wantErr) {
				t.Fatalf("%s: got %v, want %v", v.Scenario, err, wantErr)
			}
			if err == nil && !bytes.Equal(again, unhex(t, v.Hex)) {
				t.Fatalf("%s: encoding gives other bytes", v.Scenario)
			}
		})
	}
}

func write(t *testing.T, vs map[string]vector) {
	old, _ := filepath.Glob(vectorDir + "/*.json")
	for _, f := range old {
		os.Remove(f)
	}
	for name, v := range vs {
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(vectorDir, name), append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// generate makes all vectors from fixtures alone: the same bytes every time.
func generate() map[string]vector {
	vs := make(map[string]vector)
	add := func(name, scenario, format, outcome string, b []byte) {
		vs[name+".json"] = vector{Scenario: scenario, Format: format, Hex: hex.EncodeToString(b), Outcome: outcome}
	}
	h := fixtureHeader(Once)
	id := vector{Scenario: "the id of the message in the other vectors", Format: "id", Hex: h.ID.String(), Outcome: "ok",
		Inputs: map[string]string{"day": "20717", "sender": h.Sender.String(), "recipient": h.Recipient.String(),
			"client id": ClientID(fill16("client id")).String(), "digest": h.Digest.String()}}
	vs["id.json"] = id
	generateHeaders(add)
	generateSends(add)
	generateEnds(add)
	for _, k := range []struct {
		name, scenario string
		b              []byte
	}{
		{"header", "header", h.Encode()},
		{"wrap", "wrap (the box holds no secret: encoding only)", fixtureWrap(h.Recipient, "phone", recipientHead).Encode()},
		{"send", "send", fixtureSend().Encode()},
		{"end", "end record", fixtureEnd(StateViewed).Encode()},
		{"receipt", "receipt", fixtureReceipt(Viewed).Seal(fixtureR())},
	} {
		at := 0
		if k.name == "wrap" {
			at = len(contextLabel)
		}
		add(k.name+"-ok", k.scenario, k.name, "ok", k.b)
		add(k.name+"-trailing-byte", k.scenario+" with a byte too many", k.name, "malformed", append(bytes.Clone(k.b), 0))
		add(k.name+"-truncated", k.scenario+" short of its last byte", k.name, "malformed", k.b[:len(k.b)-1])
		add(k.name+"-empty", k.scenario+" of no bytes", k.name, "malformed", nil)
		add(k.name+"-version-0", k.scenario+" of version 0", k.name, "malformed", patched(k.b, at, 0, 0))
		add(k.name+"-version-2", k.scenario+" of version 2, of any size", k.name, "version", append(patched(k.b, at, 0, 2), 1, 2, 3))
	}
	generateReceipts(vs)
	return vs
}

func patched(b []byte, at int, with ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], with)
	return b
}

func generateHeaders(add func(name, scenario, format, outcome string, b []byte)) {
	add("header-blob", "header of a blob, kept", "header", "ok", blobHeader().Encode())
	self := fixtureHeader(Keep)
	self.Recipient = self.Sender
	add("header-to-oneself", "header of a message to the own account", "header", "ok", self.Encode())
	holder := fixtureHeader(Once).WithRewrapper(fill16("recipient"), fill16("tablet"))
	add("header-rewrapper", "header as a holder's wrap authenticates it", "header", "ok", holder.Encode())
	for name, alter := range badHeaders {
		h := blobHeader()
		alter(&h)
		add("header-bad-"+name, "header: "+name, "header", "malformed", h.Encode())
	}
}

// badHeaders are one-field faults, each of which a reader must refuse.
var badHeaders = map[string]func(*Header){
	"other-day":               func(h *Header) { h.ID[3]++ },
	"kind-0":                  func(h *Header) { h.Kind = 0 },
	"kind-unknown":            func(h *Header) { h.Kind = 2 },
	"no-sender":               func(h *Header) { h.Sender = identity.AccountID{} },
	"no-recipient":            func(h *Header) { h.Recipient = identity.AccountID{} },
	"no-sender-device":        func(h *Header) { h.SenderDevice = identity.DeviceID{} },
	"created-0":               func(h *Header) { h.Created, h.ID = 0, ID{}; h.Expires = 1 },
	"created-after-year-9999": func(h *Header) { h.Created = maxTime + 1; h.Expires = h.Created + 1 },
	"expires-at-creation":     func(h *Header) { h.Expires = h.Created },
	"expires-before-creation": func(h *Header) { h.Expires = h.Created - 1 },
	"life-over-30-days":       func(h *Header) { h.Expires = h.Created.Add(MaxLife) + 1 },
	"policy-0":                func(h *Header) { h.Policy = 0 },
	"policy-unknown":          func(h *Header) { h.Policy = 3 },
	"suite-0":                 func(h *Header) { h.Suite = 0 },
	"suite-unknown":           func(h *Header) { h.Suite = 2 },
	"length-0":                func(h *Header) { h.Length = 0 },
	"length-over-64-gib":      func(h *Header) { h.Length = MaxCiphertext + 1 },
	"inline-over-16-kib":      func(h *Header) { h.Blob, h.Length = BlobID{}, MaxInline+1 },
	"rewrapper-half":          func(h *Header) { h.RewrapperAccount = h.Recipient },
	"rewrapper-half-device":   func(h *Header) { h.Rewrapper = fill16("tablet") },
	"rewrapper-is-sender-device": func(h *Header) {
		h.RewrapperAccount, h.Rewrapper = h.Sender, h.SenderDevice
	},
	"rewrapper-stranger": func(h *Header) { h.RewrapperAccount, h.Rewrapper = fill16("stranger"), fill16("tablet") },
}

func generateSends(add func(name, scenario, format, outcome string, b []byte)) {
	add("send-blob", "send of a blob", "send", "ok", blobSend().Encode())
	bare := fixtureSend()
	bare.Wraps, bare.Copies = nil, nil
	add("send-without-wraps", "send to an account that no device can be wrapped for", "send", "ok", bare.Encode())
	add("send-to-oneself", "send to the own account: its other devices are the recipients", "send", "ok", selfSend().Encode())
	for name, bad := range badSends {
		s := fixtureSend()
		if bad.blob {
			s = blobSend()
		}
		bad.alter(s)
		outcome := "malformed"
		if bad.party {
			outcome = "party"
		}
		add("send-bad-"+name, "send: "+name, "send", outcome, s.Encode())
	}
}

var badSends = map[string]struct {
	alter       func(*Send)
	blob, party bool
}{
	"other-client-id":          {alter: func(s *Send) { s.ClientID[0] ^= 1 }},
	"other-digest":             {alter: func(s *Send) { s.Header.Digest[0] ^= 1 }},
	"rewrapper":                {alter: func(s *Send) { s.Header = s.Header.WithRewrapper(s.Header.Sender, fill16("laptop")) }},
	"inline-short":             {alter: func(s *Send) { s.Inline = s.Inline[1:] }},
	"inline-absent":            {alter: func(s *Send) { s.Inline = nil }},
	"no-segments":              {alter: func(s *Send) { s.Segments = nil }},
	"segments-long":            {alter: func(s *Send) { s.Segments = make([]byte, MaxInlineSegments+1) }},
	"capability-beside-inline": {alter: func(s *Send) { s.Capability = fill32("capability") }},
	"blob-without-capability":  {blob: true, alter: func(s *Send) { s.Capability = Capability{} }},
	"inline-beside-blob":       {blob: true, alter: func(s *Send) { s.Inline = []byte{1} }},
	"segments-beside-blob":     {blob: true, alter: func(s *Send) { s.Segments = []byte{1} }},
	"wraps-unsorted":           {alter: func(s *Send) { s.Wraps[0], s.Wraps[1] = s.Wraps[1], s.Wraps[0] }},
	"wraps-twice":              {alter: func(s *Send) { s.Wraps[1] = s.Wraps[0] }},
	"wraps-too-many": {alter: func(s *Send) {
		for i := range MaxWraps - 1 {
			s.Wraps = append(s.Wraps, fixtureWrap(s.Header.Recipient, string(rune('a'+i)), recipientHead))
		}
		sortWraps(s.Wraps)
	}},
	"wrap-of-own-list-outdated": {alter: func(s *Send) { s.Wraps[0].Context.From.ListVersion-- }},
	"wrap-for-other-list":       {alter: func(s *Send) { s.Wraps[0].Context.To.ListHash[0] ^= 1 }},
	"wrap-at-0":                 {alter: func(s *Send) { s.Wraps[0].Context.From.At = 0 }},
	"wrap-by-other-device":      {party: true, alter: func(s *Send) { s.Wraps[0].Context.From.Device[0] ^= 1 }},
	"wrap-by-recipient":         {party: true, alter: func(s *Send) { s.Wraps[0].Context.From.Account = s.Header.Recipient }},
	"wrap-for-stranger":         {party: true, alter: func(s *Send) { s.Wraps[0].Context.To.Account = fill16("stranger") }},
	"copy-among-wraps":          {party: true, alter: func(s *Send) { s.Wraps = s.Copies }},
	"to-oneself-with-copies": {alter: func(s *Send) {
		*s = *selfSend()
		s.Copies = s.Wraps
	}},
	"to-oneself-two-lists": {alter: func(s *Send) {
		*s = *selfSend()
		s.Recipient.Version++
		s.Wraps = nil
	}},
	"to-oneself-on-the-sender-device": {party: true, alter: func(s *Send) {
		*s = *selfSend()
		s.Wraps[0].Context.To.Device, s.Wraps[0].Context.From.Device = s.Header.SenderDevice, fill16("laptop")
	}},
	"copy-for-recipient": {party: true, alter: func(s *Send) { s.Copies = s.Wraps[:1] }},
}

func generateEnds(add func(name, scenario, format, outcome string, b []byte)) {
	add("end-expired", "expired: no receipt", "end", "ok", fixtureEnd(StateExpired).Encode())
	add("end-unsent", "unsent", "end", "ok", fixtureEnd(StateUnsent).Encode())
	for name, alter := range map[string]func(*EndRecord){
		"state-0":              func(e *EndRecord) { e.State = 0 },
		"state-unknown":        func(e *EndRecord) { e.State = 4 },
		"no-sender":            func(e *EndRecord) { e.Sender = identity.AccountID{} },
		"time-0":               func(e *EndRecord) { e.Time = 0 },
		"no-receipt":           func(e *EndRecord) { e.Receipt = nil },
		"short-receipt":        func(e *EndRecord) { e.Receipt = e.Receipt[:ReceiptSize-1] },
		"expired-with-receipt": func(e *EndRecord) { e.State = StateExpired },
		"receipt-of-unsend":    func(e *EndRecord) { e.Receipt = fixtureReceipt(Unsent).Seal(fixtureR()) },
		"receipt-received":     func(e *EndRecord) { e.Receipt = fixtureReceipt(Received).Seal(fixtureR()) },
		"receipt-of-other-message": func(e *EndRecord) {
			rc := fixtureReceipt(Viewed)
			rc.Message[31] ^= 1
			e.Receipt = rc.Seal(fixtureR())
		},
	} {
		e := fixtureEnd(StateViewed)
		alter(&e)
		add("end-bad-"+name, "end record: "+name, "end", "malformed", e.Encode())
	}
}

func generateReceipts(vs map[string]vector) {
	once, keep := fixtureHeader(Once), fixtureHeader(Keep)
	add := func(name, scenario, outcome string, h Header, r R, b []byte) {
		vs["receipt-"+name+".json"] = vector{Scenario: scenario, Format: "receipt", Outcome: outcome,
			Hex: hex.EncodeToString(b), Header: hex.EncodeToString(h.Encode()), R: hex.EncodeToString(r[:])}
	}
	r := fixtureR()
	add("received-verified", "received, once", "ok", once, r, fixtureReceipt(Received).Seal(r))
	add("viewed-verified", "viewed, once", "ok", once, r, fixtureReceipt(Viewed).Seal(r))
	add("seen-verified", "seen, keep", "ok", keep, r, fixtureReceipt(Seen).Seal(r))
	add("unsent-verified", "unsent by the sender", "ok", once, r, fixtureReceipt(Unsent).Seal(r))
	add("viewed-of-kept", "viewed does not end a kept message", "receipt", keep, r, fixtureReceipt(Viewed).Seal(r))
	add("seen-of-once", "seen is not for once", "receipt", once, r, fixtureReceipt(Seen).Seal(r))
	add("other-r", "made with the R of another recipient of the same content", "receipt", once, R(fill32("other R")),
		fixtureReceipt(Viewed).Seal(r))
	unsent := fixtureReceipt(Unsent)
	unsent.Account = once.Recipient
	add("unsent-by-recipient", "only the sender unsends", "receipt", once, r, unsent.Seal(r))
	viewed := fixtureReceipt(Viewed)
	viewed.Account = once.Sender
	add("viewed-by-sender", "only the recipient views", "receipt", once, r, viewed.Seal(r))
	other := fixtureReceipt(Viewed)
	other.Time = other.Time.Add(time.Second)
	body := append(other.encode(), fixtureReceipt(Viewed).Seal(r)[receiptBody:]...)
	add("altered", "the time altered, the MAC kept", "receipt", once, r, body)
}
