package seal

import (
	"bytes"
	"reflect"
	"testing"
)

func FuzzParseMeta(f *testing.F) {
	f.Add(Meta{}.encode())
	f.Add(meta(1000).encode())
	f.Add(Meta{Name: "\x00/../x", Caption: "é", Size: 1 << 40}.encode())
	f.Add(make([]byte, metaFixed+1))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMeta(b)
		if err != nil {
			if err != ErrOpen || !reflect.DeepEqual(m, Meta{}) {
				t.Fatalf("%v with %v", err, m)
			}
			return
		}
		if !bytes.Equal(m.encode(), b) {
			t.Fatalf("%x parsed to what encodes as %x", b, m.encode())
		}
	})
}

func FuzzParseSegments(f *testing.F) {
	for _, size := range []int{0, 300, 1 << 20} {
		f.Add(sealBytes(f, meta(size), fill(size)).Segments)
	}
	bad, _ := badLists(f)
	for what, b := range bad {
		if what != "over-the-limit" {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseSegments(b, digestOf(b))
		if err != nil {
			if err != ErrOpen || l != nil {
				t.Fatal(err, l)
			}
			return
		}
		if !bytes.Equal(l.encode(), b) {
			t.Fatalf("%x parsed to what encodes as %x", b, l.encode())
		}
		last, n := l.span(l.count() - 1)
		if l.Length() > MaxCiphertext || last+uint64(n) != l.Length() || n < tagSize {
			t.Fatalf("list of %d bytes, last segment %d at %d", l.Length(), n, last)
		}
	})
}

// FuzzOpen opens any ciphertext under the list of a good one and under one made
// for it, and any plaintext that a sender could have sealed.
func FuzzOpen(f *testing.F) {
	good := sealBytes(f, meta(300), fill(300))
	list := good.list(f)
	f.Add(good.ct)
	f.Add(good.ct[:len(good.ct)-1])
	f.Add(append(bytes.Clone(good.ct), 0))
	f.Add(make([]byte, MinPadded))
	f.Add(plainOf(meta(300).encode(), fill(300), 416))
	f.Add(plainOf(meta(0).encode(), nil, MinPadded))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, e := range entries {
			_, got, err := e.open(list, b, testCEK, testFrom)
			if same := bytes.Equal(b, good.ct); e.name != "ReadAt" && same != (err == nil) {
				t.Fatalf("%s: %v", e.name, err)
			}
			if err != nil && (err != ErrOpen || !bytes.HasPrefix(fill(300), got)) {
				t.Fatalf("%s: %v", e.name, err)
			}
		}
		if len(b) >= headSize {
			openFuzzed(t, relist(b, testCtx.Content), false)
		}
		if len(b) <= 4*chunkSize {
			openFuzzed(t, craft(b), true)
		}
	})
}

// openFuzzed checks that every entry agrees and that what opens seals again to the
// same ciphertext.
func openFuzzed(t *testing.T, s sealed, crafted bool) {
	l, err := ParseSegments(s.Segments, s.Digest)
	if err != nil {
		return
	}
	m, data, err := entries[0].open(l, s.ct, testCEK, testFrom)
	for _, e := range entries[1:] {
		m2, data2, err2 := e.open(l, s.ct, testCEK, testFrom)
		// A reader of parts sees the padding of the last segment only, which is all
		// of it here.
		if err != err2 || err == nil && (!reflect.DeepEqual(m, m2) || !bytes.Equal(data, data2)) {
			t.Fatalf("Read: %v, %s: %v", err, e.name, err2)
		}
	}
	if err != nil || !crafted {
		return
	}
	var dst bytes.Buffer
	w, err := NewWriter(&dst, bytes.NewReader(s.ct[:saltSize]), testCEK, testCtx, m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if again := finish(t, w, &dst); !bytes.Equal(again.ct, s.ct) || again.Digest != s.Digest {
		t.Fatal("what opened seals to another ciphertext")
	}
}
