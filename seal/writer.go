package seal

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Result is what a sealed content leaves beside its ciphertext.
type Result struct {
	Digest   Digest // for the header and the wraps
	Length   uint64 // of the ciphertext, bytes
	Segments []byte // the segment list, stored beside the ciphertext
}

// Writer seals one content to a stream. It is for one goroutine at a time. A Writer
// that is given up needs no Close; what it wrote is then of no use to anybody.
type Writer struct {
	chunks *chunkWriter
	list   Segments
	left   uint64 // bytes of content to come
	pad    uint64 // zeros that Close writes
	closed bool
	err    error
}

// NewWriter starts to seal the content that ctx and meta describe, under cek, and
// writes salt and commitment to dst. meta.Size is the content's length, which
// goes into the key: for a source of unknown length use a [Spool] first. random
// gives the 24-byte salt. Each content needs a cek of its own.
//
// Every Write of dst has at most 16,400 bytes. Errors: [ErrMeta], [ErrTooLarge],
// and those of random and dst.
func NewWriter(dst io.Writer, random io.Reader, cek CEK, ctx Context, meta Meta) (*Writer, error) {
	padded, err := meta.padded()
	if err != nil {
		return nil, err
	}
	if !ctx.valid() {
		return nil, fmt.Errorf("%w: context", ErrMeta)
	}
	head := meta.encode()
	w := &Writer{
		list: Segments{content: ctx.Content, created: ctx.Created, length: ciphertextLen(padded), padded: padded},
		left: meta.Size,
		pad:  padded - frameSize - uint64(len(head)) - meta.Size,
	}
	if _, err := io.ReadFull(random, w.list.salt[:]); err != nil {
		return nil, err
	}
	c, commitment := deriveChunks(cek.contentKey(), w.list.salt, ctx.encode(padded))
	w.list.commitment = commitment
	w.chunks = newChunkWriter(dst, c, segmentCount(padded))
	if err := writeFull(dst, append(w.list.salt[:saltSize:saltSize], commitment[:]...)); err != nil {
		return nil, err
	}
	if err := w.chunks.write(binary.BigEndian.AppendUint32(nil, uint32(len(head)))); err != nil {
		return nil, err
	}
	if err := w.chunks.write(head); err != nil {
		return nil, err
	}
	return w, nil
}

// Write seals p. Once it fails, it fails for good: [ErrSize] when p goes past
// Meta.Size, [ErrUnfinished] after Close, or the error of dst.
func (w *Writer) Write(p []byte) (int, error) {
	if err := w.take(len(p)); err != nil {
		return 0, err
	}
	if err := w.chunks.write(p); err != nil {
		return 0, w.fail(err)
	}
	return len(p), nil
}

// ReadFrom seals all of src, without a copy. Errors are those of Write and of src;
// it implements io.ReaderFrom.
func (w *Writer) ReadFrom(src io.Reader) (total int64, err error) {
	for {
		if err := w.take(0); err != nil {
			return total, err
		}
		n, err := readSome(src, w.chunks.free())
		if n > 0 {
			if err := w.take(n); err != nil {
				return total, err
			}
			if err := w.chunks.filled(n); err != nil {
				return total, w.fail(err)
			}
			total += int64(n)
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// take books n bytes of content.
func (w *Writer) take(n int) error {
	switch {
	case w.err != nil:
		return w.err
	case w.closed:
		return ErrUnfinished
	case uint64(n) > w.left:
		return w.fail(ErrSize)
	}
	w.left -= uint64(n)
	return nil
}

func (w *Writer) fail(err error) error {
	w.err = err
	w.chunks.wipe()
	return err
}

var zeros [chunkSize]byte

// Close writes the padding, up to 12 % of the content, and the last chunk. It does
// not close dst. It fails with [ErrSize] when bytes are missing, so that a source
// that ended early never becomes a whole content. Closing again does nothing.
func (w *Writer) Close() error {
	switch {
	case w.err != nil:
		return w.err
	case w.closed:
		return nil
	case w.left > 0:
		return w.fail(ErrSize)
	}
	for w.pad > 0 {
		n := min(w.pad, chunkSize)
		if err := w.chunks.write(zeros[:n]); err != nil {
			return w.fail(err)
		}
		w.pad -= n
	}
	if err := w.chunks.finish(); err != nil {
		return w.fail(err)
	}
	w.list.hashes = w.chunks.hashes
	w.closed = true
	return nil
}

// Result is digest, length and segment list of the ciphertext. Error:
// [ErrUnfinished] before a Close that succeeded.
func (w *Writer) Result() (Result, error) {
	if !w.closed {
		return Result{}, ErrUnfinished
	}
	list := w.list.encode()
	return Result{Digest: digestOf(list), Length: w.list.length, Segments: list}, nil
}

// maxIdleReads is how often a source may return nothing before it counts as
// broken, as in bufio.
const maxIdleReads = 100

// readSome reads at least one byte, or returns an error.
func readSome(r io.Reader, b []byte) (int, error) {
	for range maxIdleReads {
		if n, err := r.Read(b); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}
