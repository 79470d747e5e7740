package message

import (
	"fmt"
	"io"
	"log/slog"
)

const hidden = "hidden"

// R is the 32-byte secret of one message to one account. It is sealed in every
// wrap beside the content key and authenticates receipts, so that neither the
// server nor another recipient of the same content can make one. It prints as
// "hidden".
type R [32]byte

// NewR reads a fresh R from rand. Every message gets its own, also when one
// content goes to several accounts.
func NewR(rand io.Reader) (r R, err error) {
	_, err = io.ReadFull(rand, r[:])
	return r, err
}

// Capability is what lets a device refer to a blob and read it: an HKDF of the
// content key (spec/content.md). It prints as "hidden". Zero stands for none,
// with inline ciphertext.
type Capability [32]byte

// String hides the secret.
func (R) String() string { return hidden }

// GoString hides the secret.
func (R) GoString() string { return hidden }

// Format hides the secret, whatever the verb.
func (R) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hidden) }

// LogValue hides the secret.
func (R) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the secret from encoders.
func (R) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// String hides the secret.
func (Capability) String() string { return hidden }

// GoString hides the secret.
func (Capability) GoString() string { return hidden }

// Format hides the secret, whatever the verb.
func (Capability) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hidden) }

// LogValue hides the secret.
func (Capability) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the secret from encoders.
func (Capability) MarshalText() ([]byte, error) { return []byte(hidden), nil }
