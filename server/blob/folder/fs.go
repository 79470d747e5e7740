package folder

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// FS is every access to the disk. Errors wrap fs.ErrExist and fs.ErrNotExist
// where they say so. Safe for concurrent use.
type FS interface {
	Mkdir(path string) error               // mode 0700; fs.ErrExist
	Create(path string) (WriteFile, error) // mode 0600; fs.ErrExist
	Open(path string) (io.ReadSeekCloser, error)
	Rename(from, to string) error
	Remove(path string) error
	RemoveAll(path string) error // no error if there is none
	ReadDir(path string) ([]fs.DirEntry, error)
	SyncDir(path string) error        // makes names in path durable
	Free(path string) (uint64, error) // bytes free to us on path's disk
}

// WriteFile is a file that is being written.
type WriteFile interface {
	io.Writer
	Sync() error
	Close() error
}

// Disk is the real file system.
type Disk struct{}

// Mkdir implements [FS].
func (Disk) Mkdir(path string) error { return os.Mkdir(path, 0o700) }

// Create implements [FS].
func (Disk) Create(path string) (WriteFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Open implements [FS].
func (Disk) Open(path string) (io.ReadSeekCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Rename implements [FS].
func (Disk) Rename(from, to string) error { return os.Rename(from, to) }

// Link gives a file a second name.
func (Disk) Link(from, to string) error { return os.Link(from, to) }

// Remove implements [FS].
func (Disk) Remove(path string) error { return os.Remove(path) }

// RemoveAll implements [FS].
func (Disk) RemoveAll(path string) error { return os.RemoveAll(path) }

// ReadDir implements [FS].
func (Disk) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }

// SyncDir implements [FS].
func (Disk) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(syncDir(d), d.Close())
}

// Free implements [FS].
func (Disk) Free(path string) (uint64, error) { return free(path) }
