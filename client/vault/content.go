package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"math/bits"

	"golang.org/x/crypto/cryptobyte"

	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/internal/secretmem"
)

// keys are what a database key gives, in locked memory. All of them die with the
// local share.
type keys struct{ content, frame, mark []byte }

// databaseKeys derives the keys of a section from its two shares. The database
// key itself is not kept.
func databaseKeys(h *head, server *[32]byte) keys {
	n, mark, local := h.nonce(), h.mark(), h.local()
	secret := append(local[:], server[:]...)
	defer clear(secret)
	info := string(append(append([]byte("reseal/1 database key"), n[:]...), mark[:]...))
	db := must(hkdf.Key(sha256.New, secret, nil, info, 32))
	defer clear(db)
	sub := func(purpose string) []byte {
		return secretmem.New(must(hkdf.Expand(sha256.New, db, "reseal/1 "+purpose, 32)))
	}
	return keys{sub("section content"), sub("journal frame"), sub("journal mark")}
}

func (k *keys) wipe() {
	for _, b := range [][]byte{k.content, k.frame, k.mark} {
		secretmem.Free(b)
	}
	*k = keys{} // memory that was given back may be another's
}

// sealedUnder is the server share of a section, its value in locked memory.
type sealedUnder struct {
	id    capsule.ShareID
	value []byte // nil for none
}

func keepShare(s capsule.Share) sealedUnder {
	b := s.Value.Bytes()
	return sealedUnder{s.ID, secretmem.New(b[:])}
}

// get is a copy, the zero share for none.
func (s *sealedUnder) get() capsule.Share {
	if s.value == nil {
		return capsule.Share{}
	}
	return capsule.Share{ID: s.id, Value: capsule.ServerShareOf([32]byte(s.value))}
}

func (s *sealedUnder) wipe() {
	secretmem.Free(s.value)
	*s = sealedUnder{}
}

// must is for calls that fail only for lengths that are constants here.
func must[T any](v T, err error) T {
	if err != nil {
		panic("vault: internal error: " + err.Error())
	}
	return v
}

func gcm(key []byte) cipher.AEAD { return must(cipher.NewGCM(must(aes.NewCipher(key)))) }

// contentAAD binds a content to its slot, its shares and its size.
func contentAAD(h *head, size int) []byte {
	n, mark, local := h.nonce(), h.mark(), h.local()
	b := cryptobyte.NewBuilder(nil)
	b.AddUint16(version)
	b.AddBytes(n[:])
	b.AddBytes(mark[:])
	b.AddBytes(local[:])
	b.AddUint8(uint8(bits.TrailingZeros(uint(size))))
	return b.BytesOrPanic()
}

// sealContent seals records to fill a slot of the given size. The nonce is
// zero: the local share, and so the key, is fresh for every seal.
func sealContent(k keys, h *head, size int, r *records) []byte {
	plain := r.encode(size - headSize - tagSize)
	return gcm(k.content).Seal(plain[:0], make([]byte, 12), plain, contentAAD(h, size))
}

// openContent opens the content of a slot, body being all of the slot after
// the head. The slot may have grown after the content was sealed, for the sake
// of another section: then random bytes follow the content.
func openContent(k keys, h *head, body []byte) (*records, error) {
	aead := gcm(k.content)
	for size := len(body) + headSize; size >= minSlotSize; size /= 2 {
		plain, err := aead.Open(nil, make([]byte, 12), body[:size-headSize], contentAAD(h, size))
		if err != nil {
			continue
		}
		r, err := parseRecords(plain)
		clear(plain)
		return r, err
	}
	return nil, ErrOpen
}

// slotFor is the smallest slot that takes n bytes of encoded records.
func slotFor(n int) (int, error) {
	for size := minSlotSize; size <= maxSlotSize; size *= 2 {
		if n <= size-headSize-tagSize {
			return size, nil
		}
	}
	return 0, fmt.Errorf("%w: section of %d bytes", ErrTooLarge, n)
}
