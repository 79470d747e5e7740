package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/reseal/reseal/store"
)

// atomicBatch: two records always carry the same count. A reader that gets one
// and then the other may find the second newer, never older.
func atomicBatch(t *testing.T, h *Harness) {
	const p = "atomic"
	write := func(n int) *store.Batch {
		value, b := []byte(strconv.Itoa(n)), batch()
		for _, k := range []store.Key{"d/a", "d/b"} {
			if n == 0 {
				b.Create(k, value, token(), 0)
				continue
			}
			b.Replace(k, h.get(t, p, k).Rev, value, token(), 0)
		}
		return b.PutOnce(number("o/", n), value, 0)
	}
	h.must(t, p, write(0))
	var stop atomic.Bool
	together(t, 5, func(i int) error {
		if i == 0 {
			defer stop.Store(true)
			for n := 1; n <= 150; n++ {
				if err := h.node(0).Commit(t.Context(), p, write(n)); err != nil {
					return err
				}
			}
			return nil
		}
		last := 0
		for turn := 0; !stop.Load(); turn++ {
			r, err := h.node(i).Get(t.Context(), p, []store.Key{"d/a", "d/b"}[turn%2])
			if err != nil {
				return err
			}
			n, _ := strconv.Atoi(string(r.Value))
			if n < last {
				return fmt.Errorf("%s has %d after the other had %d", r.Key, n, last)
			}
			last = n
			if _, err := h.node(i).Get(t.Context(), p, number("o/", n)); err != nil {
				return fmt.Errorf("once record of batch %d: %w", n, err)
			}
		}
		return nil
	})
	if h.PowerLoss != nil {
		h.PowerLoss(t)
		if a, b := h.get(t, p, "d/a"), h.get(t, p, "d/b"); !bytes.Equal(a.Value, b.Value) || string(a.Value) != "150" {
			t.Fatalf("after power loss %s and %s, want 150", a.Value, b.Value)
		}
	}
}

func durable(t *testing.T, h *Harness) {
	const p = "durable"
	tok := token()
	h.must(t, p, batch().Create("d", []byte("one"), tok, 0).PutOnce("o/1", []byte("x"), 0))
	h.must(t, p, batch().PutOnce("o/2", []byte("y"), 0))
	h.must(t, p, batch().DeleteOnce("o/1"))
	h.must(t, p, batch().PutOnce("o/4", []byte("z"), 0))
	h.must(t, p, batch().DeleteOnce("o/4").Lazily())
	h.absent(t, p, "o/4") // until a crash, after which either is right
	h.refused(t, p, batch().Create("d", []byte("two"), token(), 0).PutOnce("o/3", nil, 0).Create("d/new", []byte("n"), token(), 0))
	look := func() {
		t.Helper()
		if r := h.get(t, p, "d"); string(r.Value) != "one" || r.Token != tok {
			t.Fatalf("decided record is %+v", r)
		}
		if r := h.get(t, p, "o/2"); string(r.Value) != "y" {
			t.Fatalf("once record is %+v", r)
		}
		h.absent(t, p, "o/1", "o/3", "d/new")
	}
	look()
	if h.PowerLoss != nil {
		h.PowerLoss(t)
		look()
	}
}

// unknownRepeated: a counter raised under its revision, each raise repeated with
// the same token until it is known, ends at the number of raises.
func unknownRepeated(t *testing.T, h *Harness) {
	const p, raises = "repeat", 20
	h.must(t, p, batch().Create("d", []byte("0"), token(), 0))
	for n := 1; n <= raises; n++ {
		before, tok := h.get(t, p, "d"), token()
		raise := func() *store.Batch {
			return batch().Replace("d", before.Rev, []byte(strconv.Itoa(n)), tok, 0)
		}
		release, outcome := h.Late(t, p, raise())
		if !errors.Is(outcome, store.ErrUnknown) {
			t.Fatalf("commit given up: %v, want unknown", outcome)
		}
		if n%2 == 0 { // the repeat comes after the effect
			release()
			h.refused(t, p, raise())
		} else { // or races it
			done := make(chan error, 1)
			go func() { done <- h.node(1).Commit(t.Context(), p, raise()) }()
			release()
			if err := <-done; err != nil {
				if _, ok := errors.AsType[*store.Refused](err); !ok {
					t.Fatal(err)
				}
			}
		}
		after := h.get(t, p, "d")
		if after.Token != tok || after.Rev != before.Rev+1 || string(after.Value) != strconv.Itoa(n) {
			t.Fatalf("raise %d left %+v", n, after)
		}
	}
}

func unknownLater(t *testing.T, h *Harness) {
	const p = "later"
	h.must(t, p, batch().Create("d", []byte("base"), token(), 0))
	rev := h.get(t, p, "d").Rev
	first, second := token(), token()
	release, outcome := h.Late(t, p, batch().Replace("d", rev, []byte("late"), first, 0).PutOnce("o/late", []byte("l"), 0))
	if !errors.Is(outcome, store.ErrUnknown) {
		t.Fatalf("commit given up: %v, want unknown", outcome)
	}
	done := make(chan error, 2)
	go func() { done <- h.node(0).Commit(t.Context(), p, batch().PutOnce("o/other", []byte("o"), 0)) }()
	go func() {
		done <- h.node(0).Commit(t.Context(), p, batch().Replace("d", rev, []byte("rival"), second, 0).PutOnce("o/rival", []byte("r"), 0))
	}()
	release()
	var refused bool
	for range 2 {
		if err := <-done; err != nil {
			if _, ok := errors.AsType[*store.Refused](err); !ok {
				t.Fatal(err)
			}
			refused = true
		}
	}
	h.get(t, p, "o/other")
	// Exactly one of the two has won, with all of its batch.
	switch r := h.get(t, p, "d"); {
	case r.Token == first && refused:
		h.get(t, p, "o/late")
		h.absent(t, p, "o/rival")
	case r.Token == second && !refused:
		h.get(t, p, "o/rival")
		h.absent(t, p, "o/late")
	default:
		t.Fatalf("rival refused %v, but the record is %+v", refused, r)
	}
}
