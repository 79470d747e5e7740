package reseal

import (
	"encoding/hex"
	"strings"
	"testing"
)

// Whatever lies in the folder of ciphertexts, a device removes what it named alone.
func FuzzFileName(f *testing.F) {
	k := fileKey{1}
	own := k.name([16]byte{2})
	for _, name := range []string{own, own + segmentsSuffix, own[:len(own)-2], own + "00", fileKey{3}.name([16]byte{2}), "", ".", "notes.txt"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !k.mine(name) {
			return
		}
		b, err := hex.DecodeString(strings.TrimSuffix(name, segmentsSuffix))
		if err != nil || !strings.EqualFold(k.name([16]byte(b)), hex.EncodeToString(b)) {
			t.Errorf("%q is this device's", name)
		}
	})
}
