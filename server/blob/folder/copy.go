package folder

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"github.com/reseal/reseal/server/blob"
)

// linker is an [FS] that can give a file a second name.
type linker interface {
	Link(from, to string) error
}

// Hold keeps every object where it is until release is called: Delete ends in
// [blob.ErrUnavailable] meanwhile, and whoever deletes tries again later. It
// waits for deletes that are under way, and for who holds already.
func (f *Folder) Hold() (release func()) {
	f.held.Lock()
	return f.held.Unlock
}

// CopyTo makes a copy of all pieces in a folder that is not there yet, for
// [Open]. Between Hold and its release it has every object that was there when
// it began; pieces that are put meanwhile may be in it or not. A piece never
// changes, so it is linked where the disk allows it, else copied.
func (f *Folder) CopyTo(ctx context.Context, root string) error {
	to := &Folder{root: root, fs: f.fs}
	for _, dir := range []string{root, to.objects(), to.trash()} {
		if err := to.mkdir(dir); err != nil {
			return named(err)
		}
	}
	fans, err := f.fs.ReadDir(f.objects())
	if err != nil {
		return named(err)
	}
	for _, fan := range fans {
		if err := to.mkdir(filepath.Join(to.objects(), fan.Name())); err != nil {
			return named(err)
		}
		objects, err := f.fs.ReadDir(filepath.Join(f.objects(), fan.Name()))
		if err != nil {
			return named(err)
		}
		for _, o := range objects {
			if err := ctx.Err(); err != nil {
				return err
			}
			rel := filepath.Join(fan.Name(), o.Name())
			if err := to.copyObject(filepath.Join(f.objects(), rel), filepath.Join(to.objects(), rel)); err != nil {
				return named(err)
			}
		}
	}
	return nil
}

func (f *Folder) copyObject(from, to string) error {
	if err := f.mkdir(to); err != nil {
		return err
	}
	pieces, err := f.fs.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range pieces {
		if _, ok := parsePiece(e.Name()); !ok {
			continue // being written, or left by a crash
		}
		if err := f.copyPiece(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return f.fs.SyncDir(to)
}

func (f *Folder) copyPiece(from, to string) (err error) {
	if l, ok := f.fs.(linker); ok && l.Link(from, to) == nil {
		return nil
	}
	src, err := f.fs.Open(from)
	if err != nil {
		return err
	}
	defer src.Close() // read only: nothing to learn from its error
	dst, err := f.fs.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	if _, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, *buf); err != nil {
		return err
	}
	return dst.Sync()
}

// hold is taken by a delete, unless somebody holds the objects.
func (f *Folder) hold() error {
	if !f.held.TryRLock() {
		return blob.ErrUnavailable
	}
	return nil
}
