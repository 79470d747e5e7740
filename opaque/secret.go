package opaque

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

const hidden = "hidden"

// redacted is embedded in every secret, so that no verb of fmt, no logger and
// no error text ever holds one.
type redacted struct{}

// String hides the secret.
func (redacted) String() string { return hidden }

// GoString hides the secret.
func (redacted) GoString() string { return hidden }

// Format hides the secret from every verb: without it %d prints the bytes.
func (redacted) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue hides the secret.
func (redacted) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the secret from encoders.
func (redacted) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// ExportKey is what only somebody with the password gets out of a registration
// or a login with that record, and the server never: 64 bytes. It seals the
// capsule and nothing else. It prints as "hidden".
type ExportKey struct {
	redacted
	b [64]byte
}

// ExportKeyOf is the export key with the given 64 bytes.
func ExportKeyOf(b [64]byte) ExportKey { return ExportKey{b: b} }

// Bytes are the 64 bytes of the key.
func (k ExportKey) Bytes() [64]byte { return k.b }

// SessionSecret authenticates the calls of one session: 32 bytes. After a login
// it is derived from the key that OPAQUE agreed on, so that nobody between
// client and server can put a session of their own in its place; at a sign-up,
// which has no key exchange, it is random. It prints as "hidden".
type SessionSecret struct {
	redacted
	b [32]byte
}

// SessionHash is what the server keeps of a [SessionSecret]: its SHA-256.
type SessionHash [32]byte

// NewSessionSecret reads a secret for a sign-up from rand.
func NewSessionSecret(rand io.Reader) (s SessionSecret, err error) {
	_, err = io.ReadFull(rand, s.b[:])
	return s, err
}

// SessionSecretOf is the secret with the given 32 bytes.
func SessionSecretOf(b [32]byte) SessionSecret { return SessionSecret{b: b} }

// Bytes are the 32 bytes of the secret.
func (s SessionSecret) Bytes() [32]byte { return s.b }

// Hash is the hash that the server knows the session by.
func (s SessionSecret) Hash() SessionHash { return sha256.Sum256(s.b[:]) }

// String is 64 lower-case hexadecimal digits.
func (h SessionHash) String() string { return hex.EncodeToString(h[:]) }

// sessionSecret derives the secret from the 64-byte session key of RFC 9807.
func sessionSecret(sessionKey []byte) SessionSecret {
	return SessionSecret{b: [32]byte(derive(sessionKey, "session", 32))}
}

func derive(secret []byte, purpose string, n int) []byte {
	k, err := hkdf.Key(sha256.New, secret, nil, "reseal/1 "+purpose, n)
	if err != nil {
		panic("opaque: internal error: " + err.Error())
	}
	return k
}
