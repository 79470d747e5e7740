package seal

import (
	"io"
	"runtime"
	"sync"
	"testing"
)

// pattern is a source of n bytes that takes no memory.
type pattern struct{ left int64 }

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n := int(min(p.left, int64(len(b))))
	for i := range n {
		b[i] = 'p'
	}
	p.left -= int64(n)
	return n, nil
}

type check struct {
	t testing.TB
	n int64
}

func (c *check) Write(b []byte) (int, error) {
	for _, x := range b {
		if x != 'p' {
			c.t.Error("another byte came out")
			return 0, io.ErrClosedPipe
		}
	}
	c.n += int64(len(b))
	return len(b), nil
}

func sealPattern(t testing.TB, dst io.Writer, size int64) Result {
	w, err := NewWriter(dst, salt("memory"), testCEK, testCtx, meta(int(size)))
	if err != nil {
		t.Error(err)
		return Result{}
	}
	if n, err := io.Copy(w, &pattern{size}); n != size || err != nil {
		t.Error(n, err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	r, err := w.Result()
	if err != nil {
		t.Error(err)
	}
	return r
}

// All that a writer and a reader of 256 MiB allocate, freed or not, is a few MiB:
// so nothing grows with the content but the segment list.
func TestConstantMemory(t *testing.T) {
	const size = 256 << 20
	first := sealPattern(t, io.Discard, size)

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	pr, pw := io.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		if again := sealPattern(t, pw, size); again.Digest != first.Digest {
			t.Error("another digest from the same salt")
		}
		pw.Close()
	})
	l, err := ParseSegments(first.Segments, first.Digest)
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.NewReader(pr, testCEK, testFrom)
	if err != nil {
		pr.Close()
		t.Fatal(err)
	}
	c := &check{t: t}
	if n, err := io.Copy(c, r); n != size || err != nil || c.n != size {
		t.Error(n, err)
	}
	pr.Close() // so that a reader that failed does not leave the writer waiting
	wg.Wait()
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 3<<20 {
		t.Errorf("%d bytes allocated for %d bytes of content", got, size)
	}
}

func TestNoAllocationPerChunk(t *testing.T) {
	w, err := NewWriter(io.Discard, salt("memory"), testCEK, testCtx, meta(1<<30))
	if err != nil {
		t.Fatal(err)
	}
	chunk := fill(chunkSize)
	if n := testing.AllocsPerRun(200, func() { _, err = w.Write(chunk) }); n != 0 || err != nil {
		t.Errorf("Write allocates %v times (%v)", n, err)
	}
	const size = 4 << 20
	s := sealBytes(t, meta(size), fill(size))
	r, err := s.list(t).NewReaderAt(byteSource(s.ct), testCEK, testFrom)
	if err != nil {
		t.Fatal(err)
	}
	off, p := int64(0), make([]byte, chunkSize)
	if n := testing.AllocsPerRun(200, func() {
		if _, err = r.ReadAt(p, off); err != nil {
			t.Error(err)
		}
		off = (off + 1<<20 - 5) % (size - chunkSize)
	}); n != 0 {
		t.Errorf("ReadAt allocates %v times", n)
	}
}

type byteSource []byte

func (b byteSource) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, b[min(off, int64(len(b))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func BenchmarkSeal(b *testing.B) {
	data := fill(1 << 20)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	w, err := NewWriter(io.Discard, salt("bench"), testCEK, testCtx, Meta{Size: MaxPadded - 1<<20})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := w.Write(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	const size = 32 << 20
	s := sealBytes(b, meta(size), fill(size))
	l := s.list(b)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		r, err := l.NewReader(io.NewSectionReader(byteSource(s.ct), 0, int64(len(s.ct))), testCEK, testFrom)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, struct{ io.Reader }{r}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadAt(b *testing.B) {
	const size = 32 << 20
	s := sealBytes(b, meta(size), fill(size))
	r, err := s.list(b).NewReaderAt(byteSource(s.ct), testCEK, testFrom)
	if err != nil {
		b.Fatal(err)
	}
	p, off := make([]byte, 4096), int64(0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.ReadAt(p, off); err != nil {
			b.Fatal(err)
		}
		off = (off + 5<<20) % (size - 4096) // a segment each
	}
}

// BenchmarkSmall is a text: all that a message costs besides its wraps.
func BenchmarkSmall(b *testing.B) {
	data := fill(200)
	b.ReportAllocs()
	for b.Loop() {
		w, err := NewWriter(io.Discard, salt("bench"), testCEK, testCtx, Meta{Size: 200})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
