// Package crockford writes bits as people read them aloud and type them: Douglas
// Crockford's Base 32, in groups with hyphens, without his check symbol (each
// code here has a check of its own inside its bits).
//
// The package keeps no state and everything in it is safe for concurrent use.
package crockford

import "strings"

const (
	alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	group    = 4
	// maxText bounds what Decode looks at, in bytes.
	maxText = 256
)

// size is how many bytes the bits of so many characters take.
func size(chars int) int { return (chars*5 + 7) / 8 }

// Encode writes the first 5 × chars bits, from the highest of the first byte on,
// in groups of 4 characters. What bits does not have counts as zero.
func Encode(bits []byte, chars int) string {
	b := make([]byte, size(chars)+1) // a character may lie in two bytes
	copy(b, bits)
	var s strings.Builder
	for i := range chars {
		if i > 0 && i%group == 0 {
			s.WriteByte('-')
		}
		at := i * 5
		w := uint16(b[at/8])<<8 | uint16(b[at/8+1])
		s.WriteByte(alphabet[w>>(11-at%8)&31])
	}
	return s.String()
}

// Decode reads what Encode wrote as people type it: in either case, with any
// spaces and hyphens, O for 0 and I or L for 1. It returns 5 × chars bits, the
// last byte filled up with zeros; false for any other characters, another number
// of them, or more than 256 bytes of text.
func Decode(s string, chars int) ([]byte, bool) {
	if len(s) > maxText {
		return nil, false
	}
	b := make([]byte, size(chars)+1)
	n := 0
	for _, r := range []byte(s) {
		// ASCII alone: unicode has other letters whose upper case is I or S.
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		switch r {
		case ' ', '\t', '\r', '\n', '-':
			continue
		case 'O':
			r = '0'
		case 'I', 'L':
			r = '1'
		}
		v := strings.IndexByte(alphabet, r)
		if v < 0 || n == chars {
			return nil, false
		}
		at := n * 5
		w := uint16(v) << (11 - at%8)
		b[at/8] |= byte(w >> 8)
		b[at/8+1] |= byte(w)
		n++
	}
	return b[:size(chars)], n == chars
}
