package capsule

import (
	"encoding/hex"
	"io"

	"golang.org/x/crypto/cryptobyte"

	"github.com/reseal/reseal/identity"
)

// Sizes of sealed records, bytes.
const (
	// SealedShareSize is that of a server share as the server stores it.
	SealedShareSize = boxOver + KeySize
	// SealedKeySize is that of a database key sealed for a session.
	SealedKeySize = boxOver + KeySize
)

// ShareID is a server share's random id, 16 bytes. A section names the one that
// it is sealed under.
type ShareID [16]byte

// LocalShare is the half of a database key that lies in the section, 32 random
// bytes. It prints as "hidden".
type LocalShare struct{ secret }

// ServerShare is the half that lies at the server, 32 random bytes, there only
// sealed. It prints as "hidden".
type ServerShare struct{ secret }

// DatabaseKey seals the values of a section. It is stored nowhere. It prints as
// "hidden".
type DatabaseKey struct{ secret }

// SessionShare is one of the two halves, the client's and the server's, that
// open a section without the password while a session lives: 32 random bytes.
// It prints as "hidden".
type SessionShare struct{ secret }

// NewShareID reads a fresh id from rand.
func NewShareID(rand io.Reader) (id ShareID, err error) {
	_, err = io.ReadFull(rand, id[:])
	return id, err
}

// NewLocalShare reads a fresh share from rand.
func NewLocalShare(rand io.Reader) (s LocalShare, err error) {
	_, err = io.ReadFull(rand, s.b[:])
	return s, err
}

// NewServerShare reads a fresh share from rand.
func NewServerShare(rand io.Reader) (s ServerShare, err error) {
	_, err = io.ReadFull(rand, s.b[:])
	return s, err
}

// NewSessionShare reads a fresh share from rand.
func NewSessionShare(rand io.Reader) (s SessionShare, err error) {
	_, err = io.ReadFull(rand, s.b[:])
	return s, err
}

// LocalShareOf is the share with the given bytes.
func LocalShareOf(b [KeySize]byte) LocalShare { return LocalShare{secretOf(b)} }

// ServerShareOf is the share with the given bytes.
func ServerShareOf(b [KeySize]byte) ServerShare { return ServerShare{secretOf(b)} }

// SessionShareOf is the share with the given bytes.
func SessionShareOf(b [KeySize]byte) SessionShare { return SessionShare{secretOf(b)} }

// String is 32 lower-case hexadecimal digits.
func (id ShareID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether no id was set.
func (id ShareID) IsZero() bool { return id == ShareID{} }

// Derive is the database key of two shares. One alone says nothing about it.
func (l LocalShare) Derive(s ServerShare) DatabaseKey {
	return DatabaseKey{secretOf(derive(append(l.b[:], s.b[:]...), "database"))}
}

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

// SealForSession seals a database key so that only the client's and the
// server's session share together open it: SealedKeySize bytes. It is bound to
// the account, the device and the share that the section is sealed under.
func (k DatabaseKey) SealForSession(rand io.Reader, client, server SessionShare, p SessionPlace) ([]byte, error) {
	return sealBox(rand, sessionKey(client, server), k.b[:], p.aad())
}

// OpenForSession opens a database key at a restart. Errors: [ErrOpen],
// [ErrVersion].
func OpenForSession(sealed []byte, client, server SessionShare, p SessionPlace) (DatabaseKey, error) {
	plain, err := openBox(sessionKey(client, server), sealed, p.aad(), KeySize)
	if err != nil {
		return DatabaseKey{}, err
	}
	return DatabaseKey{secretOf([KeySize]byte(plain))}, nil
}

// SessionPlace is what a sealed database key belongs to.
type SessionPlace struct {
	Account identity.AccountID
	Device  identity.DeviceID
	Share   ShareID
}

func (p SessionPlace) aad() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddBytes([]byte("reseal/1 session key\x00"))
	b.AddUint16(version1)
	b.AddBytes(p.Account[:])
	b.AddBytes(p.Device[:])
	b.AddBytes(p.Share[:])
	return b.BytesOrPanic()
}

func sessionKey(client, server SessionShare) [KeySize]byte {
	return derive(append(client.b[:], server.b[:]...), "session shares")
}
