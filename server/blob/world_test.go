package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/reseal/reseal/api/blobs"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/server/blob"
	"github.com/reseal/reseal/server/blob/folder"
	"github.com/reseal/reseal/server/blob/internal/crashfs"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

var (
	ctx   = context.Background()
	alice = identity.AccountID{1}
	bob   = identity.AccountID{2}
	cap1  = blob.Capability{7, 7, 7}
	epoch = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
)

// world is a server over a store and a disk that lose power together.
type world struct {
	t     testing.TB
	disk  *crashfs.FS
	mem   *memory.Store
	store *faulty
	svc   *blob.Service
	kept  func() *quota.Tally // of a new process; nil for no quota

	mu  sync.Mutex
	now time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, disk: crashfs.New("/data"), now: epoch}
	var err error
	if w.mem, err = memory.New(blob.Schema, memory.Options{Clock: w.clock}); err != nil {
		t.Fatal(err)
	}
	w.store = &faulty{Store: w.mem}
	w.start()
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// start is what a server process does first.
func (w *world) start() {
	w.t.Helper()
	dir, err := folder.Open("/data/blobs", folder.Options{FS: w.disk})
	if err != nil {
		w.t.Fatal(err)
	}
	w.svc = w.node(dir, w.store, w.clock)
}

func (w *world) node(b blob.Bytes, s store.Store, clock func() time.Time) *blob.Service {
	w.t.Helper()
	config := blob.Config{Store: s, Bytes: b, Clock: clock, Authorize: authorize}
	if w.kept != nil {
		config.Kept = w.kept()
	}
	svc, err := blob.New(ctx, config)
	if err != nil {
		w.t.Fatal(err)
	}
	return svc
}

// authorize takes the account from a header.
func authorize(r *http.Request) (identity.AccountID, error) {
	id, err := identity.ParseAccountID(r.Header.Get("X-Account"))
	if err != nil {
		return id, blob.ErrSession
	}
	return id, nil
}

// restart is a new process after a loss of power.
func (w *world) restart(lost bool) {
	w.disk.Restart(lost)
	w.store.reset()
	w.start()
}

// cutAt makes the power fail at the n-th change from now on; after says that a
// commit still takes effect.
func (w *world) cutAt(n int, after bool) {
	var mu sync.Mutex
	step := 0
	next := func() bool {
		mu.Lock()
		defer mu.Unlock()
		step++
		return step-1 == n
	}
	w.disk.SetBefore(func(int, string, string) error {
		if next() {
			w.store.cut()
			return crashfs.ErrPower
		}
		return nil
	})
	w.store.reset()
	w.store.at = func() (bool, bool) {
		if next() {
			w.disk.Cut()
			return true, after
		}
		return false, false
	}
}

// faulty is a store that loses power.
type faulty struct {
	store.Store
	mu  sync.Mutex
	off bool
	at  func() (cut, after bool)
}

func (f *faulty) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off = true
}

func (f *faulty) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off, f.at = false, nil
}

var errPower = errors.New("store: power is off")

func (f *faulty) dead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.off
}

func (f *faulty) Get(ctx context.Context, p store.Partition, k store.Key) (store.Record, error) {
	if f.dead() {
		return store.Record{}, errPower
	}
	return f.Store.Get(ctx, p, k)
}

func (f *faulty) Range(ctx context.Context, p store.Partition, from, to store.Key, limit int, keys bool) ([]store.Record, error) {
	if f.dead() {
		return nil, errPower
	}
	return f.Store.Range(ctx, p, from, to, limit, keys)
}

func (f *faulty) Commit(ctx context.Context, p store.Partition, b *store.Batch) error {
	if f.dead() {
		return errPower
	}
	f.mu.Lock()
	at := f.at
	f.mu.Unlock()
	if at != nil {
		if cut, after := at(); cut {
			f.cut()
			if after {
				_ = f.Store.Commit(ctx, p, b)
			}
			return errPower
		}
	}
	return f.Store.Commit(ctx, p, b)
}

// content is a blob for tests.
type content struct {
	id       message.BlobID
	bytes    []byte
	segments []byte
}

func newContent(seed byte, size int) content {
	r := rand.NewChaCha8([32]byte{seed})
	c := content{bytes: make([]byte, size), segments: make([]byte, 100)}
	_, _ = r.Read(c.id[:])
	_, _ = r.Read(c.bytes)
	_, _ = r.Read(c.segments)
	return c
}

