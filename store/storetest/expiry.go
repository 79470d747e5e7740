package storetest

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/reseal/reseal/store"
)

// pass moves the clock by d, and a little at the edges, so that all nodes agree.
func (h *Harness) pass(d time.Duration) { h.Clock.Move(d + store.ClockTolerance) }

func (h *Harness) sweep(t *testing.T) {
	if h.Sweep != nil {
		h.Sweep(t)
		return
	}
	h.must(t, "sweep", batch().PutOnce("o/sweep", nil, 0))
}

func expiredIsAbsent(t *testing.T, h *Harness) {
	const p = "expiry"
	end := h.Clock.In(time.Minute)
	h.must(t, p, batch().Create("d/e", []byte("v"), token(), end).PutOnce("o/e", []byte("v"), end).PutOnce("o/stays", nil, 0))
	rev := h.get(t, p, "d/e").Rev
	if r := h.get(t, p, "o/e"); r.Expires != end {
		t.Fatalf("expiry %d, want %d", r.Expires, end)
	}
	h.Clock.Move(time.Minute - 2*store.ClockTolerance)
	h.get(t, p, "d/e")
	h.get(t, p, "o/e")
	h.pass(2 * store.ClockTolerance)
	gone := func() {
		t.Helper()
		h.absent(t, p, "d/e", "o/e")
		if rs := h.all(t, p); len(rs) != 1 || rs[0].Key != "o/stays" {
			t.Fatalf("range has %+v", rs)
		}
		r := h.refused(t, p, batch().RevIs("d/e", rev).PutOnce("o/x", nil, 0))
		if _, present := r.Find("d/e"); present {
			t.Fatalf("refusal shows the expired record: %+v", r.Current)
		}
		h.must(t, p, batch().Absent("d/e"))
	}
	gone()
	h.Clock.Move(time.Hour)
	h.sweep(t)
	gone()
	if h.PowerLoss != nil {
		h.PowerLoss(t)
		gone()
	}
	// What is written with an expiry in the past was never there.
	h.must(t, p, batch().PutOnce("o/past", []byte("v"), h.Clock.In(-time.Minute)))
	h.absent(t, p, "o/past")
}

func wonAgain(t *testing.T, h *Harness) {
	const p = "again"
	for _, swept := range []bool{false, true} {
		for round := range 3 {
			value := []byte{byte(round + 1)}
			tok, end := token(), h.Clock.In(time.Minute)
			h.must(t, p, batch().Create("d", value, tok, end).PutOnce("o/1", value, end))
			h.refused(t, p, batch().Create("d", []byte("late"), token(), end))
			if r := h.get(t, p, "d"); !bytes.Equal(r.Value, value) || r.Token != tok {
				t.Fatalf("round %d: %+v", round, r)
			}
			if r := h.get(t, p, "o/1"); !bytes.Equal(r.Value, value) {
				t.Fatalf("round %d: %+v", round, r)
			}
			h.pass(time.Minute)
			if swept {
				h.Clock.Move(time.Hour)
				h.sweep(t)
			}
			// No row without a value, nor any other, is left to show.
			if rs := h.all(t, p); len(rs) != 0 {
				t.Fatalf("left over: %+v", rs)
			}
		}
	}
	// A longer expiry written later is the one that counts.
	h.must(t, p, batch().Create("d", []byte("short"), token(), h.Clock.In(time.Minute)))
	h.must(t, p, batch().Replace("d", h.get(t, p, "d").Rev, []byte("long"), token(), h.Clock.In(24*time.Hour)))
	h.must(t, p, batch().Create("d/never", []byte("short"), token(), h.Clock.In(time.Minute)))
	h.must(t, p, batch().Replace("d/never", h.get(t, p, "d/never").Rev, []byte("never"), token(), 0))
	h.pass(time.Hour)
	h.sweep(t)
	if r := h.get(t, p, "d"); string(r.Value) != "long" {
		t.Fatalf("after the first expiry: %+v", r)
	}
	h.Clock.Move(1000 * time.Hour)
	h.sweep(t)
	h.absent(t, p, "d")
	h.get(t, p, "d/never")
}

