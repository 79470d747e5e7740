package vault

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// FS is the one folder that a Vault lives in. Names are plain file names.
// An implementation may be used from several goroutines; package crashfs (in
// internal) has one that loses power.
type FS interface {
	// OpenFile opens a file with flags of package os; new files are 0600.
	OpenFile(name string, flag int) (File, error)
	// Rename replaces newname; durable after SyncDir.
	Rename(oldname, newname string) error
	// Remove deletes a file; durable after SyncDir.
	Remove(name string) error
	// SyncDir makes creations, renames and removals durable.
	SyncDir() error
	// Stamp gives a file, or "." for the folder, the one time that all have. It
	// is for appearances: nothing depends on it.
	Stamp(name string)
	// ReadDir lists the names of files in no particular order.
	ReadDir() ([]string, error)
	// Lock takes the exclusive lock on a file, which it creates if need be,
	// or returns ErrBusy. It ends with Close or with the process.
	Lock(name string) (io.Closer, error)
	// Close releases the folder itself.
	Close() error
}

// File is an open file of an FS.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Sync makes the content written so far durable.
	Sync() error
	Size() (int64, error)
}

// folder is an FS on disk. It holds on to the folder itself (os.Root), so
// that no symbolic link leads a write out of it.
type folder struct{ root *os.Root }

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !st.Mode().IsRegular() {
		return 0, errors.New("vault: not a regular file")
	}
	return st.Size(), nil
}

// openFolder opens or makes the folder. A folder that others may enter is
// closed to them if it is still empty and refused otherwise: what lies in it
// may have been put there by somebody else.
func openFolder(dir string) (*folder, error) {
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{root}
	if err := f.secure(dir); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return f, nil
}

func makeFolder(dir string) error {
	if st, err := os.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return disk(err)
	}
	parent, err := os.Open(filepath.Dir(filepath.Clean(dir)))
	if err != nil {
		return err
	}
	return errors.Join(disk(syncDir(parent)), parent.Close())
}

func (f *folder) secure(dir string) error {
	st, err := f.root.Stat(".")
	if err != nil || !sharedMode(st.Mode()) {
		return err
	}
	names, err := f.ReadDir()
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return fmt.Errorf("%w: %s", ErrOpenFolder, dir)
	}
	return f.root.Chmod(".", 0o700)
}

func (f *folder) OpenFile(name string, flag int) (File, error) {
	file, err := f.root.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{file}, nil
}

func (f *folder) Rename(oldname, newname string) error { return f.root.Rename(oldname, newname) }
func (f *folder) Remove(name string) error             { return f.root.Remove(name) }
func (f *folder) Close() error                         { return f.root.Close() }

func (f *folder) SyncDir() error {
	d, err := f.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(syncDir(d), d.Close())
}

// stampTime is the time of last change that every file shows: what a file
// system tells of its own says when an account was last here.
var stampTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (f *folder) Stamp(name string) { _ = f.root.Chtimes(name, stampTime, stampTime) }

func (f *folder) ReadDir() ([]string, error) {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

func (f *folder) Lock(name string) (io.Closer, error) {
	file, err := f.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, disk(err)
	}
	if err := lockFile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// readAll reads a file of at most limit bytes.
func readAll(dir FS, name string, limit int64) ([]byte, error) {
	f, err := dir.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, damaged(name, "too long")
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !(errors.Is(err, io.EOF) && size == 0) {
		return nil, err
	}
	return b, nil
}
