package identity

import (
	"bytes"
	"testing"
)

func FuzzParseSignedList(f *testing.F) {
	for _, s := range listScenarios() {
		f.Add(unhex(f, s.Bytes))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// The part below the signatures, which mutations seldom keep.
		if l, from, rest, err := decodeList(b); err == nil {
			body, err := encodeList(l, from)
			if err != nil || !bytes.Equal(body, b[:len(b)-len(rest)]) {
				t.Fatalf("encodes differently: %v", err)
			}
		}
		l, err := ParseSignedList(b)
		if err != nil {
			return
		}
		if !bytes.Equal(l.Bytes(), b) || !bytes.Equal(reencodeList(t, l), b) {
			t.Fatal("encodes differently")
		}
		if q, err := PinOf(l).Follow(l); err != nil || q != PinOf(l) {
			t.Fatal("does not follow itself")
		}
	})
}

func FuzzParseCertificate(f *testing.F) {
	for _, s := range certificateScenarios() {
		f.Add(unhex(f, s.Bytes))
	}
	list := must(SignList(firstList(2), aliceKey(0)))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCertificate(b)
		if err != nil {
			return
		}
		body, err := c.Certificate.encode()
		if err != nil || !bytes.Equal(append(body, b[certificateBody:]...), b) || !bytes.Equal(c.Bytes(), b) {
			t.Fatalf("encodes differently: %v", err)
		}
		if err := c.VerifyIn(list); err == nil && NeedsNewEpoch(c.Certificate, c.Certificate.NotBefore) {
			t.Fatal("verifies, and is too old when it begins")
		}
	})
}

func FuzzParseSafetyNumber(f *testing.F) {
	f.Add("12345 67890")
	f.Add(SafetyNumber(Party{}, Party{ID: account("alice")}))
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseSafetyNumber(s)
		if err != nil {
			return
		}
		if again, err := ParseSafetyNumber(n); err != nil || again != n {
			t.Fatalf("%q reads back as %q, %v", n, again, err)
		}
	})
}
