package folder

import "testing"

// FuzzPiece: a file in the folder is a piece only under the one name that the
// piece has.
func FuzzPiece(f *testing.F) {
	for _, s := range []string{"segments", "00000000", "0000001f", "0000001F", "1f", "ffffffff", "000000001", "00000000.new", "segments "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, ok := parsePiece(s); ok && pieceName(p) != s {
			t.Errorf("%q is taken for %q", s, pieceName(p))
		}
	})
}
