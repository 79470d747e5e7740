package seal

import (
	"errors"
	"io"
	"sync"
)

// ReaderAt opens any part of a content. It is safe for concurrent use; calls wait
// for each other, since they share the one segment, 1 MiB, that is held open.
// Readers that must not wait open a ReaderAt each.
type ReaderAt struct {
	mu   sync.Mutex // guards o and whole
	o    *opener
	end  error // nil until the end was checked, then io.EOF
	meta Meta
}

var errOffset = errors.New("seal: negative offset")

// NewReaderAt opens the description of a content whose ciphertext is src. Each
// segment that is needed is read by one ReadAt of src, of 1 MiB and a little; bytes
// after [Segments.Length] are never asked for. Errors: [ErrOpen], and those of src.
func (s *Segments) NewReaderAt(src io.ReaderAt, cek CEK, from Origin) (*ReaderAt, error) {
	o, err := s.newOpener(cek, from, func(b []byte, off uint64) error { return fillAt(src, b, off) })
	if err != nil {
		return nil, err
	}
	return &ReaderAt{o: o, meta: o.meta}, nil
}

// Meta is the description of the content.
func (r *ReaderAt) Meta() Meta { return r.meta }

// Size is the length of the content, bytes.
func (r *ReaderAt) Size() int64 { return int64(r.meta.Size) }

// ReadAt reads content from off on, as io.ReaderAt describes. Before io.EOF the
// last segment is opened and checked, so that an end is shown only where the
// sender made one. Errors: [ErrOpen], and those of the source, after which a call
// may be repeated.
func (r *ReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errOffset
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	if uint64(off) < r.meta.Size {
		want := min(uint64(len(p)), r.meta.Size-uint64(off))
		for uint64(n) < want {
			b, err := r.o.plain(r.o.start + uint64(off) + uint64(n))
			if err != nil {
				return n, err
			}
			n += copy(p[n:want], b)
		}
	}
	if n == len(p) && len(p) > 0 {
		return n, nil
	}
	if uint64(off)+uint64(n) < r.meta.Size {
		return n, nil // len(p) == 0
	}
	return n, r.atEnd()
}

// atEnd checks the last segment once: the chunk that ends the content, and that
// the padding in that segment is zero. r.mu is held.
func (r *ReaderAt) atEnd() error {
	if r.end == nil {
		last := (r.o.list.count() - 1) * segmentChunks * chunkSize
		if err := r.o.zerosFrom(max(last, r.o.end())); err != nil {
			return err
		}
		r.end = io.EOF
	}
	return r.end
}

func fillAt(src io.ReaderAt, b []byte, off uint64) error {
	n, err := src.ReadAt(b, int64(off))
	switch {
	case n == len(b):
		return nil
	case err == nil:
		return io.ErrUnexpectedEOF // a source that breaks the io.ReaderAt contract
	case errors.Is(err, io.EOF):
		return ErrOpen
	default:
		return err
	}
}
