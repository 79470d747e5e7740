package seal

import (
	"crypto/subtle"
	"encoding/binary"
)

// opener holds one segment at a time, opened in place, for [Reader] and
// [ReaderAt]. A segment is only in it after it matched its hash and all its
// chunks opened.
type opener struct {
	list   *Segments
	chunks *chunks
	fetch  func(b []byte, off uint64) error // fills b from the ciphertext

	buf  []byte // head, then a segment
	seg  []byte // the segment now in buf; nil when there is none
	have uint64 // its number

	meta  Meta
	start uint64 // of the content in the plaintext
}

func (s *Segments) newOpener(cek CEK, from Origin, fetch func([]byte, uint64) error) (*opener, error) {
	ctx := Context{Kind: from.Kind, Content: s.content, Sender: from.Sender, Created: s.created}
	c, commitment := deriveChunks(cek.contentKey(), s.salt, ctx.encode(s.padded))
	if !ctx.valid() || subtle.ConstantTimeCompare(commitment[:], s.commitment[:]) != 1 {
		return nil, ErrOpen
	}
	_, n := s.span(0)
	o := &opener{list: s, chunks: c, fetch: fetch, buf: make([]byte, headSize+n)}
	if err := o.describe(); err != nil {
		o.drop()
		return nil, err
	}
	return o, nil
}

// load fetches, checks and opens segment i. The head comes with the first one, so
// that a content is described after a single fetch.
func (o *opener) load(i uint64) error {
	if o.seg != nil && o.have == i {
		return nil
	}
	o.drop()
	off, n := o.list.span(i)
	b, from := o.buf[headSize:headSize+n], headSize
	if i == 0 {
		off, from = 0, 0
	}
	if err := o.fetch(o.buf[from:headSize+n], off); err != nil {
		return err
	}
	if i == 0 && !o.headMatches() || !o.list.matches(i, b) {
		return ErrOpen
	}
	if err := o.openChunks(i, b); err != nil {
		o.drop()
		return err
	}
	o.seg, o.have = b, i
	return nil
}

func (o *opener) headMatches() bool {
	return subtle.ConstantTimeCompare(o.buf[:saltSize], o.list.salt[:])&
		subtle.ConstantTimeCompare(o.buf[saltSize:headSize], o.list.commitment[:]) == 1
}

// openChunks opens each chunk where it lies: plaintext j starts at j*boxSize.
func (o *opener) openChunks(i uint64, b []byte) error {
	for j := uint64(0); len(b) > 0; j++ {
		n := min(boxSize, len(b))
		if _, err := o.chunks.open(b[:n], i*segmentChunks+j); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// drop forgets the segment: a failed one must not be read, an opened one not stay
// in memory longer than its reader.
func (o *opener) drop() {
	o.seg = nil
	clear(o.buf)
}

// plain returns plaintext from pos on: at least one byte and at most to the end
// of its chunk. It is valid until the next call. pos is below the padded length.
func (o *opener) plain(pos uint64) ([]byte, error) {
	if err := o.load(pos / (segmentChunks * chunkSize)); err != nil {
		return nil, err
	}
	x := int(pos % (segmentChunks * chunkSize))
	j := x / chunkSize * boxSize
	return o.seg[j+x%chunkSize : min(j+boxSize, len(o.seg))-tagSize], nil
}

// describe reads the description and checks that padding and size agree.
func (o *opener) describe() error {
	var frame [frameSize]byte
	if err := o.copyTo(frame[:], 0); err != nil {
		return err
	}
	n := uint64(binary.BigEndian.Uint32(frame[:]))
	if n > maxMeta || frameSize+n > o.list.padded {
		return ErrOpen
	}
	b := make([]byte, n)
	if err := o.copyTo(b, frameSize); err != nil {
		return err
	}
	meta, err := parseMeta(b)
	if err != nil {
		return err
	}
	// Only the one right padding is taken. Otherwise a sender could hide data
	// behind the content that nobody is shown.
	if padded, err := meta.padded(); err != nil || padded != o.list.padded {
		return ErrOpen
	}
	o.meta, o.start = meta, frameSize+n
	return nil
}

func (o *opener) copyTo(b []byte, pos uint64) error {
	for len(b) > 0 {
		p, err := o.plain(pos)
		if err != nil {
			return err
		}
		n := copy(b, p)
		b, pos = b[n:], pos+uint64(n)
	}
	return nil
}

func (o *opener) end() uint64 { return o.start + o.meta.Size }

// zerosFrom checks that the plaintext from pos on is zero, to the very end, and
// that the last segment, with the last chunk, opens.
func (o *opener) zerosFrom(pos uint64) error {
	for pos < o.list.padded {
		p, err := o.plain(pos)
		if err != nil {
			return err
		}
		for _, x := range p {
			if x != 0 {
				return ErrOpen
			}
		}
		pos += uint64(len(p))
	}
	return o.load(o.list.count() - 1)
}
