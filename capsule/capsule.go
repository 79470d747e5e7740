package capsule

import (
	"errors"
	"io"

	"golang.org/x/crypto/cryptobyte"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/opaque"
)

// ErrIncomplete is returned when a capsule is sealed that lacks a key or the
// list head.
var ErrIncomplete = errors.New("capsule: incomplete capsule")

// Size is the size of a sealed capsule and of a sealed copy, bytes.
const Size = boxOver + plainSize

const plainSize = 4*KeySize + 2*(8+32) + KeySize

// Head is a version and the hash of what has that version.
type Head struct {
	Version uint64
	Hash    [32]byte
}

// Capsule is what an account gets back by its password: its keys, and the
// floors below which its list and book are refused.
type Capsule struct {
	Account identity.AccountKey
	Row     RowKey
	Book    BookKey
	Share   ShareKey
	// List is the newest device list that the writer knew. Its hash is an
	// identity.ListHash.
	List Head
	// BookHead is the newest book that the writer knew (book.Hash); version 0
	// with a zero hash before the first.
	BookHead Head
	// Recovery rewrites the copy with every capsule. It opens copies only:
	// neither the recovery code nor its authenticator follows from it.
	Recovery RecoveryKey
}

// Place is where a capsule belongs. It is authenticated, so that an account's
// capsule is refused under another, and one from before a password change.
type Place struct {
	Account identity.AccountID
	// Credential is 1 at sign-up, one more with every change of the password,
	// as the server counts it.
	Credential uint64
}

// Seal makes the capsule under the export key: Size bytes. rand gives the
// nonce. Errors: [ErrIncomplete]; a capsule that nobody can use must not
// replace one that somebody can.
func (c Capsule) Seal(rand io.Reader, k opaque.ExportKey, p Place) ([]byte, error) {
	return c.seal(rand, exportKey(k), p.aad("capsule"))
}

// SealCopy makes the copy under the capsule's own recovery key: Size bytes.
// Errors: [ErrIncomplete].
func (c Capsule) SealCopy(rand io.Reader, p Place) ([]byte, error) {
	return c.seal(rand, c.Recovery.b, p.aad("capsule copy"))
}

func (c Capsule) seal(rand io.Reader, key [KeySize]byte, aad []byte) ([]byte, error) {
	plain := c.encode()
	if _, err := parse(plain); err != nil {
		return nil, ErrIncomplete
	}
	return sealBox(rand, key, plain, aad)
}

// Open opens a capsule. Errors: [ErrOpen], [ErrVersion]. The caller checks that
// the account key is that of the served list, and the heads ([Head.Floor]).
func Open(sealed []byte, k opaque.ExportKey, p Place) (Capsule, error) {
	return open(sealed, exportKey(k), p.aad("capsule"))
}

// OpenCopy opens a copy with the key of the recovery code. Errors: [ErrOpen],
// [ErrVersion].
func OpenCopy(sealed []byte, k RecoveryKey, p Place) (Capsule, error) {
	c, err := open(sealed, k.b, p.aad("capsule copy"))
	if err != nil {
		return Capsule{}, err
	}
	// A copy that names another recovery key would cut the code off with its
	// next rewriting.
	if c.Recovery != k {
		return Capsule{}, ErrOpen
	}
	return c, nil
}

// Floor reports whether something of the given version and hash may be what is
// newest when the head was h: not below it, and the same if at it.
func (h Head) Floor(version uint64, hash [32]byte) bool {
	return version > h.Version || version == h.Version && hash == h.Hash
}

func exportKey(k opaque.ExportKey) [KeySize]byte {
	b := k.Bytes()
	return derive(b[:], "capsule")
}

func (p Place) aad(name string) []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddBytes([]byte("reseal/1 " + name + "\x00"))
	b.AddUint16(version1)
	b.AddBytes(p.Account[:])
	b.AddUint64(p.Credential)
	return b.BytesOrPanic()
}

func (c Capsule) encode() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, plainSize))
	b.AddBytes(c.Account.Seed())
	b.AddBytes(c.Row.b[:])
	b.AddBytes(c.Book.b[:])
	b.AddBytes(c.Share.b[:])
	for _, h := range []Head{c.List, c.BookHead} {
		b.AddUint64(h.Version)
		b.AddBytes(h.Hash[:])
	}
	b.AddBytes(c.Recovery.b[:])
	return b.BytesOrPanic()
}

func open(sealed []byte, key [KeySize]byte, aad []byte) (c Capsule, err error) {
	plain, err := openBox(key, sealed, aad, plainSize)
	if err != nil {
		return Capsule{}, err
	}
	return parse(plain)
}

// parse reads a capsule's plain bytes. Zero keys are refused: they would come
// from a writer that lost them, and seal everything for everybody.
func parse(plain []byte) (c Capsule, err error) {
	in := cryptobyte.String(plain)
	var seed [KeySize]byte
	ok := in.CopyBytes(seed[:]) && in.CopyBytes(c.Row.b[:]) && in.CopyBytes(c.Book.b[:]) && in.CopyBytes(c.Share.b[:])
	for _, h := range []*Head{&c.List, &c.BookHead} {
		ok = ok && in.ReadUint64(&h.Version) && in.CopyBytes(h.Hash[:])
	}
	ok = ok && in.CopyBytes(c.Recovery.b[:]) && in.Empty()
	if !ok || seed == [KeySize]byte{} || c.Row.IsZero() || c.Book.IsZero() || c.Share.IsZero() || c.Recovery.IsZero() ||
		c.List.Version == 0 || c.BookHead.Version == 0 && c.BookHead.Hash != [32]byte{} {
		return Capsule{}, ErrOpen
	}
	if c.Account, err = identity.AccountKeyFromSeed(seed[:]); err != nil {
		return Capsule{}, ErrOpen
	}
	return c, nil
}
