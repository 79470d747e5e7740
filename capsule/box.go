package capsule

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"io"
)

var (
	// ErrOpen is returned for every sealed record that does not open: another
	// key, account, place or credential number, or bytes that were changed.
	ErrOpen = errors.New("capsule: record does not open")
	// ErrVersion is returned for a record of a version that this code does not
	// read. It may be good: keep it and ask the user to update.
	ErrVersion = errors.New("capsule: record of a newer version")
)

const (
	version1  = 1
	nonceSize = 12
	boxOver   = 2 + nonceSize + 16
)

// sealBox is version ‖ nonce ‖ AES-256-GCM of plain. A random nonce is safe for
// these keys: each seals a record per login or change, far below 2^32.
func sealBox(rand io.Reader, key [KeySize]byte, plain, aad []byte) ([]byte, error) {
	out := make([]byte, 2+nonceSize, boxOver+len(plain))
	out[1] = version1
	if _, err := io.ReadFull(rand, out[2:]); err != nil {
		return nil, err
	}
	return gcm(key).Seal(out, out[2:], plain, aad), nil
}

// openBox opens what sealBox made from size bytes.
func openBox(key [KeySize]byte, sealed, aad []byte, size int) ([]byte, error) {
	if len(sealed) >= 2 && (sealed[0] != 0 || sealed[1] > version1) {
		return nil, ErrVersion
	}
	if len(sealed) != boxOver+size || sealed[1] != version1 {
		return nil, ErrOpen
	}
	plain, err := gcm(key).Open(nil, sealed[2:2+nonceSize], sealed[2+nonceSize:], aad)
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

func gcm(key [KeySize]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("capsule: internal error: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("capsule: internal error: " + err.Error())
	}
	return aead
}
