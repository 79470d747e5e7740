package seal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func spoolFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "spool"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestSpool(t *testing.T) {
	for _, size := range []int{0, 1, 16383, 16384, 16385, 3 * 16384, 1<<20 + 5} {
		f, data, key := spoolFile(t), fill(size), hash32("spool")
		s, err := NewSpool(f, bytes.NewReader(key[:]))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(s, oneByOne{bytes.NewReader(data)}); n != int64(size) || err != nil {
			t.Fatal(n, err)
		}
		r, n, err := s.Reader()
		if err != nil || n != uint64(size) {
			t.Fatal(n, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("size %d: %v", size, err)
		}
		raw, err := os.ReadFile(f.Name())
		if err != nil || size > 64 && bytes.Contains(raw, data[:64]) {
			t.Errorf("size %d: plaintext in the file (%v)", size, err)
		}
		if _, err := s.Write(data); err != ErrUnfinished {
			t.Error("Write after Reader:", err)
		}
		if _, _, err := s.Reader(); err != ErrUnfinished {
			t.Error("Reader twice:", err)
		}
	}
}

func TestSpoolDamaged(t *testing.T) {
	const size = 50000
	for what, damage := range map[string]func(b []byte) []byte{
		"cut":             func(b []byte) []byte { return b[:len(b)-1] },
		"cut at a chunk":  func(b []byte) []byte { return b[:2*boxSize] },
		"empty":           func([]byte) []byte { return nil },
		"extended":        func(b []byte) []byte { return append(b, 0) },
		"first byte":      func(b []byte) []byte { b[0] ^= 1; return b },
		"last byte":       func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"chunks reversed": func(b []byte) []byte { return swap(b, 0, boxSize, boxSize) },
	} {
		f, key := spoolFile(t), hash32("spool")
		s, err := NewSpool(f, bytes.NewReader(key[:]))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(fill(size)); err != nil {
			t.Fatal(err)
		}
		r, _, err := s.Reader()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Name(), damage(raw), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != ErrOpen || !bytes.HasPrefix(fill(size), got) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestSpoolErrors(t *testing.T) {
	if _, err := NewSpool(spoolFile(t), bytes.NewReader(nil)); err == nil {
		t.Error("a spool without a key")
	}
	s, err := NewSpool(brokenFile{}, bytes.NewReader(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(fill(20000)); err != errBroken {
		t.Error(err)
	}
	if _, _, err := s.Reader(); err != errBroken {
		t.Error(err)
	}
	s, err = NewSpool(spoolFile(t), bytes.NewReader(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	s.size = MaxPadded
	if _, err := s.Write(fill(1)); err != ErrTooLarge {
		t.Error(err)
	}
}

var errBroken = errors.New("broken")

type brokenFile struct{ io.ReadWriteSeeker }

func (brokenFile) Write([]byte) (int, error) { return 0, errBroken }