func (c content) part(n int) []byte {
	from := n * blobs.PartSize
	return c.bytes[from : from+int(blobs.PartLength(uint64(len(c.bytes)), n))]
}

func (w *world) create(c content) error {
	_, err := w.svc.Create(ctx, alice, c.id, uint64(len(c.bytes)), uint64(len(c.segments)), cap1.Hash())
	return err
}

func (w *world) put(c content) error {
	for n := range blobs.Parts(uint64(len(c.bytes))) {
		b := c.part(n)
		if err := w.svc.PutPart(ctx, alice, c.id, n, int64(len(b)), sha256.Sum256(b), bytes.NewReader(b)); err != nil {
			return err
		}
	}
	return w.svc.PutSegments(ctx, alice, c.id, int64(len(c.segments)), sha256.Sum256(c.segments), bytes.NewReader(c.segments))
}

func (w *world) upload(c content) error {
	if err := w.create(c); err != nil {
		return err
	}
	st, err := w.svc.Status(ctx, alice, c.id)
	if err != nil {
		return err
	}
	if !st.Complete {
		if err := w.put(c); err != nil {
			return err
		}
	}
	_, err = w.svc.Complete(ctx, alice, c.id)
	return err
}

func (w *world) mustUpload(c content) {
	w.t.Helper()
	if err := w.upload(c); err != nil {
		w.t.Fatal(err)
	}
}

// get reads a blob by HTTP without a network.
func (w *world) get(c content, path string, h http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	r.Header = h
	if r.Header == nil {
		r.Header = http.Header{"Authorization": {blobs.CapabilityScheme + " " + blobs.EncodeBytes(cap1[:])}}
	}
	rec := httptest.NewRecorder()
	w.svc.Handler().ServeHTTP(rec, r)
	return rec
}

// readable fails the test unless all of c can be read.
func (w *world) readable(c content) {
	w.t.Helper()
	if rec := w.get(c, blobs.ContentPath(c.id), nil); rec.Code != 200 || !bytes.Equal(rec.Body.Bytes(), c.bytes) {
		w.t.Fatalf("content: status %d, %d bytes", rec.Code, rec.Body.Len())
	}
	if rec := w.get(c, blobs.SegmentsPath(c.id), nil); rec.Code != 200 || !bytes.Equal(rec.Body.Bytes(), c.segments) {
		w.t.Fatalf("segments: status %d, %d bytes", rec.Code, rec.Body.Len())
	}
}

func (w *world) sweep() {
	w.t.Helper()
	if err := w.svc.Sweep(ctx); err != nil {
		w.t.Fatal(err)
	}
	w.owned(false)
}

// settle lets enough time pass for everything unreferenced to be collected.
func (w *world) settle() {
	w.t.Helper()
	for range 3 {
		w.pass(25 * time.Hour)
		w.sweep()
	}
}

// empty fails the test if anything is left on disk or to be done.
func (w *world) empty() {
	w.t.Helper()
	if left := w.disk.Files(); len(left) > 0 {
		w.t.Fatalf("left on disk: %v", left)
	}
	for h := uint32(epoch.Unix() / 3600); h < uint32(w.clock().Unix()/3600)+48; h++ {
		for shard := range byte(16) {
			p := store.Partition("D/" + string([]byte{byte(h >> 24), byte(h >> 16), byte(h >> 8), byte(h)}) + "/" + string([]byte{shard}))
			if r, err := w.mem.Range(ctx, p, "", "", 1, true); err != nil || len(r) > 0 {
				w.t.Fatalf("left to do in hour %d: %v, %v", h, r, err)
			}
		}
	}
	if r, err := w.mem.Range(ctx, store.Partition("U/"+string(alice[:])), "", "", 1, true); err != nil || len(r) > 0 {
		w.t.Fatalf("upload left: %v, %v", r, err)
	}
}

func msg(n byte) message.ID { return message.ID{0, 0, 80, n} }

func (w *world) refer(c content, n byte, life time.Duration) error {
	return w.svc.AddReference(ctx, c.id, cap1, alice, msg(n), identity.TimeOf(w.clock().Add(life)))
}
