package pebble

import (
	"testing"

	"github.com/reseal/reseal/store"
)

// Pebble's key of a row is one allocation of the right size, whatever is in the
// partition's name, and is the row's.
func TestRowKeyAllocatesOnce(t *testing.T) {
	for _, p := range []store.Partition{"p", "T/\x00\x01\x00\xff\x00/\x00\x00", "\x00"} {
		for _, k := range []store.Key{"", "k", "m/0123456789012345678901234567890123456789012345678901234567890123"} {
			b := rowKey(p, k)
			if cap(b) > len(b)+15 { // what the allocator rounds up
				t.Errorf("%q %q: %d bytes in %d", p, k, len(b), cap(b))
			}
			if gotP, gotK, ok := rowOf(b); !ok || gotP != p || gotK != k {
				t.Errorf("%q %q came back as %q %q", p, k, gotP, gotK)
			}
			if n := testing.AllocsPerRun(10, func() { sink = rowKey(p, k) }); n != 1 {
				t.Errorf("%q %q: %v allocations", p, k, n)
			}
		}
	}
}

var sink []byte
