package blob

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

// Object is the random 16-byte name that the server gives to the bytes of one
// upload. It is never used again, so that deleting an upload given up cannot
// touch a later upload of the same blob.
type Object [16]byte

func newObject(rand io.Reader) (o Object, err error) {
	_, err = io.ReadFull(rand, o[:])
	return o, err
}

// String is 32 lower-case hexadecimal digits.
func (o Object) String() string { return hex.EncodeToString(o[:]) }

// Capability is what a client shows to read a blob: 32 bytes that only those
// who have the content key can derive. The server sees it and forgets it.
type Capability [32]byte

// String, GoString and LogValue hide the capability.
func (Capability) String() string { return "hidden" }

// Format hides the capability from every verb.
func (Capability) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "hidden") }

// GoString hides the capability.
func (Capability) GoString() string { return "hidden" }

// LogValue hides the capability.
func (Capability) LogValue() slog.Value { return slog.StringValue("hidden") }

// Hash is what the server keeps of c.
func (c Capability) Hash() CapabilityHash { return sha256.Sum256(c[:]) }

// CapabilityHash is SHA-256 of a [Capability]. A store that is stolen so opens
// no blob.
type CapabilityHash [32]byte

func (h CapabilityHash) opens(c Capability) bool {
	sum := c.Hash()
	return subtle.ConstantTimeCompare(h[:], sum[:]) == 1
}
