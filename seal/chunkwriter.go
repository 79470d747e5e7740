package seal

import (
	"crypto/sha256"
	"hash"
	"io"
)

// chunkWriter seals a stream chunk by chunk and, if it has a sum, hashes the
// segments of what it writes. Its buffers are part of it, so that nothing is allocated per chunk.
type chunkWriter struct {
	chunks *chunks
	dst    io.Writer
	next   uint64    // number of the next chunk
	sum    hash.Hash // may be nil
	hashes []byte    // of the segments so far

	n   int // bytes in buf
	buf [chunkSize]byte
	box [boxSize]byte
}

// newChunkWriter makes one that hashes this many segments; none for 0.
func newChunkWriter(dst io.Writer, c *chunks, segments uint64) *chunkWriter {
	w := &chunkWriter{chunks: c, dst: dst}
	if segments > 0 {
		w.sum, w.hashes = sha256.New(), make([]byte, 0, segments*hashSize)
	}
	return w
}

// write seals every chunk that p fills. A full chunk is never the last, so none
// has to be held back.
func (w *chunkWriter) write(p []byte) error {
	for len(p) > 0 {
		if w.n == 0 && len(p) >= chunkSize {
			if err := w.emit(p[:chunkSize]); err != nil {
				return err
			}
			p = p[chunkSize:]
			continue
		}
		n := copy(w.buf[w.n:], p)
		p = p[n:]
		if err := w.filled(n); err != nil {
			return err
		}
	}
	return nil
}

// free is where a source may read to directly; filled says how much it did.
func (w *chunkWriter) free() []byte { return w.buf[w.n:] }

func (w *chunkWriter) filled(n int) error {
	if w.n += n; w.n < chunkSize {
		return nil
	}
	w.n = 0
	return w.emit(w.buf[:])
}

// finish seals the last chunk, which may be empty.
func (w *chunkWriter) finish() error {
	if err := w.emit(w.buf[:w.n]); err != nil {
		return err
	}
	if w.sum != nil && w.next%segmentChunks != 0 {
		w.hashes = w.sum.Sum(w.hashes)
	}
	w.wipe()
	return nil
}

func (w *chunkWriter) wipe() {
	w.n = 0
	clear(w.buf[:])
}

func (w *chunkWriter) emit(plain []byte) error {
	box := w.chunks.seal(w.box[:0], plain, w.next)
	if err := writeFull(w.dst, box); err != nil {
		return err
	}
	w.next++
	if w.sum == nil {
		return nil
	}
	w.sum.Write(box)
	if w.next%segmentChunks == 0 {
		w.hashes = w.sum.Sum(w.hashes)
		w.sum.Reset()
	}
	return nil
}

func writeFull(w io.Writer, b []byte) error {
	n, err := w.Write(b)
	if err == nil && n != len(b) {
		err = io.ErrShortWrite
	}
	return err
}
