package storetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/reseal/reseal/store"
)

// limits: what is at a limit works, one more is refused and leaves nothing.
func limits(t *testing.T, h *Harness) {
	const p = "limits"
	longKey := func(n int) store.Key { return store.Key("o/" + strings.Repeat("k", n-2)) }
	many := func(n int) *store.Batch {
		b := batch()
		for i := range n {
			b.PutOnce(number("o/many", i), nil, 0)
		}
		return b
	}
	conditions := func(n int) *store.Batch {
		b := batch().PutOnce("o/conditions", nil, 0)
		for i := range n {
			b.Absent(number("d/", i))
		}
		return b
	}
	// heavy is a batch of exactly n bytes of keys and values.
	heavy := func(n int) *store.Batch {
		b := batch().Absent("d/c")
		for left := n - len("d/c"); left > 0; {
			k := number("o/heavy", left)
			size := min(left-len(k), store.MaxValue)
			if rest := left - len(k) - size; rest > 0 && rest <= 2*len(k) {
				size -= 4 * len(k)
			}
			b.PutOnce(k, make([]byte, size), 0)
			left -= len(k) + size
		}
		return b
	}
	name := func(n int) store.Partition { return store.Partition(strings.Repeat("p", n)) }
	for _, c := range []struct {
		name       string
		partition  store.Partition
		good, over *store.Batch
	}{
		{"key", p, batch().PutOnce(longKey(store.MaxKey), nil, 0), batch().PutOnce("o/a", nil, 0).PutOnce(longKey(store.MaxKey+1), nil, 0)},
		{"empty key", p, batch().PutOnce("o/k", nil, 0), batch().PutOnce("o/a", nil, 0).PutOnce("", nil, 0)},
		{"condition key", p, batch().Absent("d/k"), batch().PutOnce("o/a", nil, 0).Absent(store.Key("d/" + strings.Repeat("k", store.MaxKey-1)))},
		{"value", p, batch().PutOnce("o/v", make([]byte, store.MaxValue), 0), batch().PutOnce("o/a", nil, 0).PutOnce("o/w", make([]byte, store.MaxValue+1), 0)},
		{"records", p, many(store.MaxWrites), many(store.MaxWrites + 1)},
		{"conditions", p, conditions(store.MaxConditions), conditions(store.MaxConditions + 1)},
		{"bytes", p, heavy(store.MaxBatch), heavy(store.MaxBatch + 1)},
	} {
		q := c.partition + store.Partition("/over/"+c.name)
		if err := h.node(0).Commit(t.Context(), q, c.over); !errors.Is(err, store.ErrLimit) {
			t.Errorf("%s over the limit: %v", c.name, err)
		}
		if rs := h.all(t, q); len(rs) != 0 {
			t.Errorf("%s over the limit left %d records", c.name, len(rs))
		}
		h.must(t, c.partition+store.Partition("/good/"+c.name), c.good)
		if rs := h.all(t, c.partition+store.Partition("/good/"+c.name)); len(rs) != len(c.good.Writes) {
			t.Errorf("%s at the limit: %d records of %d", c.name, len(rs), len(c.good.Writes))
		}
	}
	h.must(t, name(store.MaxPartition), batch().PutOnce("o/1", nil, 0))
	for _, bad := range []store.Partition{"", name(store.MaxPartition + 1)} {
		_, getErr := h.node(0).Get(t.Context(), bad, "o/1")
		_, rangeErr := h.node(0).Range(t.Context(), bad, "", "", 1, true)
		commitErr := h.node(0).Commit(t.Context(), bad, batch().PutOnce("o/1", nil, 0))
		for _, err := range []error{getErr, rangeErr, commitErr} {
			if !errors.Is(err, store.ErrLimit) {
				t.Errorf("partition of %d bytes: %v", len(bad), err)
			}
		}
	}
	for _, limit := range []int{-1, 0, store.MaxPage + 1} {
		if _, err := h.node(0).Range(t.Context(), p, "", "", limit, true); !errors.Is(err, store.ErrLimit) {
			t.Errorf("page of %d: %v", limit, err)
		}
	}
	if _, err := h.node(0).Range(t.Context(), p, store.After(longKey(store.MaxKey)), "", 1, true); err != nil {
		t.Errorf("range behind the longest key: %v", err)
	}
	if _, err := h.node(0).Range(t.Context(), p, longKey(store.MaxKey+2), "", 1, true); !errors.Is(err, store.ErrLimit) {
		t.Errorf("bound over the limit: %v", err)
	}
	if _, err := h.node(0).Get(t.Context(), p, longKey(store.MaxKey+1)); !errors.Is(err, store.ErrLimit) {
		t.Errorf("get of a key over the limit: %v", err)
	}
}
