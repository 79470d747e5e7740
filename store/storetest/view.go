package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/reseal/reseal/store"
)

// viewed: a view has what a Get has, is not called for what is absent, and hands
// its reader's error back.
func viewed(t *testing.T, h *Harness) {
	const p = "view"
	h.must(t, p, batch().Create("d/1", []byte("decided"), token(), h.Clock.In(time.Hour)).PutOnce("o/1", []byte("once"), 0))
	for _, k := range []store.Key{"d/1", "o/1"} {
		called, want := 0, h.get(t, p, k)
		if err := store.View(t.Context(), h.node(0), p, k, func(r store.Record) error {
			called++
			if r.Key != want.Key || string(r.Value) != string(want.Value) || r.Rev != want.Rev || r.Token != want.Token || r.Expires != want.Expires {
				t.Errorf("%s: %+v, a Get has %+v", k, r, want)
			}
			return nil
		}); err != nil || called != 1 {
			t.Errorf("%s: called %d times, %v", k, called, err)
		}
	}
	broken := errors.New("broken")
	if err := store.View(t.Context(), h.node(0), p, "o/1", func(store.Record) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("the reader's error came back as %v", err)
	}
	if err := store.View(t.Context(), h.node(0), p, "o/2", func(store.Record) error { return broken }); !errors.Is(err, store.ErrAbsent) {
		t.Errorf("of what is absent: %v", err)
	}
	if err := store.View(t.Context(), h.node(0), p, "none/of/the/schema", func(store.Record) error { return broken }); !errors.Is(err, store.ErrKind) {
		t.Errorf("of a key that no schema has: %v", err)
	}
}
