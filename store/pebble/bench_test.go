package pebble_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/pebble"
	"github.com/reseal/reseal/store/storetest"
)

// BenchmarkCommit prints durable commits a second, of one record of 300 bytes
// each, from so many goroutines, on the disk of the temporary folder.
func BenchmarkCommit(b *testing.B) {
	for _, kind := range []string{"once", "decided"} {
		for _, clients := range []int{1, 16, 200} {
			b.Run(fmt.Sprintf("%s/%d", kind, clients), func(b *testing.B) { benchmarkCommit(b, kind, clients) })
		}
	}
}

func benchmarkCommit(b *testing.B, kind string, clients int) {
	s, err := pebble.Open(b.TempDir(), storetest.Schema(), pebble.Options{})
	if err != nil {
		b.Fatal(err)
	}
	value, next := make([]byte, 300), atomic.Int64{}
	done := make(chan error, clients)
	b.ResetTimer()
	for c := range clients {
		go func() {
			p := store.Partition(fmt.Sprintf("T/%d", c))
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				batch := new(store.Batch)
				if kind == "once" {
					batch.PutOnce(store.Key(fmt.Sprintf("o/%d", n)), value, 0)
				} else {
					batch.Create(store.Key(fmt.Sprintf("d/%d", n)), value, store.Token{1}, 0)
				}
				if err := s.Commit(b.Context(), p, batch); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range clients {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
