package pebble

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2/record"
)

// TestManifestDamage: a flipped byte before the last record is damage, a torn
// end at any place is not.
func TestManifestDamage(t *testing.T) {
	var file bytes.Buffer
	w, last := record.NewWriter(&file), 0
	for n := range 12 {
		last = int(w.Size())
		if _, err := w.WriteRecord(bytes.Repeat([]byte{byte(n)}, 20+n*n*80)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	good := file.Bytes()
	if len(good) < blockSize {
		t.Fatalf("only %d bytes, not two blocks", len(good))
	}
	if at, damaged := damage(good, false, 0); damaged {
		t.Fatalf("good file is damaged at %d", at)
	}
	for cut := range len(good) {
		if cut%13 == 0 {
			if at, damaged := damage(good[:cut], false, 0); damaged {
				t.Fatalf("cut at %d: damaged at %d", cut, at)
			}
		}
	}
	for at := 0; at < last; at += 37 {
		bad := bytes.Clone(good)
		bad[at] ^= 1
		if _, damaged := damage(bad, false, 0); !damaged {
			t.Fatalf("byte %d of %d, last record at %d: not noticed", at, len(good), last)
		}
	}
}

// FuzzDamage: any bytes are looked through without panic.
func FuzzDamage(f *testing.F) {
	f.Add([]byte{}, true)
	f.Add(bytes.Repeat([]byte{9, 0}, 40), true)
	f.Add(bytes.Repeat([]byte{1}, 40), false)
	f.Fuzz(func(_ *testing.T, b []byte, isLog bool) { damage(b, isLog, 9) })
}
