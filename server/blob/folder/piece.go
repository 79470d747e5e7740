package folder

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/reseal/reseal/server/blob"
)

// temporary starts the names of pieces that are being written.
const temporary = "in-"

// buffers are what a Put needs of memory.
var buffers = sync.Pool{New: func() any { b := make([]byte, 128<<10); return &b }}

// Put implements [blob.Bytes].
func (f *Folder) Put(o blob.Object, p blob.Piece, size int64, sum [32]byte, src io.Reader) error {
	var nonce [8]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return err
	}
	temp := filepath.Join(f.dir(o), temporary+hex.EncodeToString(nonce[:]))
	if err := f.write(temp, size, sum, src); err != nil {
		// The error that matters is the first; the file is nobody's.
		_ = f.fs.Remove(temp)
		return err
	}
	there, err := f.place(o, p, temp, size, sum)
	if there || err != nil {
		_ = f.fs.Remove(temp)
	}
	if err != nil {
		return err
	}
	// Also where the piece was there already: the sync of whoever put it may
	// not have happened yet, and we are about to say that it is durable.
	return named(f.fs.SyncDir(f.dir(o)))
}

// write makes the file temp of exactly size bytes from src, durably.
func (f *Folder) write(temp string, size int64, sum [32]byte, src io.Reader) (err error) {
	file, err := f.fs.Create(temp)
	if err != nil {
		return named(err)
	}
	defer func() {
		if cerr := file.Close(); err == nil {
			err = named(cerr)
		}
	}()
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	hash, left := sha256.New(), size
	for left > 0 {
		n, rerr := src.Read((*buf)[:min(left, int64(len(*buf)))])
		if n > 0 {
			hash.Write((*buf)[:n])
			if _, err := file.Write((*buf)[:n]); err != nil {
				return named(err)
			}
			left -= int64(n)
		}
		if left > 0 && (errors.Is(rerr, io.EOF) || errors.Is(rerr, io.ErrUnexpectedEOF)) {
			return blob.ErrLength
		}
		if left > 0 && rerr != nil {
			return rerr
		}
	}
	if [32]byte(hash.Sum(nil)) != sum {
		return blob.ErrHash
	}
	return named(file.Sync())
}

// place gives temp its name, unless the piece is there. The lock makes one of
// two writers come second, who then compares.
func (f *Folder) place(o blob.Object, p blob.Piece, temp string, size int64, sum [32]byte) (there bool, err error) {
	mu := &f.locks[o[0]]
	mu.Lock()
	defer mu.Unlock()
	same, err := f.compare(f.path(o, p), size, sum)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, named(f.fs.Rename(temp, f.path(o, p)))
	case err != nil:
		return false, named(err)
	case !same:
		return false, blob.ErrConflict
	}
	return true, nil
}

// compare reads the piece that is there, since only its bytes say what it is.
func (f *Folder) compare(path string, size int64, sum [32]byte) (same bool, err error) {
	file, err := f.fs.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close() // read only: nothing to learn from its error
	hash := sha256.New()
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	n, err := io.CopyBuffer(struct{ io.Writer }{hash}, struct{ io.Reader }{file}, *buf)
	return n == size && [32]byte(hash.Sum(nil)) == sum, err
}

// Open implements [blob.Bytes]; on the real file system the result is an
// *os.File.
func (f *Folder) Open(o blob.Object, p blob.Piece) (io.ReadSeekCloser, error) {
	file, err := f.fs.Open(f.path(o, p))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: piece", blob.ErrNotFound)
	}
	if err != nil {
		return nil, named(err)
	}
	return file, nil
}
