package message

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"

	"github.com/reseal/reseal/identity"
)

// ErrID is returned for text that is no message id.
var ErrID = errors.New("message: malformed id")

const idLabel = "reseal/1 message id"

// ID names a message: 4 bytes with the day it was created (days since the Unix
// epoch, big-endian), then the first 28 bytes of a SHA-256 (spec/message.md,
// section 2). The day tells where the server keeps it; the hash makes a message
// sent twice one message, and binds the id to both accounts and the content, so
// that nobody can take another's id in advance.
type ID [32]byte

// ClientID is the sender's random 16-byte name for one message to one account.
// A repeat of the send uses it again and so arrives at the same [ID].
type ClientID [16]byte

// Digest stands for one ciphertext: SHA-256 over its length, salt, commitment
// and segment hashes (spec/content.md). A wrap authenticates it.
type Digest [32]byte

// BlobID is the random 32-byte name of a blob. Zero means that the ciphertext
// travels inline.
type BlobID [32]byte

// NewClientID reads a fresh client id from rand.
func NewClientID(rand io.Reader) (c ClientID, err error) {
	_, err = io.ReadFull(rand, c[:])
	return c, err
}

// NewBlobID reads a fresh blob id from rand.
func NewBlobID(rand io.Reader) (b BlobID, err error) {
	_, err = io.ReadFull(rand, b[:])
	return b, err
}

// NewID computes the id of the message that sender creates on day for
// recipient.
func NewID(day uint32, sender, recipient identity.AccountID, c ClientID, d Digest) (id ID) {
	h := sha256.New()
	h.Write([]byte(idLabel))
	h.Write([]byte{0})
	binary.BigEndian.PutUint32(id[:4], day)
	h.Write(id[:4])
	h.Write(sender[:])
	h.Write(recipient[:])
	h.Write(c[:])
	h.Write(d[:])
	copy(id[4:], h.Sum(nil))
	return id
}

// Day is the number of days since the Unix epoch when the message was created.
func (id ID) Day() uint32 { return binary.BigEndian.Uint32(id[:4]) }

// String is 64 lower-case hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// String is 32 lower-case hexadecimal digits.
func (c ClientID) String() string { return hex.EncodeToString(c[:]) }

// String is 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// String is 64 lower-case hexadecimal digits.
func (b BlobID) String() string { return hex.EncodeToString(b[:]) }

// IsZero reports whether the ciphertext travels inline.
func (b BlobID) IsZero() bool { return b == BlobID{} }

// ParseID reads 64 lower-case hexadecimal digits.
func ParseID(s string) (id ID, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) || hex.EncodeToString(b) != s {
		return ID{}, ErrID
	}
	return ID(b), nil
}

// IDFromBytes reads the 32 raw bytes that a call carries.
func IDFromBytes(b []byte) (ID, error) {
	if len(b) != len(ID{}) {
		return ID{}, ErrID
	}
	return ID(b), nil
}
