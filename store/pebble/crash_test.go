package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/pebble"
	"github.com/reseal/reseal/store/storetest"
)

// The workload: writers that each fill a partition with batches of three
// records, refused ones in between, with flushes and sweeps under way. What was
// handed over and what was answered is kept for each batch.
const (
	writers       = 4
	writerBatches = 24
	refusedEvery  = 4
)

const (
	untouched int32 = iota
	handedOver
	acknowledged
	refused
)

type workload struct {
	clock  *storetest.Clock
	states [writers][writerBatches]atomic.Int32
}

func (w *workload) partition(i int) store.Partition {
	return store.Partition(fmt.Sprintf("crash/%d", i))
}

func counted(prefix string, n int) store.Key { return store.Key(fmt.Sprintf("%s%04d", prefix, n)) }

func value(i, n int) []byte { return bytes.Repeat([]byte{byte(i), byte(n), 1}, 200) }

func crashToken(i, n int) store.Token { return store.Token{byte(i), byte(n), 1} }

// batch n of writer i; every fourth is refused, for its condition is the first
// one's.
func (w *workload) batch(i, n int) *store.Batch {
	b := new(store.Batch).PutOnce(counted("o/", n), value(i, n), 0).
		PutOnce(counted("o/short", n), value(i, n), w.clock.In(time.Minute))
	if n%refusedEvery == 3 {
		return b.Create("d/0000", value(i, n), crashToken(i, n), 0)
	}
	return b.Create(counted("d/", n), value(i, n), crashToken(i, n), 0)
}

