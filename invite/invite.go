// Package invite is the code that lets somebody make an account at a server that
// does not take everybody (spec/invite.md): how it is written, and under which
// hash the server keeps it. Server and client share it.
//
// The package keeps no state and everything in it is safe for concurrent use.
package invite

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/reseal/reseal/internal/crockford"
)

// Size of a code in bytes.
const Size = 11

const (
	chars  = 20 // of the written form: 88 bits and 12 of the check
	hidden = "hidden"
)

// Err is returned for what is no code, most likely a mistyped one.
var Err = errors.New("invite: not an invite code: check it for typing errors")

// Code is 88 random bits, good for one account. It prints as "hidden"; only
// Reveal and Bytes show it.
type Code struct{ b [Size]byte }

// Hash is what the server keeps of a code: SHA-256 with a label.
type Hash [32]byte

// New reads a fresh code from rand.
func New(rand io.Reader) (c Code, err error) {
	_, err = io.ReadFull(rand, c.b[:])
	return c, err
}

// Of is the code with the given bytes; [Err] if they are not [Size].
func Of(b []byte) (c Code, err error) {
	if copy(c.b[:], b) != len(b) || len(b) != Size {
		return Code{}, Err
	}
	return c, nil
}

// Bytes are the [Size] bytes that travel to the server.
func (c Code) Bytes() []byte { return c.b[:] }

// Hash is what the server keeps.
func (c Code) Hash() Hash { return sha256.Sum256(append([]byte("reseal/1 invite\x00"), c.b[:]...)) }

// check is 12 bits that catch a mistyped code before it costs a try.
func (c Code) check() uint16 {
	sum := sha256.Sum256(append([]byte("reseal/1 invite check\x00"), c.b[:]...))
	return binary.BigEndian.Uint16(sum[:]) >> 4
}

// Reveal is the written form: 5 groups of 4 characters with hyphens.
func (c Code) Reveal() string {
	return crockford.Encode(binary.BigEndian.AppendUint16(c.b[:], c.check()<<4), chars)
}

// Parse reads a code as people type it: in either case, with any spaces and
// hyphens, O for 0 and I or L for 1. Errors: [Err].
func Parse(s string) (c Code, err error) {
	bits, ok := crockford.Decode(s, chars)
	if !ok {
		return Code{}, Err
	}
	copy(c.b[:], bits)
	if binary.BigEndian.Uint16(bits[Size:])>>4 != c.check() {
		return Code{}, Err
	}
	return c, nil
}

// String is "hidden".
func (Code) String() string { return hidden }

// GoString is "hidden".
func (Code) GoString() string { return hidden }

// Format writes "hidden" for every verb.
func (Code) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hidden) }

// LogValue is "hidden".
func (Code) LogValue() slog.Value { return slog.StringValue(hidden) }
