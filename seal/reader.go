package seal

import (
	"crypto/sha256"
	"crypto/subtle"
	"io"
)

// Reader opens a content from a stream of its ciphertext. It holds 1 MiB and is
// for one goroutine at a time.
type Reader struct {
	o    *opener
	src  *stream
	pos  uint64 // in the plaintext
	done error  // sticky
}

// NewReader reads the first segment of src, the ciphertext from its first byte,
// and opens the description. from comes from the message's header, cek from its
// wrap. Errors: [ErrOpen], and those of src.
func (s *Segments) NewReader(src io.Reader, cek CEK, from Origin) (*Reader, error) {
	in := &stream{src: src}
	o, err := s.newOpener(cek, from, func(b []byte, _ uint64) error { return in.fill(b) })
	if err != nil {
		return nil, err
	}
	return &Reader{o: o, src: in, pos: o.start}, nil
}

// Meta is the description of the content. It is authentic before the content is
// complete.
func (r *Reader) Meta() Meta { return r.o.meta }

// Read gives out the content. io.EOF means that all of it was given out and all of
// the ciphertext, padding and last chunk too, was as the sender made it; until
// then the content is not complete. Any other error is final: [ErrOpen], or what
// src returned.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 && r.done == nil {
		return 0, nil
	}
	b, err := r.next()
	if err != nil {
		return 0, err
	}
	n := copy(p, b)
	r.pos += uint64(n)
	return n, nil
}

// WriteTo writes the rest of the content to w, without a copy; it implements
// io.WriterTo. It returns nil only where Read would have returned io.EOF.
func (r *Reader) WriteTo(w io.Writer) (total int64, err error) {
	for {
		b, err := r.next()
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(b)
		if n < 0 || n > len(b) {
			n = 0
		}
		r.pos += uint64(n)
		total += int64(n)
		if err == nil && n != len(b) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return total, err
		}
	}
}

// next is the content that is at hand, at least a byte.
func (r *Reader) next() ([]byte, error) {
	if r.done != nil {
		return nil, r.done
	}
	if r.pos == r.o.end() {
		return nil, r.finish()
	}
	b, err := r.o.plain(r.pos)
	if err != nil {
		return nil, r.stop(err)
	}
	return b[:min(uint64(len(b)), r.o.end()-r.pos)], nil
}

func (r *Reader) finish() error {
	err := r.o.zerosFrom(r.pos)
	if err == nil {
		err = r.src.ended()
	}
	if err == nil {
		err = io.EOF
	}
	return r.stop(err)
}

func (r *Reader) stop(err error) error {
	r.done = err
	r.o.drop()
	return err
}

// Verify reads src to its end and checks that it is the ciphertext of this list,
// without the key and in 32 KiB of memory. Errors: [ErrOpen], and those of src.
func (s *Segments) Verify(src io.Reader) error {
	in := &stream{src: src}
	buf := make([]byte, 32<<10)
	if err := in.fill(buf[:headSize]); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(buf[:saltSize], s.salt[:])&
		subtle.ConstantTimeCompare(buf[saltSize:headSize], s.commitment[:]) != 1 {
		return ErrOpen
	}
	sum := sha256.New()
	got := make([]byte, 0, hashSize)
	for i := range s.count() {
		_, left := s.span(i)
		sum.Reset()
		for left > 0 {
			b := buf[:min(left, len(buf))]
			if err := in.fill(b); err != nil {
				return err
			}
			sum.Write(b)
			left -= len(b)
		}
		if subtle.ConstantTimeCompare(sum.Sum(got), s.hashes[i*hashSize:][:hashSize]) != 1 {
			return ErrOpen
		}
	}
	return in.ended()
}

// stream reads a ciphertext in order. A source that ends early or late is no
// ciphertext of this list, hence ErrOpen; any other error is the source's own and
// tells the caller to try again. So a connection that breaks must not end in
// io.EOF, and an HTTP body of known length does not.
type stream struct{ src io.Reader }

func (s *stream) fill(b []byte) error {
	for len(b) > 0 {
		n, err := readSome(s.src, b)
		b = b[n:]
		if err == nil || len(b) == 0 {
			continue
		}
		if err == io.EOF {
			return ErrOpen
		}
		return err
	}
	return nil
}

func (s *stream) ended() error {
	var b [1]byte
	switch n, err := readSome(s.src, b[:]); {
	case n > 0:
		return ErrOpen
	case err == io.EOF:
		return nil
	default:
		return err
	}
}
