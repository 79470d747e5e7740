// Package folder keeps the bytes of blobs in a folder of a local file system.
//
//	objects/3f2/3f2a.../00000000   the first part of an object
//	objects/3f2/3f2a.../segments   its segment list
//	objects/3f2/3f2a.../in-...     a piece that is being written
//	trash/3f2a...                  an object that is being deleted
//
// Folders are 0700 and files 0600. The three hexadecimal digits in between keep
// folders small: ten million objects are 2,400 to each.
//
// A piece is written under a temporary name, synced, renamed, and the folder
// synced, before it is acknowledged. So under its own name a piece is whole or
// not there, whatever happens in between. A file whose sync failed is thrown
// away, never synced again: what a second sync says of it means nothing. An
// object is deleted by moving it to the trash first: a writer that is still at
// it then finds its folder gone, and cannot leave a file behind.
//
// One process uses a folder at a time.
package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"github.com/reseal/reseal/server/blob"
)

// DefaultFloor is how many bytes of the disk are left free.
const DefaultFloor = 1 << 30

// Options of a folder; the zero value is useful.
type Options struct {
	// Floor is how many bytes of the disk stay free: beyond it, uploads are
	// refused, so that the store beside the blobs can go on. Default
	// DefaultFloor; negative for none.
	Floor int64
	// FS is the file system; default the real one. For tests.
	FS FS
}

// Folder implements [blob.Bytes]. Safe for concurrent use.
type Folder struct {
	root  string
	fs    FS
	floor uint64
	locks [256]sync.Mutex // of "is it there, else rename", striped by object
	held  sync.RWMutex    // for writing: nothing is deleted
}

var _ blob.Bytes = (*Folder)(nil)

// Open makes the folder if there is none, and empties its trash.
func Open(root string, o Options) (*Folder, error) {
	if o.FS == nil {
		o.FS = Disk{}
	}
	if o.Floor == 0 {
		o.Floor = DefaultFloor
	}
	f := &Folder{root: root, fs: o.FS, floor: uint64(max(o.Floor, 0))}
	for _, dir := range []string{root, f.objects(), f.trash()} {
		if err := f.mkdir(dir); err != nil {
			return nil, named(err)
		}
	}
	// What a crash left half deleted was already nobody's.
	names, err := f.fs.ReadDir(f.trash())
	if err != nil {
		return nil, named(err)
	}
	for _, e := range names {
		if err := f.fs.RemoveAll(filepath.Join(f.trash(), e.Name())); err != nil {
			return nil, named(err)
		}
	}
	return f, nil
}

func (f *Folder) objects() string { return filepath.Join(f.root, "objects") }
func (f *Folder) trash() string   { return filepath.Join(f.root, "trash") }

func (f *Folder) fan(o blob.Object) string { return filepath.Join(f.objects(), o.String()[:3]) }
func (f *Folder) dir(o blob.Object) string { return filepath.Join(f.fan(o), o.String()) }

func (f *Folder) path(o blob.Object, p blob.Piece) string {
	return filepath.Join(f.dir(o), pieceName(p))
}

func pieceName(p blob.Piece) string {
	if p == blob.SegmentList {
		return "segments"
	}
	return fmt.Sprintf("%08x", uint32(p))
}

func parsePiece(name string) (blob.Piece, bool) {
	if name == "segments" {
		return blob.SegmentList, true
	}
	var p uint32
	if _, err := fmt.Sscanf(name, "%08x", &p); err != nil || pieceName(blob.Piece(p)) != name {
		return 0, false
	}
	return blob.Piece(p), true
}

// mkdir makes a folder durably; one that is there is synced all the same, since
// whoever made it may have died before that.
func (f *Folder) mkdir(dir string) error {
	if err := f.fs.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return f.fs.SyncDir(filepath.Dir(dir))
}

// Room implements [blob.Bytes].
func (f *Folder) Room(n uint64) error {
	if f.floor == 0 {
		return nil
	}
	free, err := f.fs.Free(f.root)
	if err != nil {
		return named(err)
	}
	if free < f.floor || free-f.floor < n {
		return fmt.Errorf("%w: %d bytes free, %d stay free", blob.ErrFull, free, f.floor)
	}
	return nil
}

// Create implements [blob.Bytes].
func (f *Folder) Create(o blob.Object) error {
	if err := f.mkdir(f.fan(o)); err != nil {
		return named(err)
	}
	return named(f.mkdir(f.dir(o)))
}

// Pieces implements [blob.Bytes].
func (f *Folder) Pieces(o blob.Object) (map[blob.Piece]int64, error) {
	entries, err := f.fs.ReadDir(f.dir(o))
	if err != nil {
		return nil, named(err)
	}
	pieces := make(map[blob.Piece]int64, len(entries))
	for _, e := range entries {
		p, ok := parsePiece(e.Name())
		if !ok {
			continue // being written, or left by a crash
		}
		info, err := e.Info()
		if err != nil {
			return nil, named(err)
		}
		pieces[p] = info.Size()
	}
	return pieces, nil
}

// Sync implements [blob.Bytes]: the pieces were synced one by one, and what a
// crash left unfinished is removed.
func (f *Folder) Sync(o blob.Object) error {
	entries, err := f.fs.ReadDir(f.dir(o))
	if err != nil {
		return named(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), temporary) {
			if err := f.fs.Remove(filepath.Join(f.dir(o), e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return named(err)
			}
		}
	}
	return named(f.fs.SyncDir(f.dir(o)))
}

// Delete implements [blob.Bytes]. If we crash after the rename, the object is
// gone for everybody and the trash is emptied at the next start.
func (f *Folder) Delete(o blob.Object) error {
	if err := f.hold(); err != nil {
		return err
	}
	defer f.held.RUnlock()
	away := filepath.Join(f.trash(), o.String())
	if err := f.fs.Rename(f.dir(o), away); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return named(err)
	}
	// A first try may have got so far and no further.
	if err := f.fs.RemoveAll(away); err != nil {
		return named(err)
	}
	if err := f.fs.SyncDir(f.fan(o)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return named(err)
	}
	return named(f.fs.SyncDir(f.trash()))
}

// named gives errors of the file system the names that package blob knows.
func named(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return blob.ErrNotFound
	case full(err):
		return fmt.Errorf("%w: %w", blob.ErrFull, err)
	}
	return fmt.Errorf("folder: %w", err)
}
