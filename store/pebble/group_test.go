package pebble

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/storetest"
)

// syncFS counts the syncs of logs.
type syncFS struct {
	vfs.FS
	syncs atomic.Int64
}

type syncFile struct {
	vfs.File
	fs *syncFS
}

func (f *syncFS) count(name string, file vfs.File, err error) (vfs.File, error) {
	if err != nil || !strings.HasSuffix(name, ".log") {
		return file, err
	}
	return syncFile{file, f}, nil
}

func (f *syncFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return f.count(name, file, err)
}

func (f *syncFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(old, name, c)
	return f.count(name, file, err)
}

func (f syncFile) Sync() error {
	f.fs.syncs.Add(1)
	return f.File.Sync()
}

func (f syncFile) SyncData() error {
	f.fs.syncs.Add(1)
	return f.File.SyncData()
}

func (f syncFile) SyncTo(length int64) (bool, error) {
	f.fs.syncs.Add(1)
	return f.File.SyncTo(length)
}

// Commits that are ready at the same time are one group with one sync.
func TestReadyCommitsShareASync(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // who is ready when is known then
	fs := &syncFS{FS: vfs.NewMem()}
	s, err := Open("db", storetest.Schema(), Options{FS: fs, SweepEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const rounds, writers = 50, 8
	before := fs.syncs.Load()
	for round := range rounds {
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				b := new(store.Batch).PutOnce(store.Key(fmt.Sprintf("o/%d", round)), []byte("v"), 0)
				if err := s.Commit(t.Context(), store.Partition(fmt.Sprint(i)), b); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	// Whoever comes first alone, and then the others, would make 2 of each round.
	if n := fs.syncs.Load() - before; n > rounds*3/2 {
		t.Errorf("%d syncs for %d rounds of %d commits", n, rounds, writers)
	}
}

// Commits that wait for each other share a sync, too, and are lost together with it.
func TestStepsShareASync(t *testing.T) {
	fs := &syncFS{FS: vfs.NewMem()}
	s, err := Open("db", storetest.Schema(), Options{FS: fs, SweepEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	step := func(p store.Partition, value string) store.Step {
		return store.Step{Partition: p, Batch: new(store.Batch).PutOnce("o/1", []byte(value), 0)}
	}
	before := fs.syncs.Load()
	if err := store.CommitAll(t.Context(), s, step("a", "first"), step("b", "second")); err != nil {
		t.Fatal(err)
	}
	if n := fs.syncs.Load() - before; n != 1 {
		t.Errorf("%d syncs", n)
	}
}

// A delete that need not last waits for no sync, is seen at once, and lasts with
// the next commit that does.
func TestLazyDeleteWaitsForNoSync(t *testing.T) {
	disk := vfs.NewCrashableMem()
	fs := &syncFS{FS: disk}
	s, err := Open("db", storetest.Schema(), Options{FS: fs, SweepEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	commit := func(b *store.Batch) (syncs int64) {
		t.Helper()
		before := fs.syncs.Load()
		if err := s.Commit(t.Context(), "p", b); err != nil {
			t.Fatal(err)
		}
		return fs.syncs.Load() - before
	}
	after := func() error {
		t.Helper()
		c, err := Open("db", storetest.Schema(), Options{FS: disk.CrashClone(vfs.CrashCloneCfg{}), SweepEvery: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, err = c.Get(t.Context(), "p", "o/1")
		return err
	}
	commit(new(store.Batch).PutOnce("o/1", []byte("v"), 0))
	if n := commit(new(store.Batch).DeleteOnce("o/1").Lazily()); n != 0 {
		t.Errorf("%d syncs for what need not last", n)
	}
	if _, err := s.Get(t.Context(), "p", "o/1"); !errors.Is(err, store.ErrAbsent) {
		t.Errorf("deleted, and there: %v", err)
	}
	if err := after(); err != nil {
		t.Errorf("the test shows nothing: it lasted without a sync: %v", err)
	}
	if n := commit(new(store.Batch).PutOnce("o/3", []byte("v"), 0)); n != 1 {
		t.Errorf("%d syncs for what must last", n)
	}
	if err := after(); !errors.Is(err, store.ErrAbsent) {
		t.Errorf("after a later commit lasted, the delete did not: %v", err)
	}
}
