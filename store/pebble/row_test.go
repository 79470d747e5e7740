package pebble

import (
	"bytes"
	"testing"

	"github.com/reseal/reseal/store"
)

// FuzzDecodeRow: what decodes encodes to the same bytes.
func FuzzDecodeRow(f *testing.F) {
	f.Add(row{kind: store.Once, rev: 1, value: []byte("v")}.encode())
	f.Add(row{kind: store.Once, rev: 1, expires: 1 << 40}.encode())
	f.Add(row{kind: store.Decided, rev: 7, token: store.Token{1}, value: []byte("v")}.encode())
	f.Add(row{kind: store.Decided, rev: 7, token: store.Token{1}}.encode()[:decidedHead-1])
	f.Add([]byte{3})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRow(b)
		if err == nil && !bytes.Equal(r.encode(), b) {
			t.Fatalf("%x encodes to %x", b, r.encode())
		}
		if err == nil && r.size() != len(b) {
			t.Fatalf("%x has the size %d", b, r.size())
		}
	})
}

// FuzzIndexKey: expiry and row come back from the index, in order of expiry.
func FuzzIndexKey(f *testing.F) {
	f.Add(int64(1), int64(2), "p\x00", "k\xff")
	f.Add(int64(1)<<41, int64(255), "", "")
	f.Fuzz(func(t *testing.T, a, b int64, p, k string) {
		if a < 0 || b < 0 {
			return
		}
		key := rowKey(store.Partition(p), store.Key(k))
		expires, row, ok := indexed(indexKey(a, key))
		if !ok || expires != a || !bytes.Equal(row, key) {
			t.Fatalf("%d %x came back as %d %x", a, key, expires, row)
		}
		if a < b && bytes.Compare(indexKey(a, key), indexKey(b, key)) >= 0 {
			t.Fatalf("%d does not sort before %d", a, b)
		}
	})
}
