package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/reseal/reseal/store"
)

func oneWinner(t *testing.T, h *Harness) {
	for round := range 20 {
		p := store.Partition(fmt.Sprintf("winner/%d", round))
		race := func(make func(i int) *store.Batch) {
			t.Helper()
			var winners atomic.Int32
			together(t, 12, func(i int) error {
				err := h.node(i).Commit(t.Context(), p, make(i))
				if err == nil {
					winners.Add(1)
					return nil
				}
				if _, ok := errors.AsType[*store.Refused](err); !ok {
					return err
				}
				return nil
			})
			if n := winners.Load(); n != 1 {
				t.Fatalf("round %d: %d commits won the condition", round, n)
			}
		}
		race(func(i int) *store.Batch {
			return batch().Create("d", []byte{byte(i + 1)}, token(), 0).PutOnce(number("o/", i), nil, 0)
		})
		rev := h.get(t, p, "d").Rev
		race(func(i int) *store.Batch { return batch().Replace("d", rev, []byte{byte(i + 1)}, token(), 0) })
		if n := len(h.all(t, p)); n != 2 {
			t.Fatalf("%d records, want the decided one and the winner's", n)
		}
	}
}

func refusedCurrent(t *testing.T, h *Harness) {
	const p = "refused"
	tok := token()
	h.must(t, p, batch().Create("d/here", []byte("v"), tok, h.Clock.In(1e12)).Create("d/empty", []byte("v"), token(), 0))
	h.must(t, p, batch().RevIs("d/empty", h.get(t, p, "d/empty").Rev).Gone("d/empty", tok, 0))
	here, empty := h.get(t, p, "d/here"), h.get(t, p, "d/empty")
	r := h.refused(t, p, batch().Absent("d/none").RevIs("d/here", here.Rev).Absent("d/empty").RevIs("d/gone", 7))
	if len(r.Current) != 4 {
		t.Fatalf("%d records for 4 conditions", len(r.Current))
	}
	for i, k := range []store.Key{"d/none", "d/here", "d/empty", "d/gone"} {
		if r.Current[i].Key != k {
			t.Fatalf("record %d is %q, want %q", i, r.Current[i].Key, k)
		}
	}
	if got, ok := r.Find("d/here"); !ok || got.Rev != here.Rev || string(got.Value) != "v" || got.Token != tok || got.Expires != here.Expires {
		t.Fatalf("condition that held: %+v", got)
	}
	if got, ok := r.Find("d/empty"); !ok || got.Rev != empty.Rev || !got.Gone() {
		t.Fatalf("gone record: %+v", got)
	}
	for _, k := range []store.Key{"d/none", "d/gone"} {
		if got, ok := r.Find(k); ok || got.Present() {
			t.Fatalf("absent record: %+v", got)
		}
	}
}

func conditionElsewhere(t *testing.T, h *Harness) {
	const p = "elsewhere"
	h.must(t, p, batch().Create("d/state", []byte("live"), token(), 0))
	rev := h.get(t, p, "d/state").Rev
	h.must(t, p, batch().RevIs("d/state", rev).PutOnce("o/ref", nil, 0))
	h.must(t, p, batch().RevIs("d/state", rev)) // checks, writes nothing
	h.must(t, p, batch().Replace("d/state", rev, []byte("dying"), token(), 0))
	h.refused(t, p, batch().RevIs("d/state", rev).PutOnce("o/ref2", nil, 0))
	h.refused(t, p, batch().RevIs("d/state", rev))
	h.refused(t, p, batch().Absent("d/state").Create("d/x", []byte("x"), token(), 0))
	h.absent(t, p, "o/ref2", "d/x")
	// A reference and a condemnation in flight together: never both.
	together(t, 2, func(i int) error {
		for n := range 100 {
			q := store.Partition(fmt.Sprintf("collect/%d", n))
			b := batch().Absent("d/condemned").Create(number("d/", i), []byte("ref"), token(), 0)
			if i == 1 {
				b = batch().Absent(number("d/", 0)).Create("d/condemned", []byte("c"), token(), 0)
			}
			err := h.node(i).Commit(t.Context(), q, b)
			if _, ok := errors.AsType[*store.Refused](err); err != nil && !ok {
				return err
			}
		}
		return nil
	})
	for n := range 100 {
		if rs := h.all(t, store.Partition(fmt.Sprintf("collect/%d", n))); len(rs) != 1 {
			t.Fatalf("round %d: %d records, want one of the two", n, len(rs))
		}
	}
}

