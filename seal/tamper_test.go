package seal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"testing"
)

const tamperSize = 1<<20 + 300000

// relist gives ct a list and digest of its own, as a sender could who lies, or
// anybody who knows the CEK: what refuses is then the chunk layer.
func relist(ct []byte, content ContentID) sealed {
	l := &Segments{content: content, created: testCtx.Created, length: uint64(len(ct)),
		salt: [saltSize]byte(ct), commitment: [commitmentSize]byte(ct[saltSize:])}
	for rest := ct[headSize:]; len(rest) > 0; {
		n := min(segmentSize, len(rest))
		h := sha256.Sum256(rest[:n])
		l.hashes, rest = append(l.hashes, h[:]...), rest[n:]
	}
	list := l.encode()
	return sealed{ct, Result{Digest: digestOf(list), Length: l.length, Segments: list}}
}

// refused checks that no entry opens s, that the error is ErrOpen alone, and that
// what came out before is a prefix of data of at most limit bytes.
func refused(t *testing.T, what string, s sealed, cek CEK, from Origin, data []byte, limit int) {
	t.Helper()
	l, err := ParseSegments(s.Segments, s.Digest)
	if err != nil {
		if err != ErrOpen {
			t.Errorf("%s: ParseSegments: %v", what, err)
		}
		return
	}
	for _, e := range entries {
		_, got, err := e.open(l, s.ct, cek, from)
		if err != ErrOpen {
			t.Errorf("%s, %s: error %v", what, e.name, err)
		}
		if len(got) > limit || !bytes.HasPrefix(data, got) {
			t.Errorf("%s, %s: %d bytes came out, at most %d may", what, e.name, len(got), limit)
		}
	}
}

// released is how much content may come out when ciphertext from off on is bad:
// whole segments before it.
func released(off int) int { return max(0, off-headSize) / segmentSize * segmentChunks * chunkSize }

// boundaries are the first and last byte of each part of the head and of each
// chunk's ciphertext and tag.
func boundaries(ct []byte) []int {
	at := []int{0, saltSize - 1, saltSize, headSize - 1}
	for off := headSize; off < len(ct); off += boxSize {
		end := min(off+boxSize, len(ct))
		at = append(at, off, end-tagSize-1, end-tagSize, end-1)
	}
	return at
}

func TestAltered(t *testing.T) {
	data := fill(tamperSize)
	s := sealBytes(t, meta(tamperSize), data)
	l := s.list(t)
	for _, off := range boundaries(s.ct) {
		ct := bytes.Clone(s.ct)
		ct[off] ^= 1
		refused(t, fmt.Sprintf("byte %d altered", off), sealed{ct, s.Result}, testCEK, testFrom, data, released(off))
		if err := l.Verify(bytes.NewReader(ct)); err != ErrOpen {
			t.Errorf("byte %d altered: Verify: %v", off, err)
		}
		refused(t, fmt.Sprintf("byte %d altered, new list", off), relist(ct, testCtx.Content), testCEK, testFrom, data, released(off))
	}
}

func TestCutAndExtended(t *testing.T) {
	data := fill(tamperSize)
	s := sealBytes(t, meta(tamperSize), data)
	l := s.list(t)
	check := func(what string, ct []byte) {
		t.Helper()
		_, got, err := entries[0].open(l, ct, testCEK, testFrom)
		if err != ErrOpen || !bytes.HasPrefix(data, got) {
			t.Errorf("%s: Read: %v", what, err)
		}
		if err := l.Verify(bytes.NewReader(ct)); err != ErrOpen {
			t.Errorf("%s: Verify: %v", what, err)
		}
		// With a list for the new length, the padded length in the context differs.
		if len(ct) >= headSize {
			refused(t, what+", new list", relist(ct, testCtx.Content), testCEK, testFrom, data, 0)
		}
	}
	for _, off := range boundaries(s.ct) {
		check(fmt.Sprintf("cut to %d", off), s.ct[:off])
		if _, _, err := entries[2].open(l, s.ct[:off], testCEK, testFrom); err != ErrOpen {
			t.Errorf("cut to %d: ReadAt: %v", off, err)
		}
	}
	for _, n := range []int{1, tagSize, boxSize, segmentSize} {
		check(fmt.Sprintf("extended by %d", n), append(bytes.Clone(s.ct), s.ct[headSize:headSize+n]...))
		check(fmt.Sprintf("extended by %d zeros", n), append(bytes.Clone(s.ct), make([]byte, n)...))
	}
}

