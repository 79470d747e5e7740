package capsule

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"io"
)

// KeySize is the size of every key of this package, bytes.
const KeySize = 32

// RowKey finds an account's section in a client database and its share at the
// server (K_row, spec/shares.md). It prints as "hidden".
type RowKey struct{ secret }

// BookKey seals the account book (K_book); sections keep it, unlike the rest of
// the capsule. It prints as "hidden".
type BookKey struct{ secret }

// ShareKey seals server shares (K_share). It prints as "hidden".
type ShareKey struct{ secret }

// RecoveryKey seals the capsule's copy (K_rec), derived from the recovery code.
// It prints as "hidden".
type RecoveryKey struct{ secret }

// NewRowKey reads a fresh key from rand.
func NewRowKey(rand io.Reader) (k RowKey, err error) {
	_, err = io.ReadFull(rand, k.b[:])
	return k, err
}

// NewBookKey reads a fresh key from rand.
func NewBookKey(rand io.Reader) (k BookKey, err error) {
	_, err = io.ReadFull(rand, k.b[:])
	return k, err
}

// NewShareKey reads a fresh key from rand.
func NewShareKey(rand io.Reader) (k ShareKey, err error) {
	_, err = io.ReadFull(rand, k.b[:])
	return k, err
}

// RowKeyOf is the key with the given bytes.
func RowKeyOf(b [KeySize]byte) RowKey { return RowKey{secretOf(b)} }

// BookKeyOf is the key with the given bytes.
func BookKeyOf(b [KeySize]byte) BookKey { return BookKey{secretOf(b)} }

// ShareKeyOf is the key with the given bytes.
func ShareKeyOf(b [KeySize]byte) ShareKey { return ShareKey{secretOf(b)} }

// RecoveryKeyOf is the key with the given bytes.
func RecoveryKeyOf(b [KeySize]byte) RecoveryKey { return RecoveryKey{secretOf(b)} }

// RowID names a section's share at the server, 32 bytes. It is an HMAC under a
// [RowKey], so that it tells the server nothing (spec/shares.md).
type RowID [32]byte

// String is 64 lower-case hexadecimal digits.
func (r RowID) String() string { return hex.EncodeToString(r[:]) }

// secret is a 32-byte key.
type secret struct {
	redacted
	b [KeySize]byte
}

func secretOf(b [KeySize]byte) secret { return secret{b: b} }

// Bytes are the 32 bytes.
func (s secret) Bytes() [KeySize]byte { return s.b }

// IsZero reports whether no key was set.
func (s secret) IsZero() bool { return s.b == [KeySize]byte{} }

func derive(ikm []byte, purpose string) (k [KeySize]byte) {
	b, err := hkdf.Key(sha256.New, ikm, nil, "reseal/1 "+purpose, KeySize)
	if err != nil {
		panic("capsule: internal error: " + err.Error())
	}
	return [KeySize]byte(b)
}
