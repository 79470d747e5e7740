package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reseal/reseal/api/blobs"
	"github.com/reseal/reseal/client/remote/transfer"
)

func TestSizes(t *testing.T) {
	h := newHost(t)
	r := h.remote(t)
	for i, size := range []uint64{1, transfer.SegmentSize, transfer.SegmentSize + 1, blobs.PartSize - 1, blobs.PartSize, 2*blobs.PartSize + 1} {
		s := stream{size}
		u := s.upload(byte(i))
		var last uint64
		u.Progress = func(done, total uint64) { last = done }
		if err := r.Upload(t.Context(), u); err != nil || last != size {
			t.Fatalf("%d: %d sent, %v", size, last, err)
		}
		s.check(t, r, byte(i))
		before := h.puts.Load()
		if err := r.Upload(t.Context(), u); err != nil || h.puts.Load() != before {
			t.Fatalf("again: %d parts sent, %v", h.puts.Load()-before, err)
		}
	}
}

// The server is killed and started again over and over while a blob is going
// up and down.
func TestServerDiesInTheMiddle(t *testing.T) {
	h := newHost(t)
	r := h.remote(t)
	s := stream{10*blobs.PartSize + 5}
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for n := 0; n < 8; n++ {
			select {
			case <-stop:
				return
			case <-time.After(40 * time.Millisecond):
			}
			h.kill()
			h.start()
		}
	})
	if err := r.Upload(t.Context(), s.upload(1)); err != nil {
		t.Fatal(err)
	}
	s.check(t, r, 1)
	close(stop)
	group.Wait()
	s.check(t, r, 1)
}

func TestClientDiesInTheMiddle(t *testing.T) {
	h := newHost(t)
	r := h.remote(t)
	s := stream{6 * blobs.PartSize}
	u := s.upload(1)
	ctx, cancel := context.WithCancel(t.Context())
	u.Progress = func(done, _ uint64) {
		if done > 4*blobs.PartSize {
			cancel()
		}
	}
	if err := r.Upload(ctx, u); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	h.puts.Store(0)
	u.Progress = nil
	if err := r.Upload(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if n := h.puts.Load(); n < 1 || n > 4 {
		t.Fatalf("%d of 6 parts sent again", n)
	}

	d, _ := s.download(1)
	ctx, cancel = context.WithCancel(t.Context())
	d.Progress = func(done, _ uint64) {
		if done >= 3<<20 {
			cancel()
		}
	}
	at, err := r.Download(ctx, d)
	if !errors.Is(err, context.Canceled) || at < 3<<20 || at%transfer.SegmentSize != 0 {
		t.Fatalf("stopped at %d: %v", at, err)
	}
	d, dst := s.download(1)
	d.Offset = at
	if got, err := r.Download(t.Context(), d); err != nil || got != s.size || dst.written.Load() != s.size-at {
		t.Fatalf("resumed: %d, %d written, %v", got, dst.written.Load(), err)
	}
}

func TestConstantMemory(t *testing.T) {
	h := newHost(t)
	r := h.remote(t)
	s := stream{256 << 20}
	u := s.upload(1)
	d, _ := s.download(1)
	runtime.GC()
	var start, now runtime.MemStats
	runtime.ReadMemStats(&start)
	var peak uint64
	var mu sync.Mutex
	var next uint64
	watch := func(done, _ uint64) {
		mu.Lock()
		defer mu.Unlock()
		if done < next && next-done < 16<<20 {
			return
		}
		next = done + 16<<20
		runtime.ReadMemStats(&now)
		peak = max(peak, now.HeapAlloc)
	}
	u.Progress, d.Progress = watch, watch
	if err := r.Upload(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	next = 0
	if _, err := r.Download(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	// Client and server together, garbage included.
	if over := int64(peak) - int64(start.HeapAlloc); over > 24<<20 || peak == 0 {
		t.Fatalf("heap grew by %d KiB", over>>10)
	}
}

func TestDamageOnTheWay(t *testing.T) {
	h := newHost(t)
	r := h.remote(t)
	s := stream{blobs.PartSize + 9}
	var broken atomic.Int64
	broken.Store(2)
	h.intercept(func(_ http.ResponseWriter, q *http.Request) bool {
		if strings.Contains(q.URL.Path, "/parts/0") && broken.Add(-1) >= 0 {
			q.Body = io.NopCloser(io.LimitReader(rand.NewChaCha8([32]byte{}), q.ContentLength))
		}
		return false
	})
	if err := r.Upload(t.Context(), s.upload(1)); err != nil {
		t.Fatal(err)
	}
	broken.Store(100)
	if err := r.Upload(t.Context(), s.upload(2)); !errors.Is(err, &transfer.Error{Code: blobs.WrongHash}) {
		t.Fatal(err)
	}
	s.check(t, r, 1)
}

func TestAlteredBlob(t *testing.T) {
	h := newHost(t)
	r := h.remote(t)
	s := stream{3 << 20}
	u := s.upload(1)
	u.Source = altered{s}
	if err := r.Upload(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	d, dst := s.download(1)
	got, err := r.Download(t.Context(), d)
	if !errors.Is(err, transfer.ErrAltered) || !errors.Is(err, errHash) || got != 1<<20 || dst.written.Load() != 1<<20 {
		t.Fatalf("%d, %v", got, err)
	}
	for _, length := range []uint64{s.size - 1, s.size + 1, 10 << 20} {
		d, _ := s.download(1)
		d.Length = length
		if _, err := r.Download(t.Context(), d); !errors.Is(err, transfer.ErrAltered) {
			t.Errorf("length %d: %v", length, err)
		}
	}
	d, _ = s.download(1)
	d.Verifier = &hashes{want: []byte("another list")}
	if _, err := r.Download(t.Context(), d); !errors.Is(err, transfer.ErrAltered) {
		t.Fatal(err)
	}
}

// altered has one bit in the second segment flipped.
type altered struct{ stream }

func (a altered) ReadAt(p []byte, off int64) (int, error) {
	n, err := a.stream.ReadAt(p, off)
	if i := int64(1<<20+77) - off; i >= 0 && i < int64(n) {
		p[i] ^= 1
	}
	return n, err
}

func TestRefusalsEndTheTransfer(t *testing.T) {
	h := newHost(t)
	s := stream{100}
	good := h.remote(t)
	if err := good.Upload(t.Context(), s.upload(1)); err != nil {
		t.Fatal(err)
	}
	d, _ := s.download(1)
	d.Capability = transfer.Capability{}
	if _, err := good.Download(t.Context(), d); !errors.Is(err, &transfer.Error{Code: blobs.NotFound}) {
		t.Error(err)
	}
	r := h.remote(t)
	r.Authorize = func(http.Header) error { return nil }
	if err := r.Upload(t.Context(), s.upload(2)); !errors.Is(err, &transfer.Error{Code: blobs.NoSession}) {
		t.Error(err)
	}
	cause := errors.New("locked")
	r.Authorize = func(http.Header) error { return cause }
	if err := r.Upload(t.Context(), s.upload(2)); !errors.Is(err, cause) {
		t.Error(err)
	}
	u := s.upload(1)
	u.Capability = transfer.Capability{9}
	if err := good.Upload(t.Context(), u); !errors.Is(err, &transfer.Error{Code: blobs.Conflict}) {
		t.Error(err)
	}
	u = s.upload(3)
	u.Length++ // more than the source has
	if err := good.Upload(t.Context(), u); !errors.Is(err, transfer.ErrSource) {
		t.Error(err)
	}
	d, _ = s.download(1)
	d.Dst = failingWriter{cause}
	if _, err := good.Download(t.Context(), d); !errors.Is(err, transfer.ErrDestination) || !errors.Is(err, cause) {
		t.Error(err)
	}
	h.intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(blobs.StorageFull.Status())
		_, _ = io.WriteString(w, `{"error":"storage_full","message":"x"}`)
		return true
	})
	if err := good.Upload(t.Context(), s.upload(4)); !errors.Is(err, &transfer.Error{Code: blobs.StorageFull}) {
		t.Error(err)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) WriteAt([]byte, int64) (int, error) { return 0, f.err }

func TestWrongServer(t *testing.T) {
	s := stream{100}
	for _, status := range []int{200, 204, 302, 404} {
		elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://login.example/")
			w.WriteHeader(status)
		}))
		r := newHost(t).remote(t)
		r.Base = elsewhere.URL
		if err := r.Upload(t.Context(), s.upload(1)); !errors.Is(err, transfer.ErrNotReseal) {
			t.Errorf("upload, status %d: %v", status, err)
		}
		d, _ := s.download(1)
		if _, err := r.Download(t.Context(), d); !errors.Is(err, transfer.ErrNotReseal) {
			t.Errorf("download, status %d: %v", status, err)
		}
		elsewhere.Close()
	}
}