func decidedNeedsCondition(t *testing.T, h *Harness) {
	const p = "kinds"
	h.must(t, p, batch().Create("d", []byte("v"), token(), 0).PutOnce("o/1", []byte("v"), 0))
	for name, c := range map[string]struct {
		batch *store.Batch
		want  error
	}{
		"plain put of decided":         {batch().Put("d", []byte("x"), token(), 0), store.ErrBatch},
		"plain gone of decided":        {batch().Gone("d", token(), 0), store.ErrBatch},
		"condition on another":         {batch().Absent("d/other").Put("d", []byte("x"), token(), 0), store.ErrBatch},
		"decided put as once":          {batch().PutOnce("d", []byte("x"), 0), store.ErrKind},
		"decided deleted":              {batch().DeleteOnce("d"), store.ErrKind},
		"once put as decided":          {batch().Create("o/1", []byte("x"), token(), 0), store.ErrKind},
		"condition on once":            {batch().Absent("o/2").PutOnce("o/2", nil, 0), store.ErrKind},
		"once delete under condition":  {batch().Absent("d/other").DeleteOnce("o/1"), store.ErrBatch},
		"put that need not last":       {batch().PutOnce("o/2", nil, 0).Lazily(), store.ErrBatch},
		"condition that need not last": {batch().RevIs("d", 1).Lazily(), store.ErrBatch},
		"unknown key":                  {batch().PutOnce("zzz", nil, 0), store.ErrKind},
		"longer than an exact rule":    {batch().Create("dd", []byte("x"), token(), 0), store.ErrKind},
		"no token":                     {batch().Create("d/n", []byte("x"), store.Token{}, 0), store.ErrBatch},
		"empty decided value":          {batch().Create("d/n", []byte{}, token(), 0), store.ErrBatch},
		"nil decided value":            {batch().Create("d/n", nil, token(), 0), store.ErrBatch},
		"revision 0":                   {batch().Replace("d/n", 0, []byte("x"), token(), 0), store.ErrBatch},
		"written twice":                {batch().PutOnce("o/2", nil, 0).PutOnce("o/2", nil, 0), store.ErrBatch},
		"put and deleted":              {batch().PutOnce("o/2", nil, 0).DeleteOnce("o/2"), store.ErrBatch},
		"two conditions on one record": {batch().Absent("d/n").RevIs("d/n", 1), store.ErrBatch},
		"empty batch":                  {batch(), store.ErrBatch},
		"nil batch":                    {nil, store.ErrBatch},
		"negative expiry":              {batch().PutOnce("o/2", nil, -1), store.ErrBatch},
	} {
		if err := h.node(0).Commit(t.Context(), p, c.batch); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := h.node(0).Get(t.Context(), p, "zzz"); !errors.Is(err, store.ErrKind) {
		t.Errorf("get of an unknown key: %v", err)
	}
	if rs := h.all(t, p); len(rs) != 2 || string(rs[0].Value) != "v" || string(rs[1].Value) != "v" {
		t.Fatalf("refused batches left %+v", rs)
	}
}

func commitThenLook(t *testing.T, h *Harness) {
	for round := range 150 {
		p := store.Partition(fmt.Sprintf("look/%d", round))
		var seen atomic.Int32
		together(t, 2, func(i int) error {
			mine, other := number("o/", i), number("o/", 1-i)
			if err := h.node(i).Commit(t.Context(), p, batch().PutOnce(mine, nil, 0)); err != nil {
				return err
			}
			_, err := h.node(i).Get(t.Context(), p, other)
			if errors.Is(err, store.ErrAbsent) {
				return nil
			}
			seen.Add(1)
			return err
		})
		if seen.Load() == 0 {
			t.Fatalf("round %d: neither writer saw the other", round)
		}
	}
}

func cancelling(t *testing.T, h *Harness) {
	const p = "cancel"
	h.must(t, p, batch().Create("d", []byte("v"), token(), 0))
	rev := h.get(t, p, "d").Rev
	for name, b := range map[string]*store.Batch{
		"would be refused":   batch().Create("d", []byte("x"), token(), 0),
		"would be committed": batch().Replace("d", rev, []byte("x"), token(), 0),
	} {
		err := h.node(0).Commit(cancelled(t), p, b)
		_, refused := errors.AsType[*store.Refused](err)
		if !errors.Is(err, store.ErrUnknown) || !errors.Is(err, context.Canceled) || refused {
			t.Errorf("%s, already cancelled: %v, want unknown", name, err)
		}
	}
	release, outcome := h.Late(t, p, batch().Create("d/late", []byte("x"), token(), 0))
	if _, refused := errors.AsType[*store.Refused](outcome); !errors.Is(outcome, store.ErrUnknown) || refused {
		t.Errorf("cancelled on the way: %v, want unknown", outcome)
	}
	release()
	if _, err := h.node(0).Get(cancelled(t), p, "d"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled get: %v", err)
	}
	if _, err := h.node(0).Range(cancelled(t), p, "", "", 1, false); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled range: %v", err)
	}
}
