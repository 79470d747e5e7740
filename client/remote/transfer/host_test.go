package transfer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reseal/reseal/client/remote/transfer"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/server/blob"
	"github.com/reseal/reseal/server/blob/folder"
	"github.com/reseal/reseal/store/memory"
)

// host is a server whose process can die and come back at the same address.
type host struct {
	t    testing.TB
	dir  string
	mem  *memory.Store
	addr string
	srv  *http.Server
	puts atomic.Int64 // parts that reached a handler
	// before may answer a request itself; it returns true then.
	before atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

func newHost(t testing.TB) *host {
	t.Helper()
	mem, err := memory.New(blob.Schema, memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, dir: t.TempDir(), mem: mem, addr: "127.0.0.1:0"}
	h.start()
	t.Cleanup(h.kill)
	return h
}

func (h *host) start() {
	h.t.Helper()
	f, err := folder.Open(h.dir, folder.Options{Floor: -1})
	if err != nil {
		h.t.Fatal(err)
	}
	svc, err := blob.New(context.Background(), blob.Config{Store: h.mem, Bytes: f, Authorize: func(r *http.Request) (identity.AccountID, error) {
		if r.Header.Get("Authorization") != "Bearer good" {
			return identity.AccountID{}, blob.ErrSession
		}
		return identity.AccountID{1}, nil
	}})
	if err != nil {
		h.t.Fatal(err)
	}
	handler := svc.Handler()
	l, err := net.Listen("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.addr = l.Addr().String()
	h.srv = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/parts/") {
			h.puts.Add(1)
		}
		if f := h.before.Load(); f != nil && (*f)(w, r) {
			return
		}
		handler.ServeHTTP(w, r)
	})}
	srv := h.srv
	go func() { _ = srv.Serve(l) }()
}

// kill breaks all connections off.
func (h *host) kill() { _ = h.srv.Close() }

func (h *host) intercept(f func(http.ResponseWriter, *http.Request) bool) { h.before.Store(&f) }

func (h *host) remote(t testing.TB) *transfer.Remote {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &transfer.Remote{HTTP: &http.Client{Transport: tr}, Base: "http://" + h.addr, Pause: 5 * time.Millisecond,
		Authorize: func(h http.Header) error { h.Set("Authorization", "Bearer good"); return nil }}
}

// stream is generated content of any size: byte i depends on i alone.
type stream struct{ size uint64 }

func (s stream) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) && uint64(off)+uint64(n) < s.size {
		block := (uint64(off) + uint64(n)) / 64
		x := block*0x9e3779b97f4a7c15 + 12345
		in := (uint64(off) + uint64(n)) % 64
		for ; in < 64 && n < len(p) && uint64(off)+uint64(n) < s.size; in++ {
			p[n] = byte(x >> (in % 56))
			n++
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (s stream) list() []byte {
	var list []byte
	buf := make([]byte, transfer.SegmentSize)
	for off := uint64(0); off < s.size; off += transfer.SegmentSize {
		n, _ := s.ReadAt(buf, int64(off))
		sum := sha256.Sum256(buf[:n])
		list = append(list, sum[:]...)
	}
	return list
}

// hashes verifies segments against a list of plain hashes.
type hashes struct{ want, got []byte }

var errHash = errors.New("wrong segment")

func (h *hashes) List(list []byte) error {
	if h.want != nil && !bytes.Equal(list, h.want) {
		return errHash
	}
	h.got = bytes.Clone(list)
	return nil
}

func (h *hashes) Segment(i uint64, b []byte) error {
	if sum := sha256.Sum256(b); !bytes.Equal(h.got[i*32:i*32+32], sum[:]) {
		return errHash
	}
	return nil
}

// sink checks what is written against the stream, keeping nothing.
type sink struct {
	stream
	written atomic.Uint64
}

func (s *sink) WriteAt(p []byte, off int64) (int, error) {
	want := make([]byte, len(p))
	if n, _ := s.ReadAt(want, off); n != len(p) || !bytes.Equal(want, p) {
		return 0, fmt.Errorf("wrong bytes at %d", off)
	}
	s.written.Add(uint64(len(p)))
	return len(p), nil
}

var capability = transfer.Capability{1, 2, 3}

func blobID(n byte) message.BlobID { return message.BlobID{n, 1} }

func (s stream) upload(n byte) transfer.Upload {
	return transfer.Upload{Blob: blobID(n), Capability: capability, Source: s, Length: s.size, Segments: s.list()}
}

func (s stream) download(n byte) (transfer.Download, *sink) {
	dst := &sink{stream: s}
	return transfer.Download{Blob: blobID(n), Capability: capability, Length: s.size, Verifier: &hashes{want: s.list()}, Dst: dst}, dst
}

func (s stream) check(t testing.TB, r *transfer.Remote, n byte) {
	t.Helper()
	d, dst := s.download(n)
	if got, err := r.Download(t.Context(), d); err != nil || got != s.size || dst.written.Load() != s.size {
		t.Fatalf("downloaded %d of %d: %v", got, s.size, err)
	}
}
