package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/pebble"
	"github.com/reseal/reseal/store/storetest"
)

func put(k store.Key, value string) *store.Batch {
	return new(store.Batch).PutOnce(k, []byte(value), 0)
}

// TestFullDisk: below the floor commits are refused by name and leave nothing,
// reads and sweeps go on, and space that comes back is used.
func TestFullDisk(t *testing.T) {
	mem, clock := vfs.NewCrashableMem(), storetest.NewClock()
	s := mustOpen(t, pebble.Options{FS: mem, Clock: clock.Now, SweepEvery: -1, MinFree: 1000})
	defer s.Close()
	ctx := t.Context()
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1000})
	b := put("o/1", "v").PutOnce("o/short", nil, clock.In(time.Minute))
	if err := s.Commit(ctx, "p", b); err != nil {
		t.Fatal(err)
	}
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 999})
	err := s.Commit(ctx, "p", put("o/2", "v"))
	if !errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrUnknown) {
		t.Fatalf("commit on a full disk: %v", err)
	}
	if r, err := s.Get(ctx, "p", "o/1"); err != nil || string(r.Value) != "v" {
		t.Fatalf("get on a full disk: %+v, %v", r, err)
	}
	if _, err := s.Get(ctx, "p", "o/2"); !errors.Is(err, store.ErrAbsent) {
		t.Fatalf("what was refused: %v", err)
	}
	clock.Move(time.Hour)
	if n, err := s.Sweep(ctx); err != nil || n != 1 {
		t.Fatalf("sweep on a full disk: %d, %v", n, err)
	}
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1})
	if err := s.Commit(ctx, "p", put("o/2", "v")); !errors.Is(err, store.ErrFull) {
		t.Fatalf("commit on a fuller disk: %v", err)
	}
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 2000})
	if err := s.Commit(ctx, "p", put("o/2", "v")); err != nil {
		t.Fatal(err)
	}
}

// TestBusy: two stores on one folder of the real disk.
func TestBusy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s, err := pebble.Open(dir, storetest.Schema(), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pebble.Open(dir, storetest.Schema(), pebble.Options{}); !errors.Is(err, store.ErrBusy) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("second open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = pebble.Open(dir, storetest.Schema(), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestKindIsFixed(t *testing.T) {
	mem := vfs.NewMem()
	if err := mustOpen(t, pebble.Options{FS: mem}).Close(); err != nil {
		t.Fatal(err)
	}
	changed := store.Schema{{Prefix: "d", Kind: store.Once}}
	if _, err := pebble.Open(folder, changed, pebble.Options{FS: mem}); !errors.Is(err, store.ErrKind) {
		t.Fatalf("another kind: %v", err)
	}
	more := append(storetest.Schema(), store.Rule{Prefix: "new/", Kind: store.Once})
	s, err := pebble.Open(folder, more, pebble.Options{FS: mem})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestReadWaitsForSync: what a loss of power could still undo is not shown.
func TestReadWaitsForSync(t *testing.T) {
	gate := newGate(vfs.NewCrashableMem())
	s := mustOpen(t, pebble.Options{FS: gate, SweepEvery: -1})
	defer s.Close()
	if err := s.Commit(t.Context(), "q", put("o/1", "v")); err != nil {
		t.Fatal(err)
	}
	open := gate.close()
	done := make(chan error, 1)
	go func() { done <- s.Commit(context.Background(), "p", put("o/1", "v")) }()
	<-gate.held
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if r, err := s.Get(ctx, "p", "o/1"); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, store.ErrAbsent) {
		t.Errorf("get before the sync: %+v, %v", r, err)
	}
	if rs, err := s.Range(ctx, "p", "", "", 10, false); len(rs) != 0 || err == nil {
		t.Errorf("range before the sync: %+v, %v", rs, err)
	}
	if _, err := s.Get(t.Context(), "q", "o/1"); err != nil {
		t.Errorf("get of another record: %v", err)
	}
	open()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "p", "o/1"); err != nil {
		t.Fatal(err)
	}
}

// TestDamage alters one byte after the other in every file of a store that was
// closed, and of one that crashed. What is read then is all and right, or the
// damage is named; nothing panics.
func TestDamage(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		s, disk, want := fill(t, 40)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		named := damageAll(t, disk, want, false)
		if named[".sst"] == 0 || named[""] == 0 {
			t.Errorf("damage seen: %v", named)
		}
	})
	t.Run("crashed", func(t *testing.T) {
		s, disk, want := fill(t, 400)
		defer s.Close()
		named := damageAll(t, disk.CrashClone(vfs.CrashCloneCfg{}), want, true)
		if named[".sst"] == 0 || named[".log"] == 0 {
			t.Errorf("damage seen: %v", named)
		}
	})
}

