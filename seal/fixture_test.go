package seal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"testing"

	"github.com/reseal/reseal/identity"
)

// fill makes n reproducible bytes: byte i is i XOR i>>8 XOR i>>16, low 8 bits.
func fill(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

// hash32 is a reproducible key or id.
func hash32(s string) [32]byte { return sha256.Sum256([]byte("reseal test " + s)) }

func hash16(s string) [16]byte { h := hash32(s); return [16]byte(h[:16]) }

func salt(s string) io.Reader { h := hash32("salt " + s); return bytes.NewReader(h[:saltSize]) }

var (
	testCEK  = CEK(hash32("cek"))
	testFrom = Origin{Kind: 1, Sender: identity.AccountID(hash16("sender"))}
	testCtx  = Context{Kind: 1, Content: ContentID(hash16("content")), Sender: testFrom.Sender, Created: 1767225600000}
)

func meta(size int) Meta {
	return Meta{Name: "Übung.jpg", Type: "image/jpeg", Caption: "a caption", Size: uint64(size), Thumbnail: []byte{1, 2, 3}}
}

// sealed is a ciphertext with its result.
type sealed struct {
	ct []byte
	Result
}

func sealBytes(t testing.TB, m Meta, data []byte) sealed {
	t.Helper()
	var dst bytes.Buffer
	w, err := NewWriter(&dst, salt("fixture"), testCEK, testCtx, m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	return finish(t, w, &dst)
}

func finish(t testing.TB, w *Writer, dst *bytes.Buffer) sealed {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := w.Result()
	if err != nil {
		t.Fatal(err)
	}
	return sealed{dst.Bytes(), r}
}

func (s sealed) list(t testing.TB) *Segments {
	t.Helper()
	l, err := ParseSegments(s.Segments, s.Digest)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// entry is one way to open a content.
type entry struct {
	name string
	open func(l *Segments, ct []byte, cek CEK, from Origin) (Meta, []byte, error)
}

// entries are all ways to open a whole content. Bytes that one gives out before
// it fails are returned with the error.
var entries = []entry{
	{"Read", func(l *Segments, ct []byte, cek CEK, from Origin) (Meta, []byte, error) {
		r, err := l.NewReader(bytes.NewReader(ct), cek, from)
		if err != nil {
			return Meta{}, nil, err
		}
		var got []byte
		buf := make([]byte, 10007)
		for {
			n, err := r.Read(buf)
			got = append(got, buf[:n]...)
			if err == io.EOF {
				return r.Meta(), got, nil
			}
			if err != nil {
				if _, again := r.Read(buf); again != err {
					err = errors.New("a failed reader went on")
				}
				return r.Meta(), got, err
			}
		}
	}},
	{"WriteTo", func(l *Segments, ct []byte, cek CEK, from Origin) (Meta, []byte, error) {
		r, err := l.NewReader(oneByOne{bytes.NewReader(ct)}, cek, from)
		if err != nil {
			return Meta{}, nil, err
		}
		var dst bytes.Buffer
		_, err = r.WriteTo(&dst)
		return r.Meta(), dst.Bytes(), err
	}},
	{"ReadAt", func(l *Segments, ct []byte, cek CEK, from Origin) (Meta, []byte, error) {
		r, err := l.NewReaderAt(bytes.NewReader(ct), cek, from)
		if err != nil {
			return Meta{}, nil, err
		}
		got := make([]byte, r.Size()+1)
		n, err := r.ReadAt(got, 0)
		if err == io.EOF {
			err = nil
		}
		return r.Meta(), got[:n], err
	}},
}

// oneByOne gives uneven pieces and, now and then, nothing.
type oneByOne struct{ r *bytes.Reader }

func (o oneByOne) Read(p []byte) (int, error) {
	switch n := o.r.Len(); {
	case n%5 == 0 && n > 0:
		b := []byte{0}
		k, err := o.r.Read(b)
		copy(p, b)
		return k, err
	case len(p) > 4093:
		p = p[:4093]
	}
	return o.r.Read(p)
}
