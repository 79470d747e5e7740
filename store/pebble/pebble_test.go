package pebble_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/pebble"
	"github.com/reseal/reseal/store/storetest"
)

const folder = "data"

// gateFS is a file system whose syncs of the log can be held back.
type gateFS struct {
	vfs.FS
	mu   sync.Mutex
	hold chan struct{} // not nil while held
	held chan struct{} // gets one for each sync that waits
}

func (g *gateFS) wait() {
	g.mu.Lock()
	hold := g.hold
	g.mu.Unlock()
	if hold != nil {
		g.held <- struct{}{}
		<-hold
	}
}

func (g *gateFS) close() (open func()) {
	hold := make(chan struct{})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hold = hold
	return func() {
		g.mu.Lock()
		g.hold = nil
		g.mu.Unlock()
		close(hold)
	}
}

type gateFile struct {
	vfs.File
	gate *gateFS
}

func (f gateFile) Sync() error     { f.gate.wait(); return f.File.Sync() }
func (f gateFile) SyncData() error { f.gate.wait(); return f.File.SyncData() }

func (g *gateFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.Create(name, c)
	return gateFile{f, g}, err
}

func (g *gateFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(old, name, c)
	return gateFile{f, g}, err
}

func newGate(fs vfs.FS) *gateFS { return &gateFS{FS: fs, held: make(chan struct{}, 1024)} }

func mustOpen(t *testing.T, o pebble.Options) *pebble.Store {
	t.Helper()
	s, err := pebble.Open(folder, storetest.Schema(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// open is a store on a file system that can lose power.
func open(t *testing.T) *storetest.Harness { return openWith(t, 0) }

// openWith has room for as many bytes of records in memory.
func openWith(t *testing.T, rows int64) *storetest.Harness {
	mem := vfs.NewCrashableMem()
	h := &storetest.Harness{Clock: storetest.NewClock()}
	var s *pebble.Store
	var gate *gateFS
	start := func() {
		gate = newGate(mem)
		s = mustOpen(t, pebble.Options{FS: gate, Clock: h.Clock.Now, SweepEvery: -1, Rows: rows})
		h.Nodes, h.Examined = []store.Store{s}, s.Examined
	}
	start()
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, store.ErrClosed) {
			t.Error(err)
		}
	})
	h.Sweep = func(t *testing.T) {
		if _, err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.PowerLoss = func(t *testing.T) {
		after := mem.CrashClone(vfs.CrashCloneCfg{})
		if err := s.Close(); err != nil { // goes to the file system that is lost
			t.Fatal(err)
		}
		mem = after
		start()
	}
	h.Late = func(t *testing.T, p store.Partition, b *store.Batch) (func(), error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		open := gate.close()
		outcome := make(chan error, 1)
		go func() { outcome <- s.Commit(ctx, p, b) }()
		<-gate.held // b is written and waits for its sync
		cancel()
		release := func() {
			open()
			// Whatever is committed now comes after b.
			if err := s.Commit(t.Context(), "behind", new(store.Batch).PutOnce("o/behind", nil, 0)); err != nil {
				t.Error(err)
			}
		}
		return release, <-outcome
	}
	return h
}

func TestContract(t *testing.T) {
	// Stores that failed in other tests leave goroutines behind, as they must.
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	storetest.Run(t, open)
}

// The contract holds, too, where what is kept in memory is dropped all the time,
// and where nothing is.
func TestContractWithLittleMemory(t *testing.T) {
	for name, rows := range map[string]int64{"little": 16 << 10, "none": -1} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) *storetest.Harness { return openWith(t, rows) })
		})
	}
}
