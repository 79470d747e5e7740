package pebble

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guardFS stands between Pebble and the disk. Pebble retries a table file that it
// cannot write, but a failing log, manifest or folder ends the process: it
// panics with its mutex unlocked, which no recover can catch. So an error
// there is not returned: the store is marked failed, which answers all callers,
// and the goroutine that met it stays where it is for ever. Nothing after the
// failed write happens then, which is just what a crash at that point is.
type guardFS struct {
	vfs.FS
	fail func(error)
}

// vital reports files without which Pebble cannot go on.
func (g *guardFS) vital(name string) bool {
	base := g.PathBase(name)
	return strings.HasSuffix(base, ".log") || strings.HasPrefix(base, "MANIFEST-") || strings.HasPrefix(base, "marker.")
}

// check returns only nil.
func (g *guardFS) check(name, doing string, err error) error {
	if err != nil {
		g.fail(fmt.Errorf("%s %s: %w", doing, g.PathBase(name), err))
		select {}
	}
	return nil
}

func (g *guardFS) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if !g.vital(name) {
		return f, err
	}
	_ = g.check(name, "creating", err)
	return &guardFile{f, g, name}, nil
}

// Create makes what a marker is about to name durable before the marker: Pebble
// syncs the folder once for both, and a file system that keeps only the marker
// of the two would leave a database without its manifest.
func (g *guardFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(g.PathBase(name), "marker.") {
		_ = g.check(name, "syncing the folder of", syncFolder(g.FS, g.PathDir(name)))
	}
	f, err := g.FS.Create(name, c)
	return g.wrap(name, f, err)
}

func (g *guardFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(old, name, c)
	return g.wrap(name, f, err)
}

func (g *guardFS) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if errors.Is(err, iofs.ErrNotExist) { // asked while opening, and answered
		return nil, err
	}
	_ = g.check(name, "opening", err)
	return &guardFile{f, g, name}, nil
}

// Unwrap implements [vfs.FS].
func (g *guardFS) Unwrap() vfs.FS { return g.FS }

// guardFile is a vital file, or a folder: what a folder's failed sync has lost
// cannot be known.
type guardFile struct {
	vfs.File
	guard *guardFS
	name  string
}

func (f *guardFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.guard.check(f.name, "writing", err)
}

func (f *guardFile) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(p, at)
	return n, f.guard.check(f.name, "writing", err)
}

func (f *guardFile) Sync() error {
	return f.guard.check(f.name, "syncing", f.File.Sync())
}

func (f *guardFile) SyncData() error {
	return f.guard.check(f.name, "syncing", f.File.SyncData())
}

func (f *guardFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.guard.check(f.name, "syncing", err)
}

func (f *guardFile) Close() error {
	return f.guard.check(f.name, "closing", f.File.Close())
}
