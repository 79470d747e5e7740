// Package backup makes a consistent copy of a running server's data: the records
// as they were at one moment, and every encrypted file that they name.
//
// Records are copied while no file may be deleted, and the files after them:
// whatever a record of the copy names was there at that moment, and is there
// still when the files are copied. Files that came later are in the copy as well;
// no record names them, and they take room and do no harm.
//
// A copy has the layout of a data folder: a server is started on it as it is. The
// key file is not in it, and belongs elsewhere: with both, passwords can be
// guessed.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Where things lie in a data folder.
const (
	StoreFolder = "store"
	BlobFolder  = "blobs"
)

// Store copies its records at one moment into a folder.
type Store interface {
	Checkpoint(folder string) error
}

// Blobs copies its files into a folder. Between Hold and the call of release
// none of them is deleted.
type Blobs interface {
	Hold() (release func())
	CopyTo(ctx context.Context, folder string) error
}

// Unfinished ends the name of a copy that is being made.
const Unfinished = ".part"

// marker is a file that lies in a copy until it is whole.
const marker = "UNFINISHED"

// ErrUnfinished: a folder is what is left of a backup that was cut short.
var ErrUnfinished = errors.New("backup: this copy was cut short and is of no use")

// Check tells whether a data folder may be used: ErrUnfinished if it is a copy
// that was cut short.
func Check(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, marker)); err == nil {
		return fmt.Errorf("%w: %s", ErrUnfinished, dir)
	}
	return nil
}

// Write makes a copy in dir, which must not be there: fs.ErrExist. The copy gets
// its name when all of it is durable; one that a crash or an error cut short lies
// under that name with ".part", and the next one takes its place. One copy to
// a name at a time.
func Write(ctx context.Context, dir string, s Store, b Blobs) error {
	dir = filepath.Clean(dir)
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("backup: %s: %w", dir, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("backup: %w", err)
	}
	part := dir + Unfinished
	if err := errors.Join(os.RemoveAll(part), os.MkdirAll(part, 0o700)); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	err := errors.Join(os.WriteFile(filepath.Join(part, marker), nil, 0o600), syncDir(part))
	if err == nil {
		err = write(ctx, part, s, b)
	}
	if err != nil {
		// What is there so far is of no use, and may be what fills the disk.
		return fmt.Errorf("backup: %w", errors.Join(err, os.RemoveAll(part)))
	}
	// Durable as a whole first, and only then without its mark and with its name.
	err = syncDir(part)
	if err == nil {
		err = errors.Join(os.Remove(filepath.Join(part, marker)), syncDir(part))
	}
	if err == nil {
		err = errors.Join(os.Rename(part, dir), syncDir(filepath.Dir(dir)))
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

func write(ctx context.Context, dir string, s Store, b Blobs) error {
	release := b.Hold()
	defer release()
	if err := ctx.Err(); err != nil { // it may have waited for another copy
		return err
	}
	if err := s.Checkpoint(filepath.Join(dir, StoreFolder)); err != nil {
		return err
	}
	return b.CopyTo(ctx, filepath.Join(dir, BlobFolder))
}

func syncDir(path string) error {
	if runtime.GOOS == "windows" { // it has no such thing
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
