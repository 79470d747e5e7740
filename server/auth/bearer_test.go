package auth

import (
	"encoding/base64"
	"strings"
	"testing"
)

// A header is read only as it would be written: no token has two texts.
func FuzzBearer(f *testing.F) {
	whole := scheme + strings.Repeat("A", 64)
	for _, header := range []string{"", "Bearer", whole, whole + "=", whole[:len(whole)-1], strings.ToLower(whole), scheme + strings.Repeat("_", 64), whole + "\n"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		a, s, ok := parseBearer(header)
		if !ok {
			return
		}
		secret := s.Bytes()
		if again := scheme + base64.RawURLEncoding.EncodeToString(append(a[:], secret[:]...)); again != header {
			t.Errorf("%q is read as %q", header, again)
		}
	})
}
