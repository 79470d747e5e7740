package pebble

import (
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/storetest"
)

// A commit whose context has ended before it was looked at may be answered
// before whoever waits sees that end: the answer says why all the same.
func TestCancelledCommitSaysWhy(t *testing.T) {
	s, err := Open("db", storetest.Schema(), Options{FS: vfs.NewMem(), SweepEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := s.commitGroup([]*commit{{ctx: ctx, steps: []store.Step{{Partition: "p", Batch: new(store.Batch)}}}})
	if len(got) != 1 || !errors.Is(got[0], store.ErrUnknown) || !errors.Is(got[0], context.Canceled) {
		t.Errorf("%v", got)
	}
}
