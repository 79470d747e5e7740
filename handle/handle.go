// Package handle holds the rules for handles, the names by which people find
// each other's accounts (spec/login.md, "Handles").
//
// Handles are ASCII, so no two of them look alike because of a foreign script,
// and lower case, so no two differ only in case. The package keeps no state
// and everything in it is safe for concurrent use.
package handle

import "errors"

// Lengths of a handle in bytes, which are characters.
const (
	MinSize = 3
	MaxSize = 32
)

// Err is returned for text that is no handle.
var Err = errors.New("handle: must be 3 to 32 of a-z, 0-9, '.', '_', '-', starting with a letter, with no separator last or doubled")

// Handle is a valid handle in its one normal form. The zero value is no handle.
type Handle string

// Parse folds A-Z to a-z and checks the rules; [Err] for anything else.
// Nothing is trimmed: what a user types around a handle is for the caller.
func Parse(s string) (Handle, error) {
	if len(s) < MinSize || len(s) > MaxSize {
		return "", Err
	}
	b := []byte(s)
	separator := true // of the character before: a handle cannot start with one
	for i, c := range b {
		switch {
		case 'A' <= c && c <= 'Z':
			b[i], separator = c+'a'-'A', false
		case 'a' <= c && c <= 'z':
			separator = false
		case '0' <= c && c <= '9' && i > 0:
			separator = false
		case (c == '.' || c == '_' || c == '-') && !separator:
			separator = true
		default:
			return "", Err
		}
	}
	if separator {
		return "", Err
	}
	return Handle(b), nil
}

// Valid reports whether h is in normal form, as Parse would return it: formats
// carry handles in no other.
func (h Handle) Valid() bool {
	p, err := Parse(string(h))
	return err == nil && p == h
}

// String is the handle as people see it.
func (h Handle) String() string { return string(h) }
