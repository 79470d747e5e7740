package book

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/crypto/cryptobyte"

	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/identity"
)

// Sizes of a stored book, bytes.
const (
	// MaxPart is the size of every part but the last, and the most of that.
	MaxPart = 32 << 10
	// MaxParts is the most parts.
	MaxParts = 32
	// MaxEncoded is the longest encoded book: what MaxParts parts hold.
	MaxEncoded = 255*padBlock - 4

	partHead  = 2 + 8 + 2 + 2 + 32
	partData  = MaxPart - partHead
	padBlock  = 4 << 10
	nonceSize = 12
	sealOver  = 2 + nonceSize + 16
)

// ErrOpen is returned for a stored book that does not open: another key,
// account or version, parts that do not belong together, or changed bytes.
var ErrOpen = errors.New("book: stored book does not open")

// Hash identifies a stored book; the account's device list names the newest
// that its writer knew.
type Hash [32]byte

// Stored is a sealed book as the server keeps it.
type Stored struct {
	Version uint64
	Hash    Hash
	Parts   [][]byte // 1 to MaxParts, of at most MaxPart bytes each
}

// Store seals b as the given version, which counts up from 1. rand gives the
// nonce. Errors: as Encode.
func (b *Book) Store(rand io.Reader, k capsule.BookKey, a identity.AccountID, version uint64) (Stored, error) {
	enc, err := b.Encode()
	if err != nil {
		return Stored{}, err
	}
	if version == 0 {
		return Stored{}, ErrMalformed
	}
	// Padded, so that the size tells steps of about 25 contacts.
	plain := binary.BigEndian.AppendUint32(nil, uint32(len(enc)))
	plain = append(plain, enc...)
	plain = append(plain, make([]byte, -len(plain)&(padBlock-1))...)
	sealed := make([]byte, 2+nonceSize, sealOver+len(plain))
	sealed[1] = formatVersion
	if _, err := io.ReadFull(rand, sealed[2:]); err != nil {
		return Stored{}, err
	}
	sealed = gcm(k).Seal(sealed, sealed[2:], plain, aad(a, version))
	return split(version, sealed), nil
}

// Load opens the stored book of the given version. hash is for the caller to
// compare with the list's book head, below which no book is taken. Errors:
// ErrOpen, ErrVersion, and those of Parse.
func Load(k capsule.BookKey, a identity.AccountID, version uint64, parts [][]byte) (b *Book, hash Hash, err error) {
	sealed, hash, err := join(version, parts)
	if err != nil {
		return nil, Hash{}, err
	}
	if len(sealed) >= 2 && (sealed[0] != 0 || sealed[1] > formatVersion) {
		return nil, Hash{}, ErrVersion
	}
	if len(sealed) < sealOver+padBlock || sealed[1] != formatVersion {
		return nil, Hash{}, ErrOpen
	}
	plain, err := gcm(k).Open(nil, sealed[2:2+nonceSize], sealed[2+nonceSize:], aad(a, version))
	if err != nil {
		return nil, Hash{}, ErrOpen
	}
	n := int64(binary.BigEndian.Uint32(plain))
	if len(plain)%padBlock != 0 || n > int64(len(plain)-4) || int64(len(plain))-4-n >= padBlock {
		return nil, Hash{}, ErrMalformed
	}
	for _, z := range plain[4+n:] {
		if z != 0 {
			return nil, Hash{}, ErrMalformed
		}
	}
	if b, err = Parse(plain[4 : 4+n]); err != nil {
		return nil, Hash{}, err
	}
	return b, hash, nil
}

func hashOf(version uint64, sealed []byte) Hash {
	h := sha256.New()
	h.Write([]byte("reseal/1 book hash\x00"))
	h.Write(binary.BigEndian.AppendUint64(nil, version))
	h.Write(sealed)
	return Hash(h.Sum(nil))
}

// split cuts a sealed book into parts. Each names the whole, so that parts of
// two versions are never taken for one book.
func split(version uint64, sealed []byte) Stored {
	s := Stored{Version: version, Hash: hashOf(version, sealed)}
	count := (len(sealed) + partData - 1) / partData
	for i := range count {
		data := sealed[i*partData : min(len(sealed), (i+1)*partData)]
		b := cryptobyte.NewBuilder(make([]byte, 0, partHead+len(data)))
		b.AddUint16(formatVersion)
		b.AddUint64(version)
		b.AddUint16(uint16(i))
		b.AddUint16(uint16(count))
		b.AddBytes(s.Hash[:])
		b.AddBytes(data)
		s.Parts = append(s.Parts, b.BytesOrPanic())
	}
	return s
}

func join(version uint64, parts [][]byte) (sealed []byte, hash Hash, err error) {
	if len(parts) == 0 || len(parts) > MaxParts {
		return nil, Hash{}, ErrOpen
	}
	for i, part := range parts {
		in := cryptobyte.String(part)
		var format, index, count uint16
		var v uint64
		var h Hash
		if len(part) > MaxPart || !in.ReadUint16(&format) || format == 0 {
			return nil, Hash{}, ErrOpen
		}
		if format > formatVersion {
			return nil, Hash{}, ErrVersion
		}
		if !in.ReadUint64(&v) || !in.ReadUint16(&index) || !in.ReadUint16(&count) || !in.CopyBytes(h[:]) || in.Empty() ||
			v != version || v == 0 || int(index) != i || int(count) != len(parts) ||
			i > 0 && h != hash || i < len(parts)-1 && len(part) != MaxPart {
			return nil, Hash{}, ErrOpen
		}
		hash = h
		sealed = append(sealed, in...)
	}
	if hashOf(version, sealed) != hash {
		return nil, Hash{}, ErrOpen
	}
	return sealed, hash, nil
}

func aad(a identity.AccountID, version uint64) []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddBytes([]byte("reseal/1 book\x00"))
	b.AddUint16(formatVersion)
	b.AddBytes(a[:])
	b.AddUint64(version)
	return b.BytesOrPanic()
}

func gcm(k capsule.BookKey) cipher.AEAD {
	key := k.Bytes()
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("book: internal error: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("book: internal error: " + err.Error())
	}
	return aead
}
