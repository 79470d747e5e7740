package pebble_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/pebble"
	"github.com/reseal/reseal/store/storetest"
)

// BenchmarkGet reads from a store of 100,000 records of 1 KiB in 200 partitions,
// most of which lie in files: what is there, and what is not.
func BenchmarkGet(b *testing.B) {
	s, err := pebble.Open("db", storetest.Schema(), pebble.Options{FS: vfs.NewMem(), SweepEvery: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	name := func(n int) (store.Partition, store.Key) {
		var in [8]byte
		binary.BigEndian.PutUint64(in[:], uint64(n))
		h := sha256.Sum256(in[:])
		return store.Partition(fmt.Sprintf("T/%d", n%200)), store.Key(fmt.Sprintf("o/%x", h[:16]))
	}
	value := make([]byte, 1024)
	const n = 100_000
	for i := range n / 50 {
		steps := make(map[store.Partition]*store.Batch, 50)
		for k := range 50 {
			p, key := name(i*50 + k)
			if steps[p] == nil {
				steps[p] = new(store.Batch)
			}
			_, _ = rand.Read(value)
			steps[p].PutOnce(key, append([]byte(nil), value...), 0)
		}
		for p, batch := range steps {
			if err := s.Commit(b.Context(), p, batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, what := range []string{"present", "absent"} {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				at := i * 7919 % n
				if what == "absent" {
					at = n + i
				}
				p, k := name(at)
				if _, err := s.Get(b.Context(), p, k); (err == nil) != (what == "present") {
					b.Fatal(err)
				}
			}
		})
	}
}