// What passes is waited out, and told: a gateway's error, a rate, a
// connection that stands still.
func TestWaiting(t *testing.T) {
	h := newHost(t)
	r := h.remote(t)
	r.Stall = 300 * time.Millisecond
	var told []string
	var mu sync.Mutex
	r.Waiting = func(err error, pause time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, err.Error())
		if pause > time.Hour {
			t.Error(pause)
		}
	}
	n := 0
	h.intercept(func(w http.ResponseWriter, q *http.Request) bool {
		mu.Lock()
		n++
		k := n
		mu.Unlock()
		switch k {
		case 1:
			w.WriteHeader(502)
		case 2:
			w.WriteHeader(503)
			_, _ = io.WriteString(w, `{"error":"unavailable","message":"x"}`)
		case 3:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(429)
			_, _ = io.WriteString(w, `{"error":"rate","message":"x"}`)
		case 4:
			<-q.Context().Done()
		default:
			return false
		}
		return true
	})
	s := stream{3 << 20}
	start := time.Now()
	if err := r.Upload(t.Context(), s.upload(1)); err != nil {
		t.Fatal(err)
	}
	// On a busy machine an upload that nobody holds up stands still for so short a time, too.
	stood := func(s string) bool { return s == transfer.ErrStalled.Error() }
	answered := slices.DeleteFunc(slices.Clone(told), stood)
	if len(answered) != 3 || len(told) == 3 || time.Since(start) < time.Second {
		t.Fatalf("told %q in %v", told, time.Since(start))
	}
	h.kill()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.Upload(ctx, s.upload(2)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestCapabilityIsHidden(t *testing.T) {
	c := transfer.Capability{0xab, 0xcd}
	if s := fmt.Sprintf("%v %s %x %#v %d %q", c, c, c, c, c, c); strings.Trim(s, "hiden ") != "" {
		t.Fatal(s)
	}
	if c.LogValue().String() != "hidden" {
		t.Fatal(c.LogValue())
	}
}
