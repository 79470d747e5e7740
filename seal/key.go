package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

// HKDF-SHA256 info strings under the CEK. Each output is for one purpose, so who
// holds a blob's capability (the server, once it is shown) learns nothing of
// the content key.
const (
	labelContentKey = "reseal/1 content key"
	labelCapability = "reseal/1 blob capability"
)

const hidden = "hidden"

// CEK is the 32-byte content key: random, one for each content, never derived
// from the content. It is what wraps carry. It prints as "hidden".
type CEK [32]byte

// NewCEK reads a fresh key from rand.
func NewCEK(rand io.Reader) (k CEK, err error) {
	_, err = io.ReadFull(rand, k[:])
	return k, err
}

// Capability is the right to read the blob that k opens.
func (k CEK) Capability() Capability { return Capability(k.derive(labelCapability)) }

func (k CEK) contentKey() [32]byte { return k.derive(labelContentKey) }

func (k CEK) derive(label string) [32]byte {
	b, err := hkdf.Key(sha256.New, k[:], nil, label, 32)
	if err != nil {
		panic("seal: internal error: " + err.Error())
	}
	return [32]byte(b)
}

// String hides the key.
func (CEK) String() string { return hidden }

// GoString hides the key.
func (CEK) GoString() string { return hidden }

// Format hides the key, whatever the verb.
func (CEK) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hidden) }

// LogValue hides the key.
func (CEK) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the key from encoders.
func (CEK) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Capability is 32 bytes that a client shows to read a blob: an HKDF of the CEK,
// so whoever can open the content can fetch it. It prints as "hidden".
type Capability [32]byte

// Hash is SHA-256 of c: what a server stores, so that a stolen store reads no
// blob from another server.
func (c Capability) Hash() [32]byte { return sha256.Sum256(c[:]) }

// String hides the capability.
func (Capability) String() string { return hidden }

// GoString hides the capability.
func (Capability) GoString() string { return hidden }

// Format hides the capability, whatever the verb.
func (Capability) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hidden) }

// LogValue hides the capability.
func (Capability) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the capability from encoders.
func (Capability) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// ContentID is a content's random 16-byte id.
type ContentID [16]byte

// NewContentID reads a fresh id from rand.
func NewContentID(rand io.Reader) (id ContentID, err error) {
	_, err = io.ReadFull(rand, id[:])
	return id, err
}

// String is 32 lower-case hexadecimal digits.
func (id ContentID) String() string { return hex.EncodeToString(id[:]) }

// Digest names a ciphertext: SHA-256 over its segment list (spec/content.md,
// section 6). A wrap authenticates it.
type Digest [32]byte

// String is 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }
