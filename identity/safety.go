package identity

import (
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"strings"
)

// ErrSafetyNumber is returned for text that is no safety number.
var ErrSafetyNumber = errors.New("identity: malformed safety number")

// safetyRounds makes each try at a second key with the same half cost as many
// hashes: 30 digits are 99.6 bits, and 5200 rounds add 12.3.
const safetyRounds = 5200

// safetyDigits is the length of a safety number without spaces.
const safetyDigits = 60

// Party is one side of a safety number.
type Party struct {
	ID  AccountID
	Key AccountPublic
}

// SafetyNumber is the number that two people compare to know that they see
// each other's account keys: 60 digits in 12 groups of 5 with single spaces
// between. It is the same from both sides, whatever devices they use, and
// changes with either account key. About 5 ms; cache it.
func SafetyNumber(a, b Party) string {
	x, y := a.half(), b.half()
	// Ordered by the digits, so that neither side needs to know who is first.
	if x > y {
		x, y = y, x
	}
	return group(x + y)
}

// ParseSafetyNumber reads a number as people write it down: 60 ASCII digits,
// with any white space, "-" or "." between. It returns the form of
// SafetyNumber, or ErrSafetyNumber.
func ParseSafetyNumber(s string) (string, error) {
	var digits strings.Builder
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits.WriteRune(r)
		case r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '-' || r == '.':
		default:
			return "", ErrSafetyNumber
		}
	}
	if digits.Len() != safetyDigits {
		return "", ErrSafetyNumber
	}
	return group(digits.String()), nil
}

// SameSafetyNumber compares a number that somebody typed or scanned with the
// one computed. ErrSafetyNumber when typed is no safety number at all, so that
// a slip is not taken for an attack.
func SameSafetyNumber(typed, computed string) (bool, error) {
	t, err := ParseSafetyNumber(typed)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare([]byte(t), []byte(computed)) == 1, nil
}

// half is the 30 digits of one account.
func (p Party) half() string {
	body := append(append([]byte(nil), p.ID[:]...), p.Key[:]...)
	input := SignedInput("safety number", body)
	h := sha512.Sum512(input)
	// The input goes into every round: without it, all tries of an attacker
	// would share one function, and cycles in it shorten the search.
	buf := make([]byte, 0, len(h)+len(input))
	for range safetyRounds - 1 {
		buf = append(append(buf[:0], h[:]...), input...)
		h = sha512.Sum512(buf)
	}
	var out [safetyDigits / 2]byte
	for g := range len(out) / 5 {
		// 40 bits modulo 10^5: off from even by less than 10^-7.
		var w [8]byte
		copy(w[3:], h[5*g:5*g+5])
		n := binary.BigEndian.Uint64(w[:]) % 100000
		for i := 4; i >= 0; i-- {
			out[5*g+i] = byte('0' + n%10)
			n /= 10
		}
	}
	return string(out[:])
}

func group(digits string) string {
	var b strings.Builder
	for i := 0; i < len(digits); i += 5 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(digits[i : i+5])
	}
	return b.String()
}
