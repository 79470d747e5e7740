package demo

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
)

func random(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSearchFindsEveryFormAtEveryPlace(t *testing.T) {
	value := random(t, 32)
	s := newSearch([]secret{{"key", value}})
	var written [][]byte
	written = append(written, value, []byte(hex.EncodeToString(value)), []byte(strings.ToUpper(hex.EncodeToString(value))))
	for before := range 5 {
		for after := range 4 {
			whole := append(append(random(t, before), value...), random(t, after)...)
			for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
				written = append(written, []byte(e.EncodeToString(whole)))
			}
		}
	}
	const edge = 1 << 20 // of the buffer
	for i, w := range written {
		for _, at := range []int{0, 5, edge - 1, edge - len(w)/2, edge, edge + s.longest - 1, 2*edge - 3} {
			b := append(append(bytes.Repeat([]byte{'.'}, at), w...), bytes.Repeat([]byte{'.'}, i%3)...)
			found, n, err := s.in("test", iotest.HalfReader(bytes.NewReader(b)))
			if err != nil || n != int64(len(b)) || len(found) == 0 {
				t.Fatalf("form %d at %d: %d found in %d bytes, %v", i, at, len(found), n, err)
			}
			if first := found[0].offset; first < int64(at) || first > int64(at)+8 {
				t.Fatalf("form %d at %d is found at %d", i, at, first)
			}
		}
	}
	for _, b := range [][]byte{nil, value[:31], random(t, 3<<20), []byte(base64.StdEncoding.EncodeToString(value[:20]))} {
		if found, _, err := s.in("test", bytes.NewReader(b)); err != nil || len(found) != 0 {
			t.Errorf("in %d other bytes: %v, %v", len(b), found, err)
		}
	}
}

func TestSearchForNothingIsAnError(t *testing.T) {
	if _, _, err := newSearch([]secret{{"short", []byte("x")}}).in("test", strings.NewReader("x")); err == nil {
		t.Error("a search that looks for nothing finds nothing and says so as if it had looked")
	}
}

func TestSamples(t *testing.T) {
	noise := random(t, 1<<20)
	all, err := samples(bytes.NewReader(noise), int64(len(noise)))
	if err != nil || len(all) != samplesOf || !bytes.Equal(all[0], noise[:sampleSize]) || !bytes.HasSuffix(noise, all[len(all)-1]) && bytes.Index(noise, all[len(all)-1]) < len(noise)-samplesOf*2 {
		t.Errorf("%d samples, %v", len(all), err)
	}
	for size := range 200 {
		all, err := samples(bytes.NewReader(noise[:size]), int64(size))
		if err != nil || len(all) == 0 {
			t.Errorf("of %d bytes: %d samples, %v", size, len(all), err)
		}
	}
	if all, err := samples(bytes.NewReader(make([]byte, 1<<20)), 1<<20); err != nil || len(all) != 0 {
		t.Errorf("of zeros: %d samples, %v", len(all), err)
	}
}

func TestComparison(t *testing.T) {
	for _, size := range []int{0, 1, 256<<10 - 1, 256 << 10, 256<<10 + 1, 600_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			b := random(t, size)
			c := text(string(b))
			if err := c.same(iotest.OneByteReader(bytes.NewReader(b))); err != nil {
				t.Errorf("the same: %v", err)
			}
			if c.same(bytes.NewReader(append(bytes.Clone(b), 0))) == nil {
				t.Error("a byte more")
			}
			if size == 0 {
				return
			}
			if c.same(bytes.NewReader(b[:size-1])) == nil {
				t.Error("a byte less")
			}
			for _, at := range []int{0, size / 2, size - 1} {
				other := bytes.Clone(b)
				other[at] ^= 1
				if c.same(bytes.NewReader(other)) == nil {
					t.Errorf("another byte at %d", at)
				}
			}
			c.sum[0] ^= 1
			if c.same(bytes.NewReader(b)) == nil {
				t.Error("another SHA-256")
			}
		})
	}
}
