package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/reseal/reseal/store"
)

// toldOfExpiry: engines that tell of records that expired tell of each of them,
// in order, and of no other.
func toldOfExpiry(t *testing.T, h *Harness) {
	e, ok := h.node(0).(store.Expirer)
	if !ok {
		return // no engine need have it
	}
	var told []string
	e.OnExpired(func(p store.Partition, r store.Record) {
		told = append(told, fmt.Sprintf("%q %q %q %d %v", p, r.Key, r.Value, r.Expires, r.Present()))
	})
	soon, later := h.Clock.In(time.Minute), h.Clock.In(2*time.Minute)
	var want []string
	put := func(p store.Partition, k store.Key, expires int64) {
		h.must(t, p, batch().PutOnce(k, []byte(k), expires))
		want = append(want, fmt.Sprintf("%q %q %q %d true", p, k, k, expires))
	}
	put("E", "o/0", soon)
	put("E", "o/1", soon)
	put("E\x00", "o/\x00\x01", soon)
	put("E\x00\xff", "o/0", soon)
	put("F", "o/0", soon)
	put("E", "o/2", later)
	h.must(t, "E", batch().PutOnce("o/deleted", nil, soon))
	h.must(t, "E", batch().DeleteOnce("o/deleted"))
	h.must(t, "E", batch().PutOnce("o/stays", nil, 0))
	// Written again with another expiry: it goes at that one.
	h.must(t, "E", batch().Create("d/1", []byte("v"), token(), soon))
	h.must(t, "E", batch().Replace("d/1", h.get(t, "E", "d/1").Rev, []byte("d/1"), token(), later))
	want = append(want, fmt.Sprintf("%q %q %q %d true", "E", "d/1", "d/1", later))
	slices.Sort(want[5:])
	h.sweep(t)
	if len(told) != 0 {
		t.Fatalf("told before the expiry: %q", told)
	}
	h.Clock.Move(time.Hour)
	h.sweep(t)
	h.sweep(t)
	if !slices.Equal(told, want) {
		t.Errorf("told of\n%q, want\n%q", told, want)
	}
}
