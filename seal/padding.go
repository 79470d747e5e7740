package seal

import "math/bits"

// Sizes of a content, bytes.
const (
	// MinPadded is the least padded length: all short texts look alike.
	MinPadded = 256
	// MaxPadded is the greatest padded length, 63.5 GiB: the greatest value of
	// Padmé whose ciphertext is not longer than [MaxCiphertext].
	MaxPadded = 1<<36 - 1<<29
	// MaxCiphertext is the longest ciphertext, 64 GiB.
	MaxCiphertext = 1 << 36
)

// Padme is the least length of n or more that Padmé allows: its binary form ends
// in zeros from the bit on that its number of bits allows, so that a length tells
// O(log log n) bits. At most 12 % are added. Source: Nikitin et al., Reducing
// Metadata Leakage from Encrypted Files and Communication with PURBs, section 4.
// n is at most 1<<62.
func Padme(n uint64) uint64 {
	if n < 2 {
		return n
	}
	e := bits.Len64(n) - 1       // floor(log2 n)
	s := bits.Len(uint(e))       // floor(log2 e) + 1
	mask := uint64(1)<<(e-s) - 1 // s is at most e for every e from 1 on
	return (n + mask) &^ mask
}

// paddedLen is the length of the plaintext that n bytes are padded to.
func paddedLen(n uint64) uint64 { return max(MinPadded, Padme(n)) }

// CiphertextLen is the length in bytes of the ciphertext of a content with
// description m and m.Size bytes. It is known before a byte was read, so that a
// client picks inline or blob. Errors: [ErrMeta], [ErrTooLarge].
func CiphertextLen(m Meta) (uint64, error) {
	p, err := m.padded()
	if err != nil {
		return 0, err
	}
	return ciphertextLen(p), nil
}
