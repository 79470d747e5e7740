package capsule

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"io"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/crockford"
)

// ErrRecoveryCode is returned for text that is no recovery code, most likely a
// mistyped one.
var ErrRecoveryCode = errors.New("capsule: not a recovery code: check it for typing errors")

// codeChars is the length of the written form: 128 bits and 12 of the check.
const codeChars = 28

// RecoveryCode is 128 random bits that the user writes down. From it come the
// key of the capsule's copy, what a recovery authenticates with, and the next
// account key; it is stored nowhere. It prints as "hidden"; only Reveal shows
// it.
type RecoveryCode struct {
	redacted
	b [16]byte
}

// RecoveryAuth proves to the server that its bearer has the recovery code. It
// prints as "hidden".
type RecoveryAuth struct{ secret }

// RecoveryAuthHash is what the server stores: SHA-256 of a [RecoveryAuth]. The
// code has 128 bits, so that no slow hash is needed.
type RecoveryAuthHash [32]byte

// NewRecoveryCode reads a fresh code from rand.
func NewRecoveryCode(rand io.Reader) (c RecoveryCode, err error) {
	_, err = io.ReadFull(rand, c.b[:])
	return c, err
}

// ParseRecoveryCode reads a code as people type it: in either case, with any
// spaces and hyphens, O for 0 and I or L for 1. Errors: [ErrRecoveryCode].
func ParseRecoveryCode(s string) (c RecoveryCode, err error) {
	bits, ok := crockford.Decode(s, codeChars)
	if !ok {
		return RecoveryCode{}, ErrRecoveryCode
	}
	copy(c.b[:], bits)
	if binary.BigEndian.Uint16(bits[len(c.b):])>>4 != c.check() {
		return RecoveryCode{}, ErrRecoveryCode
	}
	return c, nil
}

// Reveal is the written form: 7 groups of 4 characters with hyphens.
func (c RecoveryCode) Reveal() string {
	return crockford.Encode(binary.BigEndian.AppendUint16(c.b[:], c.check()<<4), codeChars)
}

// check is 12 bits that catch a mistyped code before it costs a try at the
// server; all but one in 4096 of them.
func (c RecoveryCode) check() uint16 {
	sum := sha256.Sum256(append([]byte("reseal/1 recovery code\x00"), c.b[:]...))
	return binary.BigEndian.Uint16(sum[:]) >> 4
}

// Key is K_rec, which seals the capsule's copy.
func (c RecoveryCode) Key() RecoveryKey { return RecoveryKeyOf(derive(c.b[:], "recovery capsule")) }

// Auth is what a recovery shows to the server.
func (c RecoveryCode) Auth() RecoveryAuth {
	return RecoveryAuth{secretOf(derive(c.b[:], "recovery auth"))}
}

// NextKey is the account key that follows the current one; lists commit to its
// hash.
func (c RecoveryCode) NextKey() identity.AccountKey {
	return identity.NextAccountKey(c.b)
}

// RecoveryAuthOf is the authenticator with the given bytes.
func RecoveryAuthOf(b [KeySize]byte) RecoveryAuth { return RecoveryAuth{secretOf(b)} }

// Hash is what the server stores of it.
func (a RecoveryAuth) Hash() RecoveryAuthHash { return sha256.Sum256(a.b[:]) }

// Matches reports, in constant time, whether h is the hash of a.
func (h RecoveryAuthHash) Matches(a RecoveryAuth) bool {
	got := a.Hash()
	return subtle.ConstantTimeCompare(got[:], h[:]) == 1
}