// swap exchanges n bytes at a and b.
func swap(ct []byte, a, b, n int) []byte {
	ct = bytes.Clone(ct)
	x := bytes.Clone(ct[a : a+n])
	copy(ct[a:], ct[b:b+n])
	copy(ct[b:], x)
	return ct
}

func TestReordered(t *testing.T) {
	const size = 2<<20 + 5
	data := fill(size)
	s := sealBytes(t, meta(size), data)
	try := func(what string, ct []byte, from int) {
		t.Helper()
		if bytes.Equal(ct, s.ct) {
			t.Fatal(what, "changed nothing")
		}
		refused(t, what, sealed{ct, s.Result}, testCEK, testFrom, data, released(from))
		refused(t, what+", new list", relist(ct, testCtx.Content), testCEK, testFrom, data, released(from))
	}
	for i := range (len(s.ct)-headSize)/boxSize - 1 {
		// Every pair at the start and around the segment boundaries, else some.
		if i > 3 && i%segmentChunks > 1 && i%segmentChunks < 62 && i%11 != 0 {
			continue
		}
		a := headSize + i*boxSize
		try(fmt.Sprintf("chunks %d and %d swapped", i, i+1), swap(s.ct, a, a+boxSize, boxSize), a)
	}
	try("segments 0 and 1 swapped", swap(s.ct, headSize, headSize+segmentSize, segmentSize), 0)
	dup := bytes.Clone(s.ct)
	copy(dup[headSize+segmentSize:], s.ct[headSize:headSize+segmentSize])
	try("segment 0 twice", dup, headSize+segmentSize)

	// Hashes swapped in the list together with the segments.
	l := *s.list(t)
	l.hashes = swap(l.hashes, 0, hashSize, hashSize)
	list := l.encode()
	if _, err := ParseSegments(list, s.Digest); err != ErrOpen {
		t.Error("a reordered list matched the digest:", err)
	}
}

// Parts of another content under the same key, as another recipient has it.
func TestSwappedParts(t *testing.T) {
	data := fill(tamperSize)
	s := sealBytes(t, meta(tamperSize), data)
	var dst bytes.Buffer
	w, err := NewWriter(&dst, salt("other"), testCEK, testCtx, meta(tamperSize))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bytes.Repeat([]byte{7}, tamperSize)); err != nil {
		t.Fatal(err)
	}
	o := finish(t, w, &dst)
	if _, got, err := entries[0].open(o.list(t), o.ct, testCEK, testFrom); err != nil || len(got) != tamperSize {
		t.Fatal("the other content does not open:", err)
	}
	parts := map[string][2]int{"salt": {0, saltSize}, "commitment": {saltSize, headSize}, "head": {0, headSize}, "all": {0, len(s.ct)}}
	for i := 0; headSize+i*segmentSize < len(s.ct); i++ {
		parts[fmt.Sprint("segment ", i)] = [2]int{headSize + i*segmentSize, min(len(s.ct), headSize+(i+1)*segmentSize)}
	}
	for i := 0; headSize+i*boxSize < len(s.ct); i += 9 {
		parts[fmt.Sprint("chunk ", i)] = [2]int{headSize + i*boxSize, min(len(s.ct), headSize+(i+1)*boxSize)}
	}
	for what, p := range parts {
		ct := bytes.Clone(s.ct)
		copy(ct[p[0]:p[1]], o.ct[p[0]:p[1]])
		refused(t, what, sealed{ct, s.Result}, testCEK, testFrom, data, released(p[0]))
		if what != "all" {
			refused(t, what+", new list", relist(ct, testCtx.Content), testCEK, testFrom, data, released(p[0]))
		}
	}
	if _, err := ParseSegments(o.Segments, s.Digest); err != ErrOpen {
		t.Error("the other content's list matched:", err)
	}
}

// A content that ends before its last segment: that one is checked all the same
// before anything says that the content is whole.
func TestEndIsChecked(t *testing.T) {
	size := 1<<20 - frameSize - meta(0).encodedLen()
	data := fill(size)
	s := sealBytes(t, meta(size), data)
	if s.list(t).count() != 2 || len(s.ct) != headSize+segmentSize+tagSize {
		t.Fatal("the last segment is not an empty chunk")
	}
	s.ct[len(s.ct)-1] ^= 1
	refused(t, "tag of the last chunk", s, testCEK, testFrom, data, size)
	refused(t, "tag of the last chunk, new list", relist(s.ct, testCtx.Content), testCEK, testFrom, data, size)
}

