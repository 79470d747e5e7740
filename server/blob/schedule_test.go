package blob_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/server/blob"
	"github.com/reseal/reseal/server/blob/folder"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// stepped is a store whose every call waits for its turn, so that one schedule
// decides the order of all calls of all actors.
type stepped struct {
	store.Store
	waiting chan int
	turns   []chan struct{}
}

type actorKey struct{}

func (s *stepped) wait(ctx context.Context) {
	if n, ok := ctx.Value(actorKey{}).(int); ok {
		s.waiting <- n
		<-s.turns[n]
	}
}

func (s *stepped) Get(ctx context.Context, p store.Partition, k store.Key) (store.Record, error) {
	s.wait(ctx)
	return s.Store.Get(ctx, p, k)
}

func (s *stepped) Range(ctx context.Context, p store.Partition, from, to store.Key, limit int, keys bool) ([]store.Record, error) {
	s.wait(ctx)
	return s.Store.Range(ctx, p, from, to, limit, keys)
}

func (s *stepped) Commit(ctx context.Context, p store.Partition, b *store.Batch) error {
	s.wait(ctx)
	return s.Store.Commit(ctx, p, b)
}

// play runs the actors; pick chooses among those that wait.
func (s *stepped) play(pick func(n int) int, actors ...func(context.Context)) {
	s.waiting, s.turns = make(chan int), nil
	done := make(chan int)
	for range actors {
		s.turns = append(s.turns, make(chan struct{}))
	}
	for n, run := range actors {
		go func() {
			run(context.WithValue(ctx, actorKey{}, n))
			done <- n
		}()
	}
	running := len(actors)
	var ready []int
	for {
		for len(ready) < running {
			select {
			case n := <-s.waiting:
				ready = append(ready, n)
			case <-done:
				running--
			}
		}
		if running == 0 {
			return
		}
		// The order in which goroutines arrived must not matter.
		for i := range ready {
			for j := i; j > 0 && ready[j] < ready[j-1]; j-- {
				ready[j], ready[j-1] = ready[j-1], ready[j]
			}
		}
		i := pick(len(ready))
		n := ready[i]
		ready = append(ready[:i], ready[i+1:]...)
		s.turns[n] <- struct{}{}
	}
}

// schedules enumerates all orders: each run follows the choices so far and then
// takes the first, and records how many there were.
func schedules(limit int, run func(pick func(int) int)) int {
	var choice, width []int
	for total := 1; ; total++ {
		at := 0
		run(func(n int) int {
			if at == len(choice) {
				choice, width = append(choice, 0), append(width, n)
			}
			at++
			return choice[at-1]
		})
		choice, width = choice[:at], width[:at]
		for len(choice) > 0 && choice[len(choice)-1]+1 == width[len(width)-1] {
			choice, width = choice[:len(choice)-1], width[:len(width)-1]
		}
		if len(choice) == 0 || total == limit {
			return total
		}
		choice[len(choice)-1]++
	}
}

// race is a world whose store is stepped, with several nodes.
func race(t *testing.T, outcome func() memory.Outcome) (*world, *stepped) {
	w := newWorld(t)
	mem, err := memory.New(blob.Schema, memory.Options{Clock: w.clock, Outcome: func(store.Partition, *store.Batch) memory.Outcome { return outcome() }})
	if err != nil {
		t.Fatal(err)
	}
	w.mem = mem
	s := &stepped{Store: mem}
	w.store = &faulty{Store: s}
	w.start()
	return w, s
}

func known() memory.Outcome { return memory.Known }

// A send adds a reference while the collector comes by because of the grace.
func TestEveryOrderOfSendAndCollect(t *testing.T) {
	c := newContent(1, 50)
	kept, lost := 0, 0
	total := schedules(20000, func(pick func(int) int) {
		w, s := race(t, known)
		w.mustUpload(c)
		w.pass(blob.Grace + time.Second)
		var err error
		s.play(pick,
			func(ctx context.Context) {
				err = w.svc.AddReference(ctx, c.id, cap1, bob, msg(1), identity.TimeOf(w.clock().Add(90*time.Hour)))
			},
			func(ctx context.Context) { sweepDue(ctx, t, w) },
		)
		afterSend(t, w, c, err, &kept, &lost)
	})
	if kept == 0 || lost == 0 {
		t.Fatalf("of %d orders %d kept the blob and %d lost it: the race was not tried", total, kept, lost)
	}
}

