package seal

import (
	"bytes"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
)

var sizes = []int{0, 1, 200, 255, 16383, 16384, 16385, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 + 12345}

func TestRoundTrip(t *testing.T) {
	for _, size := range sizes {
		m, data := meta(size), fill(size)
		s := sealBytes(t, m, data)
		n, err := CiphertextLen(m)
		if err != nil || n != uint64(len(s.ct)) || n != s.Length || s.list(t).Length() != n {
			t.Fatalf("size %d: ciphertext of %d bytes, CiphertextLen %d (%v), Result %d", size, len(s.ct), n, err, s.Length)
		}
		if err := s.list(t).Verify(bytes.NewReader(s.ct)); err != nil {
			t.Errorf("size %d: Verify: %v", size, err)
		}
		for _, e := range entries {
			gotMeta, got, err := e.open(s.list(t), s.ct, testCEK, testFrom)
			if err != nil || !reflect.DeepEqual(gotMeta, m) || !bytes.Equal(got, data) {
				t.Errorf("size %d, %s: %v, %d bytes", size, e.name, err, len(got))
			}
		}
	}
}

// The pieces in which a content is written do not show in its ciphertext.
func TestWritesOfAnySize(t *testing.T) {
	const size = 1<<20 + 54321
	m, data := meta(size), fill(size)
	want := sealBytes(t, m, data)
	for _, piece := range []int{1021, 16383, 16384, 16385, 50000} {
		var dst bytes.Buffer
		w, err := NewWriter(&dst, salt("fixture"), testCEK, testCtx, m)
		if err != nil {
			t.Fatal(err)
		}
		for rest := data; len(rest) > 0; {
			n := min(piece, len(rest))
			if k, err := w.Write(rest[:n]); k != n || err != nil {
				t.Fatal(k, err)
			}
			rest = rest[n:]
		}
		if got := finish(t, w, &dst); !bytes.Equal(got.ct, want.ct) || got.Digest != want.Digest {
			t.Errorf("pieces of %d bytes give another ciphertext", piece)
		}
	}
	var dst bytes.Buffer
	w, err := NewWriter(&dst, salt("fixture"), testCEK, testCtx, m)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.ReadFrom(oneByOne{bytes.NewReader(data)}); n != size || err != nil {
		t.Fatal(n, err)
	}
	if got := finish(t, w, &dst); !bytes.Equal(got.ct, want.ct) {
		t.Error("ReadFrom gives another ciphertext")
	}
}

func TestReadAtAnywhere(t *testing.T) {
	const size = 2<<20 + 777
	data := fill(size)
	s := sealBytes(t, meta(size), data)
	r, err := s.list(t).NewReaderAt(bytes.NewReader(s.ct), testCEK, testFrom)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	offsets := []int{0, 1, 16383, 16384, 1<<20 - 50, 1<<20 - 1, 1 << 20, size - 1, size, size + 1}
	for range 60 {
		offsets = append(offsets, rnd.IntN(size))
	}
	for _, off := range offsets {
		n := []int{0, 1, 100, 16384, 40000}[rnd.IntN(5)]
		p := make([]byte, n)
		k, err := r.ReadAt(p, int64(off))
		var want []byte
		if off < size {
			want = data[off:min(size, off+n)]
		}
		if !bytes.Equal(p[:k], want) {
			t.Fatalf("ReadAt(%d bytes, %d) gave %d other bytes", n, off, k)
		}
		if short := k < n || off >= size; short != (err == io.EOF) || !short && err != nil {
			t.Fatalf("ReadAt(%d bytes, %d) = %d, %v", n, off, k, err)
		}
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a negative offset was taken")
	}
	sr := io.NewSectionReader(r, 5, size)
	if got, err := io.ReadAll(sr); err != nil || !bytes.Equal(got, data[5:]) {
		t.Error("SectionReader:", err)
	}
}
