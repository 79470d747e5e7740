package capsule

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
)

// KeySize is the size of every key of this package, bytes.
const KeySize = 32

// RowKey finds an account's section in a client database and its share at the
// server (K_row). It prints as "hidden".
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

// Slot is the random 16-byte nonce that stands in clear at a section's place in
// a client database.
type Slot [16]byte

// FileTag marks a section in the client database: HMAC-SHA256 of K_row.
type FileTag [32]byte

// RowID names a section's share at the server: HMAC-SHA256 of K_row, unlike
// [FileTag], so that who has both the file and the store cannot match them.
type RowID [32]byte

// FileTag is the tag of the section at slot, if it is this account's.
func (k RowKey) FileTag(slot Slot) FileTag { return FileTag(k.mac("file", slot)) }

// RowID is where the server keeps the share of the section at slot.
func (k RowKey) RowID(slot Slot) RowID { return RowID(k.mac("server", slot)) }

func (k RowKey) mac(what string, slot Slot) []byte {
	m := hmac.New(sha256.New, k.b[:])
	m.Write([]byte("reseal/1 row " + what + "\x00"))
	m.Write(slot[:])
	return m.Sum(nil)
}

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
