package pebble_test

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/pebble"
	"github.com/reseal/reseal/store/storetest"
)

// A copy that is made while writers go on has all that was acknowledged before,
// whole batches only, and outlives a loss of power; and the store goes on.
func TestCheckpoint(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := mustOpen(t, pebble.Options{FS: mem, SweepEvery: -1})
	ctx := t.Context()
	var done [4]atomic.Int64
	var stop atomic.Bool
	var all sync.WaitGroup
	for i := range done {
		all.Go(func() {
			for n := 0; !stop.Load(); n++ {
				b := put(counted("o/a", n), "one").PutOnce(counted("o/b", n), []byte("two"), 0)
				if err := s.Commit(ctx, store.Partition(fmt.Sprint(i)), b); err != nil {
					t.Error(err)
					return
				}
				done[i].Store(int64(n) + 1)
			}
		})
	}
	var before [3][4]int64
	for copied := range before {
		for done[0].Load() < int64(copied+1)*50 && !t.Failed() {
			_, _ = s.Get(ctx, "0", "o/a")
		}
		for i := range done {
			before[copied][i] = done[i].Load()
		}
		if err := s.Checkpoint(fmt.Sprint("copies/", copied)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Checkpoint("copies/0"); !errors.Is(err, iofs.ErrExist) {
		t.Errorf("over another copy: %v", err)
	}
	stop.Store(true)
	all.Wait()
	lost := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for copied, want := range before {
		c, err := pebble.Open(fmt.Sprint("copies/", copied), storetest.Schema(), pebble.Options{FS: lost, SweepEvery: -1})
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			p := store.Partition(fmt.Sprint(i))
			var count [2]int64
			for k, prefix := range []store.Key{"o/a", "o/b"} {
				for _, err := range store.Scan(ctx, c, p, prefix, store.PrefixEnd(prefix), true) {
					if err != nil {
						t.Fatal(err)
					}
					count[k]++
				}
			}
			if count[0] != count[1] || count[0] < want[i] || count[0] > done[i].Load() {
				t.Errorf("copy %d, writer %d: %d and %d records of %d or more", copied, i, count[0], count[1], want[i])
			}
		}
		if err := c.Commit(ctx, "new", put("o/new", "v")); err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A copy that fails at any write is an error of the copy: the store goes on, and
// the next copy succeeds.
func TestCheckpointFails(t *testing.T) {
	mem := vfs.NewCrashableMem()
	var at, n atomic.Int64
	at.Store(-1)
	s := mustOpen(t, pebble.Options{SweepEvery: -1, FS: errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !strings.HasPrefix(op.Path, "copies") || op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpFileClose {
			return nil
		}
		if n.Add(1)-1 == at.Load() {
			return syscall.EIO
		}
		return nil
	}))})
	defer s.Close()
	ctx, failed := t.Context(), 0
	for try := range 200 {
		if err := s.Commit(ctx, "p", put(counted("o/", try), "v")); err != nil {
			t.Fatal(err)
		}
		at.Store(int64(try))
		n.Store(0)
		err := s.Checkpoint(fmt.Sprint("copies/", try))
		reached := n.Load() > int64(try)
		at.Store(-1)
		if err != nil {
			failed++
		}
		select {
		case <-s.Failed():
			t.Fatalf("write %d of a copy failed, and the store with it", try)
		default:
		}
		if !reached {
			if err != nil {
				t.Errorf("nothing failed but the copy: %v", err)
			}
			if failed < 5 {
				t.Errorf("%d copies failed", failed)
			}
			return
		}
	}
	t.Error("a copy has no end")
}

// There is no copy when the disk is nearly full, or the store closed.
func TestCheckpointRefused(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := mustOpen(t, pebble.Options{FS: mem, SweepEvery: -1, MinFree: 1000})
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 999})
	if err := s.Checkpoint("copies/0"); !errors.Is(err, store.ErrFull) {
		t.Errorf("on a full disk: %v", err)
	}
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 5000})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Checkpoint("copies/0"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("of a closed store: %v", err)
	}
}
