package message

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// Version is the record version that this package writes, and the highest that
// it reads. An epoch certificate names it (spec/identity.md).
const Version uint16 = 1

var (
	// ErrMalformed is returned for bytes that are no record of the format asked
	// for: a wrong size, a value out of range, trailing bytes, a form that
	// encoding would not produce again.
	ErrMalformed = errors.New("message: malformed record")

	// ErrVersion is returned for a record of a version above [Version]. It is
	// kept and shown as waiting for an update; no retry is asked for.
	ErrVersion = errors.New("message: record of a newer version")
)

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// readVersion takes the two version bytes that every record starts with. It is
// the first thing a parser does, since nothing after them can be understood
// in a newer version.
func readVersion(s *cryptobyte.String, record string) error {
	var v uint16
	switch {
	case !s.ReadUint16(&v) || v == 0:
		return malformed(record + " version")
	case v > Version:
		return ErrVersion
	}
	return nil
}

// reader reads fixed fields and remembers whether one of them fell short, so
// that a parser is a list of its fields followed by one check.
type reader struct {
	cryptobyte.String
	short bool
}

func (r *reader) bytes(dst []byte) { r.short = !r.CopyBytes(dst) || r.short }

func (r *reader) u8() (v uint8)   { r.short = !r.ReadUint8(&v) || r.short; return v }
func (r *reader) u16() (v uint16) { r.short = !r.ReadUint16(&v) || r.short; return v }
func (r *reader) u64() (v uint64) { r.short = !r.ReadUint64(&v) || r.short; return v }

// vector reads a vector with a length of 2 bytes (wide: 4) and at most limit
// bytes. The result is a copy.
func (r *reader) vector(wide bool, limit int) []byte {
	var n int
	if wide {
		var v uint32
		r.short = !r.ReadUint32(&v) || r.short
		n = int(min(v, 1<<30))
	} else {
		n = int(r.u16())
	}
	if r.short || n > limit || n > len(r.String) {
		r.short = true
		return nil
	}
	if n == 0 {
		return nil
	}
	v := make([]byte, n)
	r.bytes(v)
	return v
}

// done reports whether every field was there and nothing is left.
func (r *reader) done() bool { return !r.short && r.Empty() }

// builder writes into a buffer of the exact size n, so that no encoding of a
// record ever grows or panics.
func builder(n int) *cryptobyte.Builder {
	return cryptobyte.NewBuilder(make([]byte, 0, n))
}
