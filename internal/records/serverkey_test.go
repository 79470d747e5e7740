package records

import (
	"bytes"
	"testing"
)

func FuzzServerKey(f *testing.F) {
	good := EncodeServerKey([32]byte{1, 2, 3})
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		if mark, err := ParseServerKey(b); err == nil && !bytes.Equal(EncodeServerKey(mark), b) {
			t.Errorf("%x has a second encoding", b)
		}
	})
}