// revisions: over replacing, gone, expiry and sweep no revision comes back.
func revisions(t *testing.T, h *Harness) {
	const p = "rev"
	var last uint64
	wrote := func(r store.Record) {
		t.Helper()
		if r.Rev <= last {
			t.Fatalf("revision %d after %d", r.Rev, last)
		}
		last = r.Rev
	}
	for round := range 4 {
		h.must(t, p, batch().Create("d", []byte("a"), token(), h.Clock.In(time.Hour)))
		wrote(h.get(t, p, "d"))
		h.must(t, p, batch().Replace("d", last, []byte("b"), token(), h.Clock.In(time.Hour)))
		r := h.get(t, p, "d")
		if r.Rev != last+1 {
			t.Fatalf("revision %d under RevIs %d", r.Rev, last)
		}
		wrote(r)
		h.must(t, p, batch().RevIs("d", last).Gone("d", token(), h.Clock.In(time.Minute)))
		wrote(h.get(t, p, "d"))
		h.refused(t, p, batch().Replace("d", last-1, []byte("old"), token(), 0))
		h.pass(time.Minute)
		h.must(t, p, batch().Create("d", []byte("c"), token(), h.Clock.In(time.Minute)))
		wrote(h.get(t, p, "d"))
		h.Clock.Move(time.Hour)
		h.sweep(t)
		h.absent(t, p, "d")
		if h.PowerLoss != nil && round%2 == 1 {
			// A sweep by itself need not be durable; what is committed
			// behind it is, and takes it along.
			h.must(t, p, batch().PutOnce(number("o/", round), nil, 0))
			h.PowerLoss(t)
		}
	}
}

func deleteWins(t *testing.T, h *Harness) {
	const p = "delete"
	for i, k := range []store.Key{"o/1", "o/2", "o/3", "o/4"} {
		if err := h.node(i).Commit(t.Context(), p, batch().PutOnce(k, []byte("v"), 0)); err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 && len(h.Nodes) == 1 { // the clock is put back in between
			h.Clock.Move(-store.ClockTolerance)
		}
		if err := h.node(i+1).Commit(t.Context(), p, batch().DeleteOnce(k)); err != nil {
			t.Fatal(err)
		}
		h.absent(t, p, k)
	}
	h.must(t, p, batch().DeleteOnce("o/1").DeleteOnce("o/never"))
	// A put of unknown outcome that takes effect late finds the delete.
	release, outcome := h.Late(t, p, batch().PutOnce("o/late", []byte("v"), 0))
	if !errors.Is(outcome, store.ErrUnknown) {
		t.Fatal(outcome)
	}
	done := make(chan error, 1)
	go func() { done <- h.node(0).Commit(t.Context(), p, batch().DeleteOnce("o/late")) }()
	select {
	case err := <-done:
		done <- err
	case <-time.After(20 * time.Millisecond): // it waits behind the put
	}
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	h.absent(t, p, "o/late")
	if h.PowerLoss != nil {
		h.PowerLoss(t)
	}
	h.absent(t, p, "o/1", "o/2", "o/3", "o/4", "o/late")
}

func repeatedPut(t *testing.T, h *Harness) {
	const p = "put"
	b := func() *store.Batch { return batch().PutOnce("o/1", []byte("same"), 0).PutOnce("o/2", nil, 0) }
	for i := range 4 {
		if err := h.node(i).Commit(t.Context(), p, b()); err != nil {
			t.Fatal(err)
		}
	}
	together(t, 8, func(i int) error { return h.node(i).Commit(t.Context(), p, b()) })
	if r := h.get(t, p, "o/1"); string(r.Value) != "same" || r.Rev != 1 || r.Token != (store.Token{}) {
		t.Fatalf("%+v", r)
	}
	err := h.node(0).Commit(t.Context(), p, batch().PutOnce("o/3", []byte("new"), 0).PutOnce("o/1", []byte("other"), 0))
	if !errors.Is(err, store.ErrChanged) {
		t.Fatalf("other bytes under a once key: %v", err)
	}
	h.absent(t, p, "o/3")
	if r := h.get(t, p, "o/1"); string(r.Value) != "same" {
		t.Fatalf("%+v", r)
	}
}
