package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
)

func TestPadme(t *testing.T) {
	// Computed by hand from the definition: floor(log2 n) - floor(log2 floor(log2
	// n)) - 1 low bits are zero.
	for n, want := range map[uint64]uint64{0: 0, 1: 1, 2: 2, 7: 7, 8: 8, 9: 10, 11: 12, 100: 104, 255: 256, 256: 256,
		257: 272, 1000: 1024, 1025: 1088, 1 << 20: 1 << 20, 1<<20 + 1: 1<<20 + 1<<15, MaxPadded: MaxPadded, MaxPadded + 1: 1 << 36} {
		if got := Padme(n); got != want {
			t.Errorf("Padme(%d) = %d, want %d", n, got, want)
		}
	}
	for n := uint64(1); n < 1<<40; n += n/97 + 1 {
		p := Padme(n)
		if p < n || (p-n)*100 > n*12 || Padme(p) != p {
			t.Fatalf("Padme(%d) = %d", n, p)
		}
	}
}

func TestLengths(t *testing.T) {
	for n := range uint64(40000) {
		if got, ok := plainLen(ciphertextLen(n)); !ok || got != n {
			t.Fatalf("plainLen(ciphertextLen(%d)) = %d, %v", n, got, ok)
		}
		if got, ok := plainLen(n); ok && ciphertextLen(got) != n {
			t.Fatalf("plainLen(%d) = %d", n, got)
		}
	}
	if n := ciphertextLen(MaxPadded); n > MaxCiphertext || ciphertextLen(Padme(MaxPadded+1)) <= MaxCiphertext {
		t.Errorf("the ciphertext of MaxPadded has %d bytes", n)
	}
	if want := listFixed + hashSize*segmentCount(MaxPadded); MaxSegmentList != want {
		t.Errorf("MaxSegmentList is %d, the longest list %d", MaxSegmentList, want)
	}
}

func TestLimits(t *testing.T) {
	longest := Meta{Name: strings.Repeat("n", MaxName), Type: strings.Repeat("t", MaxType),
		Caption: strings.Repeat("ä", MaxCaption/2), Thumbnail: fill(MaxThumbnail)}
	if len(longest.encode()) != maxMeta {
		t.Errorf("the longest description has %d bytes, not %d", len(longest.encode()), maxMeta)
	}
	s := sealBytes(t, longest, nil)
	for _, e := range entries {
		if m, _, err := e.open(s.list(t), s.ct, testCEK, testFrom); err != nil || m.Caption != longest.Caption {
			t.Error("the longest description:", e.name, err)
		}
	}
	most := Meta{Size: MaxPadded - frameSize - metaFixed}
	if n, err := CiphertextLen(most); err != nil || n != ciphertextLen(MaxPadded) {
		t.Error("the greatest size:", n, err)
	}
	for what, c := range map[string]struct {
		change func(*Meta, *Context)
		want   error
	}{
		"name long":         {func(m *Meta, _ *Context) { m.Name += "n" }, ErrMeta},
		"name not UTF-8":    {func(m *Meta, _ *Context) { m.Name = "\xff" }, ErrMeta},
		"type long":         {func(m *Meta, _ *Context) { m.Type += "t" }, ErrMeta},
		"type not ASCII":    {func(m *Meta, _ *Context) { m.Type = "tÿpe" }, ErrMeta},
		"caption long":      {func(m *Meta, _ *Context) { m.Caption += "c" }, ErrMeta},
		"caption not UTF-8": {func(m *Meta, _ *Context) { m.Caption = "\x80" }, ErrMeta},
		"thumbnail long":    {func(m *Meta, _ *Context) { m.Thumbnail = fill(MaxThumbnail + 1) }, ErrMeta},
		"size":              {func(m *Meta, _ *Context) { *m = Meta{Size: most.Size + 1} }, ErrTooLarge},
		"size greatest":     {func(m *Meta, _ *Context) { m.Size = 1<<64 - 1 }, ErrTooLarge},
		"no kind":           {func(_ *Meta, c *Context) { c.Kind = 0 }, ErrMeta},
		"no id":             {func(_ *Meta, c *Context) { c.Content = ContentID{} }, ErrMeta},
		"no sender":         {func(_ *Meta, c *Context) { c.Sender = [16]byte{} }, ErrMeta},
		"no time":           {func(_ *Meta, c *Context) { c.Created = 0 }, ErrMeta},
		"time past 9999":    {func(_ *Meta, c *Context) { c.Created = maxTime + 1 }, ErrMeta},
	} {
		m, ctx := longest, testCtx
		c.change(&m, &ctx)
		var dst bytes.Buffer
		if _, err := NewWriter(&dst, salt("x"), testCEK, ctx, m); !errors.Is(err, c.want) || dst.Len() != 0 {
			t.Errorf("%s: %v, %d bytes written", what, err, dst.Len())
		}
	}
}

