package seal

import "io"

const spoolLabel = "reseal/1 spool"

// Spool takes a source of unknown length, such as a pipe, and gives it back with
// its length, for [NewWriter]. What it writes to its file is sealed under a key
// that only the Spool has, in memory: plaintext never touches the disk, and a
// file that a crash leaves behind is noise. It is for one goroutine at a time.
type Spool struct {
	file   io.ReadWriteSeeker
	chunks *chunks
	w      *chunkWriter
	size   uint64
	err    error
}

// NewSpool starts a spool in file, which is empty; the caller deletes it. random
// gives the key.
func NewSpool(file io.ReadWriteSeeker, random io.Reader) (*Spool, error) {
	var key [32]byte
	defer clear(key[:])
	if _, err := io.ReadFull(random, key[:]); err != nil {
		return nil, err
	}
	// The salt may be constant: the key is random and for this spool alone.
	c, _ := deriveChunks(key, [saltSize]byte{}, []byte(spoolLabel))
	return &Spool{file: file, chunks: c, w: newChunkWriter(file, c, 0)}, nil
}

// Write adds p. Errors, which are final: [ErrTooLarge] past [MaxPadded],
// [ErrUnfinished] after Reader, and those of the file.
func (s *Spool) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.size+uint64(len(p)) > MaxPadded {
		return 0, s.fail(ErrTooLarge)
	}
	s.size += uint64(len(p))
	if err := s.w.write(p); err != nil {
		return 0, s.fail(err)
	}
	return len(p), nil
}

// Reader ends the spool and returns what was written and its length in bytes, to be
// read once. Its errors are those of the file, and [ErrOpen] for a file that is
// not as it was written.
func (s *Spool) Reader() (io.Reader, uint64, error) {
	if s.err != nil {
		return nil, 0, s.err
	}
	if err := s.w.finish(); err != nil {
		return nil, 0, s.fail(err)
	}
	s.err = ErrUnfinished
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, 0, err
	}
	return &chunkReader{chunks: s.chunks, src: s.file}, s.size, nil
}

func (s *Spool) fail(err error) error {
	s.err = err
	s.w.wipe()
	return err
}

// chunkReader opens a sequence of chunks whose number is not known, as the C2SP
// text describes it: the first short one is the last.
type chunkReader struct {
	chunks *chunks
	src    io.Reader
	next   uint64
	plain  []byte // not yet given out
	err    error
	box    [boxSize]byte
}

func (r *chunkReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.plain) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.fill()
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

func (r *chunkReader) fill() {
	n := 0
	for n < boxSize && r.err == nil {
		var k int
		k, r.err = readSome(r.src, r.box[n:])
		n += k
	}
	if r.err != nil && r.err != io.EOF {
		return
	}
	plain, err := r.chunks.open(r.box[:n], r.next)
	switch {
	case err != nil:
		r.err = err
		return
	case n == boxSize:
		r.err = nil // not the last; a source may say EOF with its last bytes
	}
	r.plain = plain
	r.next++
}
