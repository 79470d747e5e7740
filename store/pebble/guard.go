package pebble

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// maxRetries is how often in a row a table file may fail, apart from a full
// disk, before the disk counts as broken.
const maxRetries = 10

// guardFS stands between Pebble and the disk. A failing log, manifest or folder
// makes Pebble end the process: it panics with its mutex unlocked, which no
// recover can catch. So an error there is not returned: the store is marked
// failed, which answers all callers, and the goroutine that met it stays where
// it is for ever. Nothing after the failed write happens then, which is just
// what a crash at that point is.
//
// A table file that it cannot write Pebble tries again, at once and without end.
// The guard slows that down, and gives up after some tries unless it is
// space that lacks.
type guardFS struct {
	vfs.FS
	fail   func(error)
	failed <-chan struct{}
	bad    atomic.Int64 // errors at table files in a row
	// aside is where a copy is being made, nil for nowhere: an error there is
	// the copy's and not the store's.
	aside atomic.Pointer[string]
}

func (g *guardFS) isAside(name string) bool {
	aside := g.aside.Load()
	for ; aside != nil && len(name) >= len(*aside); name = g.PathDir(name) {
		if name == *aside {
			return true
		}
		if name == g.PathDir(name) {
			break
		}
	}
	return false
}

// vital reports files without which Pebble cannot go on.
func (g *guardFS) vital(name string) bool {
	base := g.PathBase(name)
	return strings.HasSuffix(base, ".log") || strings.HasPrefix(base, "MANIFEST-") || strings.HasPrefix(base, "marker.")
}

// check returns err only if it is about a file that is not vital.
func (g *guardFS) check(name string, vital bool, doing string, err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-g.failed:
		select {}
	default:
	}
	n := g.bad.Add(1)
	if vital || (n > maxRetries && !vfs.IsNoSpaceError(err)) {
		g.fail(fmt.Errorf("%s %s: %w", doing, g.PathBase(name), err))
		select {}
	}
	time.Sleep(time.Duration(min(n, 100)) * 10 * time.Millisecond)
	return err
}

func (g *guardFS) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	vital := g.vital(name)
	if err := g.check(name, vital, "creating", err); err != nil {
		return nil, err
	}
	return &guardFile{f, g, name, vital}, nil
}

// Create makes what a marker is about to name durable before the marker: Pebble
// syncs the folder once for both, and a file system that keeps only the marker
// of the two would leave a database without its manifest.
func (g *guardFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if g.isAside(name) {
		return g.FS.Create(name, c)
	}
	if strings.HasPrefix(g.PathBase(name), "marker.") {
		_ = g.check(name, true, "syncing the folder of", syncFolder(g.FS, g.PathDir(name)))
	}
	f, err := g.FS.Create(name, c)
	return g.wrap(name, f, err)
}

func (g *guardFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(old, name, c)
	return g.wrap(name, f, err)
}

func (g *guardFS) OpenDir(name string) (vfs.File, error) {
	if g.isAside(name) {
		return g.FS.OpenDir(name)
	}
	f, err := g.FS.OpenDir(name)
	if errors.Is(err, iofs.ErrNotExist) { // asked while opening, and answered
		return nil, err
	}
	_ = g.check(name, true, "opening", err)
	return &guardFile{f, g, name, true}, nil
}

// Unwrap implements [vfs.FS].
func (g *guardFS) Unwrap() vfs.FS { return g.FS }

// guardFile is a file, or a folder, which is vital: what its failed sync has
// lost cannot be known.
type guardFile struct {
	vfs.File
	guard *guardFS
	name  string
	vital bool
}

func (f *guardFile) check(doing string, err error) error {
	return f.guard.check(f.name, f.vital, doing, err)
}

func (f *guardFile) synced(err error) error {
	if err == nil && !f.vital {
		f.guard.bad.Store(0)
	}
	return f.check("syncing", err)
}

func (f *guardFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.check("writing", err)
}

func (f *guardFile) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(p, at)
	return n, f.check("writing", err)
}

func (f *guardFile) Sync() error {
	return f.synced(f.File.Sync())
}

func (f *guardFile) SyncData() error {
	return f.synced(f.File.SyncData())
}

func (f *guardFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.synced(err)
}

func (f *guardFile) Close() error {
	return f.check("closing", f.File.Close())
}
