package pebble_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/pebble"
	"github.com/reseal/reseal/store/storetest"
)

// logged is what a store logs.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) lines() int { return strings.Count(l.String(), "\n") }

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// hurt is a store with one table file of 400 records, closed in good order, and
// places in that file.
type hurt struct {
	t    *testing.T
	disk *vfs.MemFS
	want map[store.Key]string
	path string
	good []byte
}

func newHurt(t *testing.T) *hurt {
	s, disk, want := fill(t, 400)
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	h := &hurt{t: t, disk: disk, want: want}
	for _, name := range h.names("db") {
		if strings.HasSuffix(name, ".sst") {
			h.path, h.good = disk.PathJoin(folder, "db", name), contents(t, disk, name)
		}
	}
	if len(h.good) == 0 {
		t.Fatal("no table file")
	}
	return h
}

func (h *hurt) names(path ...string) []string {
	h.t.Helper()
	names, err := h.disk.List(h.disk.PathJoin(append([]string{folder}, path...)...))
	if err != nil {
		h.t.Fatal(err)
	}
	return names
}

// write changes the file in its place, under whoever has it open.
func (h *hurt) write(b []byte, at int) {
	h.t.Helper()
	f, err := h.disk.OpenReadWrite(h.path, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.(io.WriterAt).WriteAt(b, int64(at))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *hurt) open() (*pebble.Store, *logged, error) {
	l := new(logged)
	s, err := pebble.Open(folder, storetest.Schema(), pebble.Options{FS: h.disk, SweepEvery: -1, Logger: slog.New(slog.NewTextHandler(l, nil))})
	return s, l, err
}

// read returns how many of the records it has read right, and what stopped it.
func (h *hurt) read(s *pebble.Store) (n int, err error) {
	for k, v := range h.want {
		r, err := s.Get(h.t.Context(), "p", k)
		if err != nil {
			return n, err
		}
		if string(r.Value) != v {
			h.t.Fatalf("%q reads %q", k, r.Value)
		}
		n++
	}
	return n, nil
}

// named tells whether an error is what an operator needs.
func (h *hurt) named(what string, err error, stopped bool) {
	h.t.Helper()
	if !errors.Is(err, store.ErrDamaged) || errors.Is(err, store.ErrFailed) != stopped ||
		!strings.Contains(err.Error(), h.disk.PathBase(h.path)) || !strings.Contains(err.Error(), "restore "+folder) {
		h.t.Errorf("%s: %v", what, err)
	}
}

// Damage to a table file, and to nothing else, ends the start, by name, wherever
// it is. What comes to be damaged while the store is open, or lies beyond what a
// start reads, stops the store when it is met: nothing is acknowledged behind it,
// one line is logged, and the next start reads all files until they are good.
func TestDamagedTable(t *testing.T) {
	h := newHurt(t)
	places := map[string]int{"first block": 100, "middle": len(h.good) / 2, "behind the data": len(h.good) * 95 / 100, "footer": len(h.good) - 30}
	for where, at := range places {
		t.Run("start/"+where, func(t *testing.T) {
			h.t = t
			h.write([]byte{h.good[at] ^ 0x41}, at)
			_, l, err := h.open()
			h.named("start", err, false)
			if l.lines() != 0 {
				t.Errorf("logged what the error says: %s", l)
			}
			h.write(h.good[at:at+1], at)
			s, l, err := h.open()
			if err != nil {
				t.Fatal(err)
			}
			if n, err := h.read(s); n != len(h.want) || err != nil || l.lines() != 0 {
				t.Errorf("%d of %d, %v, %s", n, len(h.want), err, l)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
	for _, met := range []string{"read", "rewritten", "copied", "beyond"} {
		t.Run(met, func(t *testing.T) {
			h.t = t
			at := len(h.good) / 2
			if met == "beyond" {
				h.write([]byte{h.good[at] ^ 0x41}, at)
				defer pebble.CheckLittle()()
			}
			s, l, err := h.open()
			if err != nil {
				t.Fatal(err)
			}
			h.write([]byte{h.good[at] ^ 0x41}, at)
			switch met {
			case "rewritten":
				if err := s.Commit(t.Context(), "q", put("o/1", "v").PutOnce("o/2", nil, 0)); err != nil {
					t.Fatal(err)
				}
				if err := s.Commit(t.Context(), "o", put("o/1", "v")); err != nil {
					t.Fatal(err)
				}
				_ = s.Compact(t.Context())
			case "copied":
				h.named("copy", s.Checkpoint("copy"), true)
				if _, err := h.disk.Stat("copy/closed"); err == nil {
					t.Error("the copy is sealed")
				}
			default:
				n, err := h.read(s)
				if !errors.Is(err, store.ErrDamaged) || n == len(h.want) {
					t.Errorf("%d read, %v", n, err)
				}
			}
			<-s.Failed()
			if err := s.Commit(t.Context(), "p", put("o/new", "v")); !errors.Is(err, store.ErrFailed) {
				t.Errorf("commit: %v", err)
			}
			_, err = h.read(s)
			h.named("read", err, true)
			if l.lines() != 1 || !strings.Contains(l.String(), h.disk.PathBase(h.path)) {
				t.Errorf("logged: %s", l)
			}
			h.named("close", s.Close(), true)
			_, _, err = h.open()
			h.named("next start", err, false)
			// The file is put back, in whatever way.
			h.write(h.good, 0)
			if s, l, err = h.open(); err != nil {
				t.Fatal(err)
			}
			if n, err := h.read(s); n != len(h.want) || err != nil || l.lines() != 1 || !strings.Contains(l.String(), "not there any more") {
				t.Errorf("%d of %d, %v, %s", n, len(h.want), err, l)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if names := fmt.Sprint(h.names()); strings.Contains(names, "damaged") {
				t.Errorf("left: %s", names)
			}
			_ = h.disk.RemoveAll("copy")
		})
	}
}
