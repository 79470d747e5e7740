package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/binary"
)

// C2SP chunked-encryption, instance Cobblestone-256.
const (
	chunkSize      = 16 << 10 // plaintext; the last one is shorter
	tagSize        = 16
	boxSize        = chunkSize + tagSize
	saltSize       = 24
	commitmentSize = 32
	headSize       = saltSize + commitmentSize
	nonceSize      = 12

	derivationLabel = "c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"
)

// chunks seals or opens the chunks of one content under one derived key. It
// holds its nonce in itself, so that no call allocates, and is therefore for one
// goroutine at a time.
type chunks struct {
	aead  cipher.AEAD
	base  [nonceSize]byte
	nonce [nonceSize]byte
}

// deriveChunks derives key, base nonce and commitment. The salt is part of the
// derivation, so that the same input key with another salt is another key.
func deriveChunks(key [32]byte, salt [saltSize]byte, context []byte) (*chunks, [commitmentSize]byte) {
	aeadKey, base, commitment := deriveParts(key, salt, context)
	defer clear(aeadKey)
	block, err := aes.NewCipher(aeadKey)
	if err != nil {
		panic("seal: internal error: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("seal: internal error: " + err.Error())
	}
	return &chunks{aead: aead, base: base}, commitment
}

func deriveParts(key [32]byte, salt [saltSize]byte, context []byte) ([]byte, [nonceSize]byte, [commitmentSize]byte) {
	info := derivationLabel + string(salt[:]) + string(context)
	out, err := hkdf.Expand(sha512.New, key[:], info, 32+nonceSize+commitmentSize)
	if err != nil {
		panic("seal: internal error: " + err.Error())
	}
	return out[:32:32], [nonceSize]byte(out[32:]), [commitmentSize]byte(out[32+nonceSize:])
}

// at sets the nonce of chunk i: the base nonce XOR i as a 12-byte number.
func (c *chunks) at(i uint64) []byte {
	c.nonce = c.base
	last := c.nonce[nonceSize-8:]
	binary.BigEndian.PutUint64(last, binary.BigEndian.Uint64(last)^i)
	return c.nonce[:]
}

// seal appends chunk i to dst.
func (c *chunks) seal(dst, plain []byte, i uint64) []byte {
	return c.aead.Seal(dst, c.at(i), plain, nil)
}

// open opens chunk i in place and returns the plaintext.
func (c *chunks) open(box []byte, i uint64) ([]byte, error) {
	if len(box) < tagSize {
		return nil, ErrOpen
	}
	plain, err := c.aead.Open(box[:0], c.at(i), box, nil)
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// chunkCount is the number of chunks of n bytes: there is always one that is
// shorter than chunkSize, at the end.
func chunkCount(n uint64) uint64 { return n/chunkSize + 1 }

// ciphertextLen is the length of the ciphertext of n bytes.
func ciphertextLen(n uint64) uint64 { return headSize + n + chunkCount(n)*tagSize }

// plainLen is the inverse of ciphertextLen; false for a length that no
// ciphertext has, such as one without room for the last chunk's tag.
func plainLen(n uint64) (uint64, bool) {
	if n < headSize {
		return 0, false
	}
	full, rest := (n-headSize)/boxSize, (n-headSize)%boxSize
	if rest < tagSize {
		return 0, false
	}
	return full*chunkSize + rest - tagSize, true
}
