package world

import (
	"context"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// Fault is what happens to the server at a commit.
type Fault uint8

// The faults. After a death the rest of the call finds no store, and the caller
// no answer.
const (
	None         Fault = iota
	DieBefore          // the handler dies before the commit
	DieAfter           // the commit is durable, then the handler dies
	UnknownNow         // it happened, and nobody says so
	UnknownLater       // it happens when [World.Settle] is called
	UnknownNever       // it never happens, and nobody says so
)

// Faults are all that are not None, for tests that try each.
var Faults = []Fault{DieBefore, DieAfter, UnknownNow, UnknownLater, UnknownNever}

// String names a fault.
func (f Fault) String() string {
	return [...]string{"none", "death before", "death after", "unknown, now", "unknown, later", "unknown, never"}[f]
}

// faulty is the store with faults.
type faulty struct {
	*memory.Store
	commits int
	// plan tells what happens at the nth commit from now on, counted from 0.
	plan func(n int, p store.Partition, b *store.Batch) Fault
	next Fault
	dead bool // until the call is over
}

func (f *faulty) outcome(store.Partition, *store.Batch) memory.Outcome {
	defer func() { f.next = None }()
	switch f.next {
	case UnknownNow:
		return memory.Now
	case UnknownLater:
		return memory.Later
	case UnknownNever:
		return memory.Never
	}
	return memory.Known
}

func (f *faulty) Commit(ctx context.Context, p store.Partition, b *store.Batch) error {
	if f.dead {
		return store.ErrFailed
	}
	fault := None
	if f.plan != nil {
		fault = f.plan(f.commits, p, b)
	}
	f.commits++
	switch fault {
	case DieBefore:
		f.dead = true
		return store.ErrFailed
	case DieAfter:
		_ = f.Store.Commit(ctx, p, b)
		f.dead = true
		return store.ErrFailed
	}
	f.next = fault
	return f.Store.Commit(ctx, p, b)
}

func (f *faulty) Get(ctx context.Context, p store.Partition, k store.Key) (store.Record, error) {
	if f.dead {
		return store.Record{}, store.ErrFailed
	}
	return f.Store.Get(ctx, p, k)
}

func (f *faulty) Range(ctx context.Context, p store.Partition, from, to store.Key, limit int, keysOnly bool) ([]store.Record, error) {
	if f.dead {
		return nil, store.ErrFailed
	}
	return f.Store.Range(ctx, p, from, to, limit, keysOnly)
}

// FailAt lets a fault happen at the nth commit of the server from now on,
// counted from 0, and at none after it.
func (w *World) FailAt(n int, fault Fault) {
	w.store.commits = 0
	w.store.plan = func(i int, _ store.Partition, _ *store.Batch) Fault {
		if i == n {
			return fault
		}
		return None
	}
}

// Commits is how many commits there were since FailAt.
func (w *World) Commits() int { return w.store.commits }

// Settle ends all faults and lets late commits take effect.
func (w *World) Settle() {
	w.store.plan = nil
	w.store.Release()
}
