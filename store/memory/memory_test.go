package memory_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
	"github.com/reseal/reseal/store/storetest"
)

// open makes three nodes whose clocks are as far apart as is allowed. Every
// commit that outcome names ends unknown.
func open(t *testing.T, outcome func() memory.Outcome) *storetest.Harness {
	clock := storetest.NewClock()
	var late atomic.Bool
	s, err := memory.New(storetest.Schema(), memory.Options{
		Clock: clock.Now,
		Outcome: func(store.Partition, *store.Batch) memory.Outcome {
			if late.Swap(false) {
				return memory.Later
			}
			return outcome()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	half := store.ClockTolerance / 2
	return &storetest.Harness{
		Nodes:    []store.Store{s, s.Node(clock.Skewed(half)), s.Node(clock.Skewed(-half))},
		Clock:    clock,
		Examined: s.Examined,
		Late: func(t *testing.T, p store.Partition, b *store.Batch) (func(), error) {
			late.Store(true)
			err := s.Commit(t.Context(), p, b)
			return func() { s.Release() }, err
		},
	}
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *storetest.Harness {
		return open(t, func() memory.Outcome { return memory.Known })
	})
}

// TestLinearizableWhenUnsure has every fifth commit end unknown, with effect at
// once, later or never.
func TestLinearizableWhenUnsure(t *testing.T) {
	var n atomic.Uint64
	h := open(t, func() memory.Outcome {
		switch n.Add(1) % 15 {
		case 4:
			return memory.Now
		case 9:
			return memory.Later
		case 14:
			return memory.Never
		}
		return memory.Known
	})
	node := h.Nodes[0].(*memory.Store)
	storetest.RunLinearizable(t, h, func() { node.Release() })
}

func TestForget(t *testing.T) {
	s, err := memory.New(storetest.Schema(), memory.Options{Outcome: func(store.Partition, *store.Batch) memory.Outcome { return memory.Later }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), "p", new(store.Batch).PutOnce("o/a", []byte("a"), 0)); !errors.Is(err, store.ErrUnknown) {
		t.Fatalf("late: %v", err)
	}
	if n := s.Forget(); n != 1 {
		t.Errorf("forgot %d, want 1", n)
	}
	if n := s.Release(); n != 0 {
		t.Errorf("%d took effect after that", n)
	}
	if _, err := s.Get(t.Context(), "p", "o/a"); !errors.Is(err, store.ErrAbsent) {
		t.Errorf("what was forgotten is there: %v", err)
	}
}