// sweepDue is a sweep that skips the empty hours, to keep schedules short: it
// does what the janitor does for one due blob.
func sweepDue(ctx context.Context, t *testing.T, w *world) {
	if err := blob.Collect(ctx, w.svc, newContent(1, 50).id); err != nil && !errors.Is(err, blob.ErrUnavailable) {
		t.Error(err)
	}
}

func afterSend(t *testing.T, w *world, c content, err error, kept, lost *int) {
	t.Helper()
	w.mem.Release()
	switch {
	case err == nil:
		*kept++
		w.readable(c)
		w.settle() // 75 h, under the 90 of the message
		w.readable(c)
		w.pass(24 * time.Hour)
		w.sweep()
	case errors.Is(err, blob.ErrNotFound):
		*lost++
		w.settle()
	case errors.Is(err, blob.ErrUnavailable):
		w.settle()
		w.settle()
	default:
		t.Fatal(err)
	}
	if left := w.disk.Files(); len(left) > 0 {
		t.Fatalf("left on disk: %v", left)
	}
}

// Two nodes collect, one sends, one drops another reference, and a part of the
// commits ends unknown, with their effect now, later or never.
func TestSendAndCollectWithUnknownOutcomes(t *testing.T) {
	c := newContent(1, 50)
	kept, lost := 0, 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		faults := false
		w, s := race(t, func() memory.Outcome {
			if !faults || r.IntN(4) > 0 {
				return memory.Known
			}
			return []memory.Outcome{memory.Now, memory.Later, memory.Never}[r.IntN(3)]
		})
		w.mustUpload(c)
		w.pass(time.Hour)
		if err := w.refer(c, 9, 80*time.Hour); err != nil {
			t.Fatal(err)
		}
		faults = seed%2 == 1
		var err error
		s.play(func(n int) int { return r.IntN(n) },
			func(ctx context.Context) {
				err = w.svc.AddReference(ctx, c.id, cap1, bob, msg(1), identity.TimeOf(w.clock().Add(90*time.Hour)))
			},
			func(ctx context.Context) { _ = w.svc.DropReference(ctx, c.id, alice, msg(9)) },
			func(ctx context.Context) { sweepDue(ctx, t, w) },
			func(ctx context.Context) { sweepDue(ctx, t, w) },
		)
		faults = false
		afterSend(t, w, c, err, &kept, &lost)
		if t.Failed() {
			t.Fatalf("seed %d: go test -run '^%s$'", seed, t.Name())
		}
	}
	if kept == 0 || lost == 0 {
		t.Fatalf("%d kept the blob and %d lost it: the race was not tried", kept, lost)
	}
}

// A node whose clock is behind completes an upload while another gives it up.
func TestEveryOrderOfCompleteAndAbandon(t *testing.T) {
	c := newContent(1, 50)
	won, lost := 0, 0
	schedules(20000, func(pick func(int) int) {
		w, s := race(t, known)
		if err := errors.Join(w.create(c), w.put(c)); err != nil {
			t.Fatal(err)
		}
		w.pass(blob.UploadLife - time.Second)
		dir, err := folder.Open("/data/blobs", folder.Options{FS: w.disk})
		if err != nil {
			t.Fatal(err)
		}
		ahead := w.node(dir, w.store, func() time.Time { return w.clock().Add(2 * time.Second) })
		s.play(pick,
			func(ctx context.Context) { _, err = w.svc.Complete(ctx, alice, c.id) },
			func(ctx context.Context) {
				if err := blob.Abandon(ctx, ahead, alice, c.id); err != nil {
					t.Error(err)
				}
			},
		)
		if err == nil {
			won++
			w.readable(c)
			if err := w.refer(c, 1, time.Hour); err != nil {
				t.Fatal(err)
			}
		} else {
			lost++
			if !errors.Is(err, blob.ErrNotFound) && !errors.Is(err, blob.ErrMissing) {
				t.Fatal(err)
			}
		}
		w.settle()
		if left := w.disk.Files(); len(left) > 0 {
			t.Fatalf("left on disk: %v", left)
		}
	})
	if won == 0 || lost == 0 {
		t.Fatalf("%d completed, %d given up: the race was not tried", won, lost)
	}
}