func TestWriterStates(t *testing.T) {
	open := func(dst io.Writer, size int) *Writer {
		t.Helper()
		w, err := NewWriter(dst, salt("x"), testCEK, testCtx, meta(size))
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := open(io.Discard, 10)
	if _, err := w.Result(); err != ErrUnfinished {
		t.Error("Result before Close:", err)
	}
	if _, err := w.Write(fill(9)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != ErrSize {
		t.Error("Close a byte early:", err)
	}
	if _, err := w.Write(fill(1)); err != ErrSize {
		t.Error("Write after a failed Close:", err)
	}
	if _, err := w.Result(); err != ErrUnfinished {
		t.Error("Result after a failed Close:", err)
	}
	w = open(io.Discard, 10)
	if _, err := w.Write(fill(11)); err != ErrSize {
		t.Error("Write a byte more:", err)
	}
	w = open(io.Discard, 20000)
	if _, err := w.ReadFrom(bytes.NewReader(fill(20001))); err != ErrSize || w.Close() != ErrSize {
		t.Error("ReadFrom a byte more:", err)
	}
	w = open(io.Discard, 0)
	for range 2 {
		if err := w.Close(); err != nil {
			t.Error("Close, twice:", err)
		}
	}
	if _, err := w.Write(nil); err != ErrUnfinished {
		t.Error("Write after Close:", err)
	}

	full := errors.New("disk full")
	for limit := range 5 {
		dst := &limited{left: limit, err: full}
		w, err := NewWriter(dst, salt("x"), testCEK, testCtx, meta(40000))
		if err == nil {
			if _, err = w.Write(fill(40000)); err == nil {
				err = w.Close()
			}
			if again := w.Close(); again != err {
				t.Errorf("after write %d: %v, then %v", limit, err, again)
			}
		}
		if (err == full) != (limit < 4) {
			t.Errorf("dst fails at write %d: %v", limit, err)
		}
	}
	if _, err := NewWriter(shortWriter{}, salt("x"), testCEK, testCtx, meta(1)); err != io.ErrShortWrite {
		t.Error("a short write:", err)
	}
	if _, err := NewWriter(io.Discard, bytes.NewReader(nil), testCEK, testCtx, meta(1)); err != io.EOF {
		t.Error("no randomness:", err)
	}
}

type limited struct {
	left int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left--; l.left < 0 {
		return 0, l.err
	}
	return len(p), nil
}

type shortWriter struct{}

func (shortWriter) Write(p []byte) (int, error) { return len(p) - 1, nil }

func TestSecretsPrintAsHidden(t *testing.T) {
	for _, secret := range []any{testCEK, &testCEK, testCEK.Capability(), struct{ K CEK }{testCEK}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d", "%q"} {
			got := fmt.Sprintf(verb, secret)
			if !strings.Contains(got, hidden) || strings.Contains(got, "25") {
				t.Errorf("%s of %T: %s", verb, secret, got)
			}
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", secret)
		j, err := json.Marshal(secret)
		if err != nil || !strings.Contains(string(j), hidden) || !strings.Contains(log.String(), hidden) {
			t.Errorf("%T: %s %s", secret, j, log.String())
		}
	}
}

func TestKeysAreApart(t *testing.T) {
	c := testCEK.Capability()
	seen := map[[32]byte]bool{testCEK: true, testCEK.contentKey(): true, c: true, c.Hash(): true}
	if len(seen) != 4 {
		t.Error("two of CEK, content key, capability and its hash are the same")
	}
	k, err := NewCEK(bytes.NewReader(testCEK[:]))
	if err != nil || k != testCEK {
		t.Error("NewCEK:", err)
	}
	if _, err := NewCEK(bytes.NewReader(testCEK[:31])); err == nil {
		t.Error("NewCEK took 31 bytes")
	}
	if _, err := NewContentID(bytes.NewReader(nil)); err == nil {
		t.Error("NewContentID took no bytes")
	}
}
