package storetest

import (
	"errors"
	"testing"

	"github.com/reseal/reseal/store"
)

// chained: commits that wait for each other are all there, or those before the
// first that is refused.
func chained(t *testing.T, h *Harness) {
	put := func(p store.Partition, k store.Key, v string) store.Step {
		return store.Step{Partition: p, Batch: batch().PutOnce(k, []byte(v), 0)}
	}
	create := func(p store.Partition, k store.Key, v string) store.Step {
		return store.Step{Partition: p, Batch: batch().Create(k, []byte(v), token(), 0)}
	}
	all := func(steps ...store.Step) error { return store.CommitAll(t.Context(), h.node(0), steps...) }

	// The second partition is written twice: the third step sees the second.
	if err := all(put("c1", "o/1", "one"), create("c2", "d/1", "two"), put("c2", "o/2", "three")); err != nil {
		t.Fatal(err)
	}
	var refused *store.Refused
	if err := all(put("c1", "o/3", "before"), create("c2", "d/1", "again"), put("c3", "o/4", "after")); !errors.As(err, &refused) {
		t.Fatalf("created twice: %v", err)
	}
	if len(refused.Current) != 1 || string(refused.Current[0].Value) != "two" {
		t.Errorf("refused with %v", refused.Current)
	}
	if err := all(create("c4", "d/2", "first"), create("c4", "d/2", "second"), put("c4", "o/5", "after")); !errors.As(err, &refused) {
		t.Errorf("the second step does not see the first: %v", err)
	}
	// A fault in any step: those after it have no effect.
	if err := all(put("c5", "o/6", "before"), put("c5", "none/of/the/schema", "x"), put("c5", "o/7", "after")); err == nil || errors.Is(err, store.ErrUnknown) {
		t.Errorf("a key that no schema has: %v", err)
	}
	if err := store.CommitAll(t.Context(), h.node(0), make([]store.Step, store.MaxSteps+1)...); !errors.Is(err, store.ErrLimit) {
		t.Errorf("too many steps: %v", err)
	}
	if err := store.CommitAll(cancelled(t), h.node(0), put("c6", "o/8", "x")); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("cancelled: %v", err)
	}
	check := func() {
		t.Helper()
		for _, want := range []struct {
			p store.Partition
			k store.Key
			v string
		}{{"c1", "o/1", "one"}, {"c2", "d/1", "two"}, {"c2", "o/2", "three"}, {"c1", "o/3", "before"}, {"c4", "d/2", "first"}} {
			if r := h.get(t, want.p, want.k); string(r.Value) != want.v {
				t.Errorf("%s %s is %q, not %q", want.p, want.k, r.Value, want.v)
			}
		}
		h.absent(t, "c3", "o/4")
		h.absent(t, "c4", "o/5")
		h.absent(t, "c5", "o/7")
	}
	check()
	if h.PowerLoss != nil {
		h.PowerLoss(t)
		check()
	}
}
