package pebble

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/storetest"
)

// What is absent is known from the filters, also in the lowest level, where most
// records lie: a send asks three times for what is almost never there.
func TestAbsentReadsNoBlock(t *testing.T) {
	s, err := Open("db", storetest.Schema(), Options{FS: vfs.NewMem(), SweepEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const n = 4000
	for i := range n / store.MaxWrites {
		b := new(store.Batch)
		for k := range store.MaxWrites {
			value := make([]byte, 1024)
			_, _ = rand.Read(value)
			b.PutOnce(store.Key(fmt.Sprintf("o/%d", i*store.MaxWrites+k)), value, 0)
		}
		if err := s.Commit(t.Context(), "p", b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.FlushAndWait(); err != nil {
		t.Fatal(err)
	}
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if files, err := s.db.SSTables(); err != nil || len(files[6]) == 0 {
		t.Fatalf("nothing lies in the lowest level: %v", err)
	}
	before := s.db.Metrics().Filter.Hits
	for i := range n {
		if _, err := s.Get(t.Context(), "p", store.Key(fmt.Sprintf("o/%d-", i))); !errors.Is(err, store.ErrAbsent) {
			t.Fatal(err)
		}
	}
	if hits := s.db.Metrics().Filter.Hits - before; hits < n*9/10 {
		t.Errorf("%d of %d records that are absent were known so from the filter", hits, n)
	}
	// And what is there is found.
	for i := range n {
		if _, err := s.Get(t.Context(), "p", store.Key(fmt.Sprintf("o/%d", i))); err != nil {
			t.Fatal(err)
		}
	}
}
