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

// faulty is the store with faults. Each part of an interleaving has its own
// count of commits and its own death; otherwise everything is part 0.
type faulty struct {
	*memory.Store
	part    int
	commits map[int]int
	dead    map[int]bool // until the call is over
	// plan tells what happens at the nth commit of a part.
	plan func(part, n int) Fault
	next Fault
	// failing tells whether the nth read of a part fails.
	failing func(part, n int) bool
	fired   bool        // what was planned last has happened
	reads   map[int]int // of a part
	// lates counts the commits that were to happen later.
	lates int
	// traced is told of each commit of a call.
	traced func(p store.Partition, b *store.Batch, err error)
	// pause is called before the first commit of a part and after each.
	pause func()
}

func (f *faulty) outcome(store.Partition, *store.Batch) memory.Outcome {
	defer func() { f.next = None }()
	switch f.next {
	case UnknownNow:
		return memory.Now
	case UnknownLater:
		f.lates++
		return memory.Later
	case UnknownNever:
		return memory.Never
	}
	return memory.Known
}

// streaming marks the context of an event stream. Streams run side by side, so
// a fault of theirs would come in an order that no seed decides.
type streaming struct{}

func (f *faulty) Commit(ctx context.Context, p store.Partition, b *store.Batch) error {
	if ctx.Value(streaming{}) != nil {
		return f.Store.Commit(ctx, p, b)
	}
	if f.dead[f.part] {
		return store.ErrFailed
	}
	n := f.commits[f.part]
	f.commits[f.part]++
	if f.pause != nil && n == 0 {
		f.pause()
	}
	err := f.commit(ctx, n, p, b)
	if f.pause != nil {
		f.pause()
	}
	return err
}

func (f *faulty) commit(ctx context.Context, n int, p store.Partition, b *store.Batch) error {
	fault := None
	if f.plan != nil {
		fault = f.plan(f.part, n)
	}
	switch fault {
	case DieBefore:
		f.dead[f.part] = true
		return store.ErrFailed
	case DieAfter:
		f.trace(p, b, f.Store.Commit(ctx, p, b))
		f.dead[f.part] = true
		return store.ErrFailed
	}
	f.next = fault
	err := f.Store.Commit(ctx, p, b)
	f.trace(p, b, err)
	return err
}

func (f *faulty) trace(p store.Partition, b *store.Batch, err error) {
	if f.traced != nil {
		f.traced(p, b, err)
	}
}

func (f *faulty) Get(ctx context.Context, p store.Partition, k store.Key) (store.Record, error) {
	if f.readFails(ctx) {
		return store.Record{}, store.ErrFailed
	}
	return f.Store.Get(ctx, p, k)
}

func (f *faulty) Range(ctx context.Context, p store.Partition, from, to store.Key, limit int, keysOnly bool) ([]store.Record, error) {
	if f.readFails(ctx) {
		return nil, store.ErrFailed
	}
	return f.Store.Range(ctx, p, from, to, limit, keysOnly)
}

func (f *faulty) readFails(ctx context.Context) bool {
	if ctx.Value(streaming{}) != nil {
		return false
	}
	n := f.reads[f.part]
	f.reads[f.part]++
	return f.dead[f.part] || f.failing != nil && f.failing(f.part, n)
}

// FailRead lets the nth read of a part of the next interleaving fail, counted
// from 0. Its handler goes on. A death at a read is the one at the commit after
// it: no effect lies between.
func (w *World) FailRead(part, n int) {
	clear(w.store.reads)
	w.store.fired = false
	w.store.failing = func(p, i int) bool {
		hit := p == part && i == n
		w.store.fired = w.store.fired || hit
		return hit
	}
}

// Fired tells whether the fault of the last FailAt or FailRead has happened.
func (w *World) Fired() bool { return w.store.fired }

// Reads is how many reads a part of the last interleaving made.
func (w *World) Reads(part int) int { return w.store.reads[part] }

// FailAt lets a fault happen at the nth commit of a part of the next
// interleaving, counted from 0.
func (w *World) FailAt(part, n int, fault Fault) {
	clear(w.store.commits)
	w.store.fired = false
	w.store.plan = func(p, i int) Fault {
		if p == part && i == n {
			w.store.fired = fault != None
			return fault
		}
		return None
	}
}

// Interleave runs parts side by side, one at a time: order names whose turn it
// is. Part 0 has its turns end before its first commit and after each commit;
// the others run through. What is not over when the order is runs to its end.
func (w *World) Interleave(order []int, parts ...func()) {
	turn, back := make([]chan struct{}, len(parts)), make(chan bool)
	over := make([]bool, len(parts))
	clear(w.store.commits)
	clear(w.store.reads)
	for i, f := range parts {
		turn[i] = make(chan struct{})
		go func() {
			<-turn[i]
			f()
			back <- true
		}()
	}
	w.store.pause = func() {
		if w.store.part == 0 {
			back <- false
			<-turn[0]
		}
	}
	run := func(i int) {
		w.store.part = i
		turn[i] <- struct{}{}
		over[i] = <-back
	}
	for _, i := range order {
		if !over[i] {
			run(i)
		}
	}
	for i := range parts {
		for !over[i] {
			run(i)
		}
	}
	w.store.pause, w.store.part = nil, 0
}

// Settle ends all faults and lets late commits take effect.
func (w *World) Settle() {
	w.store.plan, w.store.failing = nil, nil
	w.store.Release()
}

// Faulty lets a fault happen at each commit as plan says; n counts from 0.
func (w *World) Faulty(plan func(n int) Fault) {
	w.store.plan = func(_, n int) Fault { return plan(n) }
}

// Dark is a loss of power below the store: what late commits were to do has
// happened, or never will.
func (w *World) Dark(happened bool) {
	if happened {
		w.store.Release()
		return
	}
	w.store.Forget()
}

// Release lets late commits take effect. Other faults go on.
func (w *World) Release() { w.store.Release() }