// fill writes n records of about 400 bytes, half of them to a table file.
func fill(t *testing.T, n int) (*pebble.Store, *vfs.MemFS, map[store.Key]string) {
	t.Helper()
	disk := vfs.NewCrashableMem()
	s := mustOpen(t, pebble.Options{FS: disk, SweepEvery: -1})
	want := map[store.Key]string{}
	for i := range n {
		k, v := store.Key(fmt.Sprintf("o/%03d", i)), strings.Repeat(fmt.Sprintf("%04d", i), 100)
		want[k] = v
		if err := s.Commit(t.Context(), "p", put(k, v)); err != nil {
			t.Fatal(err)
		}
		if i == n/2 {
			if err := s.FlushAndWait(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s, disk, want
}

// tornEnd is how much at the end of log and manifest can pass for a torn end
// after a crash: the last commit, the last record.
const tornEnd = 1024

// damageAll returns how often damage was named, by kind of file.
func damageAll(t *testing.T, disk *vfs.MemFS, want map[store.Key]string, crashed bool) map[string]int {
	t.Helper()
	names, err := disk.List(disk.PathJoin(folder, "db"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]int{}
	for _, name := range names {
		if name == "LOCK" {
			continue
		}
		good := contents(t, disk, name)
		for at := 0; at < len(good); at += 1 + len(good)/60 {
			bad := bytes.Clone(good)
			bad[at] ^= 0x41
			got, err := readDamaged(t, disk, name, bad, want)
			torn := crashed && !strings.HasSuffix(name, ".sst") && at >= len(good)-tornEnd
			switch {
			case errors.Is(err, store.ErrDamaged):
				named[filepath.Ext(name)]++
				if !strings.Contains(err.Error(), "restore") {
					t.Errorf("%s at %d: no way out named: %v", name, at, err)
				}
			case err == nil && got < len(want) && !torn:
				t.Errorf("%s at %d of %d: %d records of %d and no error", name, at, len(good), got, len(want))
			case err != nil && !strings.HasPrefix(name, "OPTIONS"):
				t.Errorf("%s at %d: %v", name, at, err)
			}
		}
		if !crashed || filepath.Ext(name) == ".sst" {
			if _, err := readDamaged(t, disk, name, nil, want); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("%s missing: %v", name, err)
			}
		}
	}
	return named
}

func contents(t *testing.T, disk *vfs.MemFS, name string) []byte {
	t.Helper()
	f, err := disk.Open(disk.PathJoin(folder, "db", name))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

// readDamaged reads all from a copy in which one file is bad, or missing.
func readDamaged(t *testing.T, disk *vfs.MemFS, name string, bad []byte, want map[store.Key]string) (int, error) {
	t.Helper()
	copied := vfs.NewMem()
	if _, err := vfs.Clone(disk, copied, folder, folder); err != nil {
		t.Fatal(err)
	}
	file := copied.PathJoin(folder, "db", name)
	if err := copied.Remove(file); err != nil {
		t.Fatal(err)
	}
	if bad != nil {
		f, err := copied.Create(file, vfs.WriteCategoryUnspecified)
		if err == nil {
			_, err = f.Write(bad)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := pebble.Open(folder, storetest.Schema(), pebble.Options{FS: copied, SweepEvery: -1})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	got := 0
	for r, err := range store.Scan(t.Context(), s, "p", "", "", false) {
		if err != nil {
			return got, err
		}
		got++
		if want[r.Key] != string(r.Value) {
			t.Errorf("%s: %q reads %q", name, r.Key, r.Value)
		}
	}
	return got, nil
}

// TestNewer: a store that a newer version wrote is named as such, and left as
// it is.
func TestNewer(t *testing.T) {
	mem := vfs.NewMem()
	if err := mustOpen(t, pebble.Options{FS: mem}).Close(); err != nil {
		t.Fatal(err)
	}
	// As after a crash: an orderly end leaves a seal over the files.
	if err := mem.Remove(folder + "/closed"); err != nil {
		t.Fatal(err)
	}
	db, err := engine.Open(folder+"/db", &engine.Options{FS: mem})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Set([]byte("mformat"), []byte{2}, engine.Sync); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := pebble.Open(folder, storetest.Schema(), pebble.Options{FS: mem}); !errors.Is(err, store.ErrNewer) || !strings.Contains(err.Error(), folder) {
		t.Fatalf("a newer layout: %v", err)
	}
}