// run ends early, with the error, for each writer that meets one.
func (w *workload) run(ctx context.Context, s *pebble.Store) error {
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		wg.Go(func() { errs[i] = w.write(ctx, s, i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (w *workload) write(ctx context.Context, s *pebble.Store, i int) error {
	for n := range writerBatches {
		state := &w.states[i][n]
		state.Store(handedOver)
		err := s.Commit(ctx, w.partition(i), w.batch(i, n))
		_, isRefused := errors.AsType[*store.Refused](err)
		switch {
		case err == nil:
			state.Store(acknowledged)
		case isRefused:
			state.Store(refused)
		case errors.Is(err, store.ErrUnknown):
			return err
		default: // definite: no effect, now or later
			state.Store(refused)
			return err
		}
		if i == 0 && n%8 == 7 {
			if err := s.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

type states [writers][writerBatches]int32

func (w *workload) snapshot() (s states) {
	for i := range w.states {
		for n := range w.states[i] {
			s[i][n] = w.states[i][n].Load()
		}
	}
	return s
}

// check opens what a crash left. before is what had been answered when the
// crash began, after what had been handed over when it was complete.
func (w *workload) check(fs vfs.FS, before, after states) error {
	s, err := pebble.Open(folder, storetest.Schema(), pebble.Options{FS: fs, Clock: w.clock.Now, SweepEvery: -1})
	if err != nil {
		return err
	}
	defer s.Close()
	ctx := context.Background()
	for i := range writers {
		have := map[store.Key]store.Record{}
		for r, err := range store.Scan(ctx, s, w.partition(i), "", "", false) {
			if err != nil {
				return err
			}
			have[r.Key] = r
		}
		for n := range writerBatches {
			found := 0
			for _, k := range []store.Key{counted("o/", n), counted("o/short", n), counted("d/", n)} {
				if r, ok := have[k]; ok {
					found++
					if !bytes.Equal(r.Value, value(i, n)) {
						return fmt.Errorf("writer %d batch %d: %q has other bytes", i, n, k)
					}
					delete(have, k)
				}
			}
			switch {
			case found != 0 && found != 3:
				return fmt.Errorf("writer %d batch %d: %d records of 3", i, n, found)
			case before[i][n] == acknowledged && found == 0:
				return fmt.Errorf("writer %d batch %d: acknowledged and lost", i, n)
			case found != 0 && (after[i][n] == untouched || after[i][n] == refused || n%refusedEvery == 3):
				return fmt.Errorf("writer %d batch %d: refused or never sent, yet there", i, n)
			}
		}
		if len(have) != 0 {
			return fmt.Errorf("writer %d: %d records nobody wrote", i, len(have))
		}
	}
	// It goes on from there: a write, an expiry with its index, a sweep.
	err = s.Commit(ctx, "next", new(store.Batch).PutOnce("o/next", nil, 0))
	return errors.Join(err, ctx.Err())
}

// crash is the file system as power loss at one moment leaves it.
type crash struct {
	fs            *vfs.MemFS
	at            string
	before, after states
}

// TestPowerLossAtEveryWrite takes, before every operation that changes the file
// system, what a loss of power would leave: only what was synced, or
// that and a random part of the rest; opens each, and checks it.
func TestPowerLossAtEveryWrite(t *testing.T) {
	seed := rand.Uint64()
	mem := vfs.NewCrashableMem()
	w := &workload{clock: storetest.NewClock()}
	var mu sync.Mutex
	var crashes []crash
	random := rand.New(rand.NewPCG(seed, 0))
	watch := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		config := vfs.CrashCloneCfg{}
		if len(crashes)%2 == 1 {
			config = vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: random}
		}
		c := crash{at: fmt.Sprintf("write %d, %v %s", len(crashes), op.Kind, op.Path), before: w.snapshot()}
		c.fs = mem.CrashClone(config)
		c.after = w.snapshot()
		crashes = append(crashes, c)
		return nil
	})
	s := mustOpen(t, pebble.Options{FS: errorfs.Wrap(mem, watch), Clock: w.clock.Now, SweepEvery: -1})
	if err := w.run(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(crashes) < writerBatches {
		t.Fatalf("only %d writes were seen", len(crashes))
	}
	for _, c := range crashes {
		if err := w.check(c.fs, c.before, c.after); err != nil {
			t.Errorf("seed %d, power lost before %s: %v", seed, c.at, err)
		}
	}
	t.Logf("power lost at %d writes", len(crashes))
}

// TestPowerLossInRecovery loses power again at every write of a start after a
// loss of power.
func TestPowerLossInRecovery(t *testing.T) {
	mem := vfs.NewCrashableMem()
	w := &workload{clock: storetest.NewClock()}
	s := mustOpen(t, pebble.Options{FS: mem, Clock: w.clock.Now, SweepEvery: -1})
	if err := w.run(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	lost := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // Pebble writes from several goroutines
	all, n := w.snapshot(), 0
	watch := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			mu.Lock()
			defer mu.Unlock()
			n++
			if err := w.check(lost.CrashClone(vfs.CrashCloneCfg{}), all, all); err != nil {
				t.Errorf("write %d of recovery: %v", n, err)
			}
		}
		return nil
	})
	again := mustOpen(t, pebble.Options{FS: errorfs.Wrap(lost, watch), Clock: w.clock.Now, SweepEvery: -1})
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if n < 3 {
		t.Fatalf("only %d writes were seen", n)
	}
}

// TestErrorAtEveryWrite makes one write after the other fail, once or from then
// on, with and without space left. The process lives, what was acknowledged
// is there after a restart, and what the store says holds.
func TestErrorAtEveryWrite(t *testing.T) {
	for _, fault := range []struct {
		name  string
		err   error
		stays bool
	}{{"once", syscall.EIO, false}, {"for good", syscall.EIO, true}, {"no space", syscall.ENOSPC, true}} {
		t.Run(fault.name, func(t *testing.T) {
			for at := int64(0); ; at++ {
				if !failAt(t, at, fault.err, fault.stays) {
					if at < writerBatches {
						t.Fatalf("the workload made only %d writes", at)
					}
					return
				}
			}
		})
	}
}

// failAt reports whether there was a write number at.
func failAt(t *testing.T, at int64, fault error, stays bool) (hit bool) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	w := &workload{clock: storetest.NewClock()}
	var writes atomic.Int64
	var where atomic.Value
	inject := errorfs.InjectorFunc(func(op errorfs.Op) error {
		// Failing to close or lock says nothing about the disk.
		if op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpFileClose || op.Kind == errorfs.OpLock {
			return nil
		}
		if n := writes.Add(1) - 1; n == at || (stays && n > at) {
			if n == at {
				where.Store(fmt.Sprintf("%v %s", op.Kind, op.Path))
			}
			return &os.PathError{Op: "write", Path: op.Path, Err: fault}
		}
		return nil
	})
	s, err := pebble.Open(folder, storetest.Schema(), pebble.Options{FS: errorfs.Wrap(mem, inject), Clock: w.clock.Now, SweepEvery: -1})
	if err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.run(ctx, s); errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("write %d (%v) failed: a commit was never answered", at, where.Load())
		}
		select {
		case <-s.Failed():
			_, err := s.Get(t.Context(), "next", "o/next")
			if !errors.Is(err, store.ErrFailed) {
				t.Errorf("write %d (%v) failed: get after it: %v", at, where.Load(), err)
			}
		default:
		}
	}
	all := w.snapshot()
	lost := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := w.check(lost, all, all); err != nil {
		t.Errorf("write %d (%v) failed with %v: %v", at, where.Load(), fault, err)
	}
	if s != nil {
		if err := s.Close(); err != nil && strings.Contains(err.Error(), "closed") {
			t.Error(err)
		}
	}
	return where.Load() != nil
}
