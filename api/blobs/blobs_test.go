package blobs_test

import (
	"crypto/sha256"
	"testing"

	"github.com/reseal/reseal/api/blobs"
	"github.com/reseal/reseal/message"
)

func TestParts(t *testing.T) {
	const p = blobs.PartSize
	for _, tt := range []struct {
		length uint64
		parts  int
		last   int64
	}{{1, 1, 1}, {p - 1, 1, p - 1}, {p, 1, p}, {p + 1, 2, 1}, {message.MaxCiphertext, blobs.MaxParts, p}} {
		n := blobs.Parts(tt.length)
		if n != tt.parts || blobs.PartLength(tt.length, n-1) != tt.last || blobs.PartLength(tt.length, n) != 0 || blobs.PartLength(tt.length, -1) != 0 {
			t.Errorf("%d: %d parts, last %d", tt.length, n, blobs.PartLength(tt.length, n-1))
		}
	}
}

func TestCodesAreClosed(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range blobs.Codes {
		if c.Code.Status() != c.Status || c.Status < 400 || seen[c.Code.Message()] {
			t.Errorf("%s: status %d, %q", c.Code, c.Code.Status(), c.Code.Message())
		}
		seen[c.Code.Message()] = true
	}
}

func FuzzText(f *testing.F) {
	f.Add(blobs.Digest(sha256.Sum256(nil)), 3)
	f.Add(blobs.EncodeBytes(make([]byte, 32)), 9)
	m := blobs.NewBitmap(9)
	m.Set(8)
	f.Add(m.String(), 9)
	f.Add("8191", 1)
	f.Fuzz(func(t *testing.T, s string, n int) {
		if sum, err := blobs.ParseDigest(s); err == nil && blobs.Digest(sum) != s {
			t.Errorf("digest %q", s)
		}
		if b, err := blobs.DecodeBytes32(s); err == nil && blobs.EncodeBytes(b[:]) != s {
			t.Errorf("bytes %q", s)
		}
		if p, err := blobs.ParsePart(s); err == nil && (p < 0 || p >= blobs.MaxParts) {
			t.Errorf("part %q", s)
		}
		if n < 1 || n > blobs.MaxParts {
			return
		}
		if m, err := blobs.ParseBitmap(s, n); err == nil && (m.String() != s || m.Has(n)) {
			t.Errorf("bitmap %q of %d", s, n)
		}
	})
}
