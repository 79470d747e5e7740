package capsule

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"github.com/reseal/reseal/identity"
)

// ErrRecoveryCode is returned for text that is no recovery code, most likely a
// mistyped one.
var ErrRecoveryCode = errors.New("capsule: not a recovery code: check it for typing errors")

// The written form: 28 characters in groups of 4.
const (
	codeChars = 28
	codeGroup = 4
	alphabet  = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	// maxCodeText bounds what ParseRecoveryCode looks at.
	maxCodeText = 256
)

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
	if len(s) > maxCodeText {
		return RecoveryCode{}, ErrRecoveryCode
	}
	var bits [codeChars]byte
	n := 0
	for _, r := range []byte(s) {
		// ASCII alone: unicode has other letters whose upper case is I or S.
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		switch r {
		case ' ', '\t', '\r', '\n', '-':
			continue
		case 'O':
			r = '0'
		case 'I', 'L':
			r = '1'
		}
		v := strings.IndexByte(alphabet, r)
		if v < 0 || n == codeChars {
			return RecoveryCode{}, ErrRecoveryCode
		}
		bits[n] = byte(v)
		n++
	}
	if n != codeChars {
		return RecoveryCode{}, ErrRecoveryCode
	}
	var packed [18]byte // 140 bits and 4 more
	for i, v := range bits {
		bit := i * 5
		w := uint16(v) << (11 - bit%8)
		packed[bit/8] |= byte(w >> 8)
		if w&0xff != 0 {
			packed[bit/8+1] |= byte(w)
		}
	}
	copy(c.b[:], packed[:16])
	if got := binary.BigEndian.Uint16(packed[16:]) >> 4; got != c.check() {
		return RecoveryCode{}, ErrRecoveryCode
	}
	return c, nil
}

// Reveal is the written form: 7 groups of 4 characters with hyphens.
func (c RecoveryCode) Reveal() string {
	var packed [19]byte
	copy(packed[:], c.b[:])
	binary.BigEndian.PutUint16(packed[16:], c.check()<<4)
	var s strings.Builder
	for i := range codeChars {
		if i > 0 && i%codeGroup == 0 {
			s.WriteByte('-')
		}
		bit := i * 5
		w := uint16(packed[bit/8])<<8 | uint16(packed[bit/8+1])
		s.WriteByte(alphabet[w>>(11-bit%8)&31])
	}
	return s.String()
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
