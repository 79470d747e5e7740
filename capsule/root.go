package capsule

import (
	"io"

	"golang.org/x/crypto/cryptobyte"

	"github.com/reseal/reseal/identity"
)

// RootSize is the size of a sealed root, bytes.
const RootSize = boxOver + 2*KeySize

// Root is what the recovery code alone gives back: the account key, and the
// account key that follows it. Nothing that the password opens can open it or
// write it anew, so who has the password can neither rotate the account nor
// destroy its owner's way to do so.
type Root struct {
	Account identity.AccountKey
	// Next is the key that the account's lists commit to. It follows from the
	// code that the account began with, and moves into the root of every later
	// code: a contact takes a changed commitment for an alarm.
	Next identity.AccountKey
}

// RootKey seals the root, derived from the recovery code. It prints as "hidden".
type RootKey struct{ secret }

// RootKeyOf is the key with the given bytes.
func RootKeyOf(b [KeySize]byte) RootKey { return RootKey{secretOf(b)} }

// RootKey is the key of the root.
func (c RecoveryCode) RootKey() RootKey { return RootKeyOf(derive(c.b[:], "recovery root")) }

// Root is the root of an account that this code comes first for, or of one that
// is rotated to it: the next key is that of the code.
func (c RecoveryCode) Root(k identity.AccountKey) Root { return Root{Account: k, Next: c.NextKey()} }

// Seal makes the record that the server stores: RootSize bytes. rand gives the
// nonce. Both keys must be set. Errors: [ErrIncomplete] where they are one.
func (r Root) Seal(rand io.Reader, k RootKey, a identity.AccountID) ([]byte, error) {
	plain := append(r.Account.Seed(), r.Next.Seed()...)
	if _, err := parseRoot(plain); err != nil {
		return nil, ErrIncomplete
	}
	return sealBox(rand, k.b, plain, rootAAD(a))
}

// OpenRoot opens a sealed root. Errors: [ErrOpen], [ErrVersion]. The caller
// checks both keys against the served list: that they are its account key and
// the key that it commits to.
func OpenRoot(sealed []byte, k RootKey, a identity.AccountID) (Root, error) {
	plain, err := openBox(k.b, sealed, rootAAD(a), 2*KeySize)
	if err != nil {
		return Root{}, err
	}
	return parseRoot(plain)
}

func parseRoot(plain []byte) (r Root, err error) {
	var account, next [KeySize]byte
	in := cryptobyte.String(plain)
	if !in.CopyBytes(account[:]) || !in.CopyBytes(next[:]) || !in.Empty() ||
		account == [KeySize]byte{} || next == [KeySize]byte{} || account == next {
		return Root{}, ErrOpen
	}
	if r.Account, err = identity.AccountKeyFromSeed(account[:]); err != nil {
		return Root{}, ErrOpen
	}
	if r.Next, err = identity.AccountKeyFromSeed(next[:]); err != nil {
		return Root{}, ErrOpen
	}
	return r, nil
}

func rootAAD(a identity.AccountID) []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddBytes([]byte("reseal/1 recovery root\x00"))
	b.AddUint16(version1)
	b.AddBytes(a[:])
	return b.BytesOrPanic()
}