// substitute seals other data with the same key, salt, context and description: what
// another recipient, who has the CEK, can make. Every chunk of it opens.
func substitute(t testing.TB, m Meta, saltName string) []byte {
	t.Helper()
	var dst bytes.Buffer
	w, err := NewWriter(&dst, salt(saltName), testCEK, testCtx, m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bytes.Repeat([]byte{7}, int(m.Size))); err != nil {
		t.Fatal(err)
	}
	return finish(t, w, &dst).ct
}

// Only the digest stops a substituted content, whole or in one segment.
func TestSubstitutedUnderTheSameKey(t *testing.T) {
	data := fill(tamperSize)
	s := sealBytes(t, meta(tamperSize), data)
	other := substitute(t, meta(tamperSize), "fixture")
	if !bytes.Equal(other[:headSize], s.ct[:headSize]) {
		t.Fatal("the substitute has another head")
	}
	if _, _, err := entries[0].open(relist(other, testCtx.Content).list(t), other, testCEK, testFrom); err != nil {
		t.Fatal("the substitute does not open by itself:", err)
	}
	refused(t, "substitute", sealed{other, s.Result}, testCEK, testFrom, data, 0)
	ct := bytes.Clone(s.ct)
	copy(ct[headSize+segmentSize:], other[headSize+segmentSize:])
	refused(t, "last segment substituted", sealed{ct, s.Result}, testCEK, testFrom, data, segmentChunks*chunkSize)
	for i := headSize; i < len(s.ct); i += boxSize {
		ct := bytes.Clone(s.ct)
		copy(ct[i:min(i+boxSize, len(ct))], other[i:])
		if bytes.Equal(ct, s.ct) {
			continue // both chunks are padding
		}
		refused(t, fmt.Sprintf("chunk at %d substituted", i), sealed{ct, s.Result}, testCEK, testFrom, data, released(i))
	}
}

func TestOtherKeyOrContext(t *testing.T) {
	data := fill(5000)
	s := sealBytes(t, meta(len(data)), data)
	cek, kind, sender := testCEK, testFrom, testFrom
	cek[31] ^= 1
	kind.Kind = 2
	sender.Sender[0] ^= 1
	refused(t, "cek", s, cek, testFrom, data, 0)
	refused(t, "kind", s, testCEK, kind, data, 0)
	refused(t, "no kind", s, testCEK, Origin{Sender: testFrom.Sender}, data, 0)
	refused(t, "sender", s, testCEK, sender, data, 0)
	refused(t, "content id", relist(s.ct, ContentID(hash16("another"))), testCEK, testFrom, data, 0)

	l := *s.list(t)
	l.created++
	refused(t, "created", sealed{s.ct, Result{Digest: digestOf(l.encode()), Segments: l.encode()}}, testCEK, testFrom, data, 0)
}

// A source's own errors are passed on, since the caller tries those again.
func TestSourceErrors(t *testing.T) {
	data := fill(3 << 20)
	s := sealBytes(t, meta(len(data)), data)
	l, broken := s.list(t), errors.New("connection lost")
	for _, off := range []int{0, 10, headSize, headSize + 100, headSize + segmentSize, len(s.ct) - 1, len(s.ct)} {
		src := io.MultiReader(bytes.NewReader(s.ct[:off]), errReader{broken})
		r, err := l.NewReader(src, testCEK, testFrom)
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if err != broken {
			t.Errorf("at %d: %v", off, err)
		}
		if err := l.Verify(io.MultiReader(bytes.NewReader(s.ct[:off]), errReader{broken})); err != broken {
			t.Errorf("at %d: Verify: %v", off, err)
		}
	}
	flaky := &flakyAt{ReaderAt: bytes.NewReader(s.ct), err: broken}
	r, err := l.NewReaderAt(flaky, testCEK, testFrom)
	if err != nil {
		t.Fatal(err)
	}
	flaky.fail = true
	p := make([]byte, 100)
	if _, err := r.ReadAt(p, 2<<20); err != broken {
		t.Error("ReadAt:", err)
	}
	flaky.fail = false
	if n, err := r.ReadAt(p, 2<<20); err != nil || !bytes.Equal(p[:n], data[2<<20:][:100]) {
		t.Error("ReadAt again:", err)
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

type flakyAt struct {
	io.ReaderAt
	fail bool
	err  error
}

func (f *flakyAt) ReadAt(p []byte, off int64) (int, error) {
	if f.fail {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, off)
}
