package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/reseal/reseal/store"
)

// listing: engines that list partitions have every one, on pages, apart from
// those of another beginning.
func listing(t *testing.T, h *Harness) {
	l, ok := h.node(0).(store.Lister)
	if !ok {
		return // no engine need have it
	}
	want := []store.Partition{"L", "L/", "L/\x00", "L/\x00\x00", "L/\x00\x01", "L/\x00\xff", "L/\x00a", "L/\x01", "L/\xff", "L/\xff\xff"}
	for i := range 20 {
		want = append(want, store.Partition(fmt.Sprintf("L/%02d", i)))
	}
	for _, p := range append([]store.Partition{"K", "M", "l", "\xff"}, want...) {
		b := batch()
		for i := range 3 {
			b.PutOnce(number("o/", i), []byte("v"), 0)
		}
		h.must(t, p, b)
	}
	for _, limit := range []int{1, 7, store.MaxPage} {
		var got []store.Partition
		for after := store.Partition(""); ; {
			page, err := l.Partitions(context.Background(), "L", after, limit)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page...)
			if len(page) < limit {
				break
			}
			after = page[len(page)-1]
		}
		sorted := slices.Clone(got)
		slices.Sort(sorted)
		slices.Sort(want)
		if !slices.Equal(sorted, want) {
			t.Errorf("pages of %d:\n got %q\nwant %q", limit, got, want)
		}
	}
	if page, err := l.Partitions(context.Background(), "nothing", "", 10); err != nil || len(page) != 0 {
		t.Errorf("%q, %v", page, err)
	}
	for _, limit := range []int{0, store.MaxPage + 1} {
		if _, err := l.Partitions(context.Background(), "", "", limit); !errors.Is(err, store.ErrLimit) {
			t.Errorf("a page of %d: %v", limit, err)
		}
	}
}
