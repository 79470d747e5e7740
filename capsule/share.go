package capsule

import (
	"encoding/hex"
	"io"

	"golang.org/x/crypto/cryptobyte"

	"github.com/reseal/reseal/identity"
)

// SealedShareSize is the size of a server share as the server stores it, bytes.
const SealedShareSize = boxOver + KeySize

// ShareID is a server share's random id, 16 bytes. A section names the one that
// it is sealed under.
type ShareID [16]byte

// ServerShare is the half of a database key that lies at the server, 32 random
// bytes, there only sealed. It prints as "hidden".
type ServerShare struct{ secret }

// NewShareID reads a fresh id from rand.
func NewShareID(rand io.Reader) (id ShareID, err error) {
	_, err = io.ReadFull(rand, id[:])
	return id, err
}

// NewServerShare reads a fresh share from rand.
func NewServerShare(rand io.Reader) (s ServerShare, err error) {
	_, err = io.ReadFull(rand, s.b[:])
	return s, err
}

// ServerShareOf is the share with the given bytes.
func ServerShareOf(b [KeySize]byte) ServerShare { return ServerShare{secretOf(b)} }

// String is 32 lower-case hexadecimal digits.
func (id ShareID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether no id was set.
func (id ShareID) IsZero() bool { return id == ShareID{} }

// Share is a server share with its id.
type Share struct {
	ID    ShareID
	Value ServerShare
}

// NewShare reads a fresh share and id from rand.
func NewShare(rand io.Reader) (s Share, err error) {
	if s.ID, err = NewShareID(rand); err != nil {
		return Share{}, err
	}
	s.Value, err = NewServerShare(rand)
	return s, err
}

// Seal makes the record that the server stores: SealedShareSize bytes. It is
// bound to account, row and id, so that the server cannot answer for one
// section or one time with the share of another.
func (s Share) Seal(rand io.Reader, k ShareKey, a identity.AccountID, row RowID) ([]byte, error) {
	return sealBox(rand, k.b, s.Value.b[:], shareAAD(a, row, s.ID))
}

// OpenShare opens a sealed share. Errors: [ErrOpen], [ErrVersion].
func OpenShare(sealed []byte, k ShareKey, a identity.AccountID, row RowID, id ShareID) (Share, error) {
	plain, err := openBox(k.b, sealed, shareAAD(a, row, id), KeySize)
	if err != nil {
		return Share{}, err
	}
	return Share{ID: id, Value: ServerShareOf([KeySize]byte(plain))}, nil
}

func shareAAD(a identity.AccountID, row RowID, id ShareID) []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddBytes([]byte("reseal/1 server share\x00"))
	b.AddUint16(version1)
	b.AddBytes(a[:])
	b.AddBytes(row[:])
	b.AddBytes(id[:])
	return b.BytesOrPanic()
}
