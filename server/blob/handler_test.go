package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reseal/reseal/api/blobs"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/server/blob"
)

// ask makes one request as alice and returns the status and the refusal's name.
func (w *world) ask(method, path string, body []byte, change ...func(*http.Request)) (int, blobs.Code) {
	w.t.Helper()
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("X-Account", alice.String())
	r.Header.Set(blobs.DigestHeader, blobs.Digest(sha256.Sum256(body)))
	for _, f := range change {
		f(r)
	}
	rec := httptest.NewRecorder()
	w.svc.Handler().ServeHTTP(rec, r)
	if rec.Code < 400 {
		return rec.Code, ""
	}
	var refusal blobs.Refusal
	if err := json.Unmarshal(rec.Body.Bytes(), &refusal); err != nil || refusal.Error.Status() != rec.Code || refusal.Message == "" {
		w.t.Fatalf("%s %s: %d %q is no refusal", method, path, rec.Code, rec.Body)
	}
	return rec.Code, refusal.Error
}

func (w *world) expect(want blobs.Code, method, path string, body []byte, change ...func(*http.Request)) {
	w.t.Helper()
	if code, got := w.ask(method, path, body, change...); got != want {
		w.t.Errorf("%s %s: %d %q, want %q", method, path, code, got, want)
	}
}

func createBody(c content, length, segments uint64) []byte {
	h := cap1.Hash()
	b, _ := json.Marshal(blobs.Create{ID: blobs.EncodeBytes(c.id[:]), Length: length, Segments: segments, Capability: blobs.EncodeBytes(h[:])})
	return b
}

func as(a identity.AccountID) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("X-Account", a.String()) }
}

func TestUploadByHTTP(t *testing.T) {
	w := newWorld(t)
	c := newContent(1, 2*blobs.PartSize+77)
	size, segs := uint64(len(c.bytes)), uint64(len(c.segments))
	w.expect(blobs.NoSession, "POST", blobs.Root, createBody(c, size, segs), func(r *http.Request) { r.Header.Del("X-Account") })
	w.expect(blobs.Malformed, "POST", blobs.Root, []byte(`{"id":1}`))
	w.expect(blobs.Malformed, "POST", blobs.Root, append(createBody(c, size, segs), '{'))
	w.expect(blobs.Malformed, "POST", blobs.Root, []byte(strings.Replace(string(createBody(c, size, segs)), "{", `{"x":1,`, 1)))
	w.expect(blobs.Malformed, "POST", blobs.Root, append(bytes.Repeat([]byte(" "), 5000), createBody(c, size, segs)...))
	w.expect(blobs.Malformed, "POST", blobs.Root, createBody(c, 0, segs))
	w.expect(blobs.Malformed, "POST", blobs.Root, createBody(c, size, 0))
	w.expect(blobs.Malformed, "POST", blobs.Root, createBody(content{}, size, segs))
	w.expect(blobs.TooLarge, "POST", blobs.Root, createBody(c, message.MaxCiphertext+1, segs))
	w.expect(blobs.TooLarge, "POST", blobs.Root, createBody(c, size, blobs.MaxSegments+1))
	w.expect(blobs.NotFound, "PUT", blobs.PartPath(c.id, 0), c.part(0))
	w.expect("", "POST", blobs.Root, createBody(c, size, segs))
	w.expect("", "POST", blobs.Root, createBody(c, size, segs)) // again
	w.expect(blobs.Conflict, "POST", blobs.Root, createBody(c, size+1, segs))
	w.expect(blobs.NotFound, "GET", blobs.Path(c.id), nil, as(bob))
	w.expect(blobs.NotFound, "PUT", blobs.PartPath(c.id, 0), c.part(0), as(bob))

	// Parts in any order, twice, and all ways to get one wrong.
	w.expect("", "PUT", blobs.PartPath(c.id, 2), c.part(2))
	w.expect("", "PUT", blobs.PartPath(c.id, 2), c.part(2))
	w.expect("", "PUT", blobs.PartPath(c.id, 0), c.part(0))
	w.expect(blobs.MissingParts, "POST", blobs.CompletePath(c.id), nil)
	other := bytes.Repeat([]byte{9}, len(c.part(2)))
	w.expect(blobs.Conflict, "PUT", blobs.PartPath(c.id, 2), other)
	w.expect(blobs.WrongLength, "PUT", blobs.PartPath(c.id, 1), c.part(1)[1:])
	w.expect(blobs.WrongLength, "PUT", blobs.PartPath(c.id, 1), append(bytes.Clone(c.part(1)), 0))
	w.expect(blobs.WrongLength, "PUT", blobs.PartPath(c.id, 1), c.part(1), func(r *http.Request) { r.ContentLength = -1 })
	w.expect(blobs.WrongLength, "PUT", blobs.PartPath(c.id, 1), c.part(1)[5:], func(r *http.Request) { r.ContentLength += 5 })
	w.expect(blobs.WrongHash, "PUT", blobs.PartPath(c.id, 1), c.part(0), func(r *http.Request) {
		r.Header.Set(blobs.DigestHeader, blobs.Digest(sha256.Sum256(c.part(1))))
	})
	for _, bad := range []string{"3", "-1", "01", "+1", "x", "8192"} {
		w.expect(blobs.Malformed, "PUT", blobs.Path(c.id)+"/parts/"+bad, c.part(2))
	}
	w.expect(blobs.Malformed, "PUT", blobs.PartPath(c.id, 1), c.part(1), func(r *http.Request) { r.Header.Del(blobs.DigestHeader) })
	w.expect(blobs.Malformed, "PUT", blobs.PartPath(c.id, 1), c.part(1), func(r *http.Request) { r.Header.Set(blobs.DigestHeader, "sha-256=:AAAA:") })
	w.expect(blobs.Malformed, "PUT", blobs.Root+"/short/parts/1", c.part(1))
	w.expect(blobs.Method, "DELETE", blobs.Path(c.id), nil)
	w.expect(blobs.NotFound, "GET", "/v1/other", nil)
	w.expect("", "PUT", blobs.PartPath(c.id, 1), c.part(1))
	w.expect(blobs.MissingParts, "POST", blobs.CompletePath(c.id), nil)
	w.expect("", "PUT", blobs.SegmentsPath(c.id), c.segments)
	w.expect(blobs.NotFound, "GET", blobs.ContentPath(c.id), nil) // not complete
	w.expect("", "POST", blobs.CompletePath(c.id), nil)
	w.expect("", "POST", blobs.CompletePath(c.id), nil) // again
	w.expect(blobs.Conflict, "POST", blobs.Root, createBody(c, size, segs), as(bob))
	w.readable(c)
}

func TestReadNeedsTheCapability(t *testing.T) {
	w := newWorld(t)
	c := newContent(1, 500)
	w.mustUpload(c)
	right := blobs.CapabilityScheme + " " + blobs.EncodeBytes(cap1[:])
	wrong := blobs.CapabilityScheme + " " + blobs.EncodeBytes(make([]byte, 32))
	var first string
	for _, path := range []string{blobs.ContentPath(c.id), blobs.SegmentsPath(c.id), blobs.ContentPath(message.BlobID{5}), blobs.Root + "/x/content"} {
		for _, h := range []http.Header{{}, {"Authorization": {wrong}}, {"Authorization": {right + "A"}}, {"Authorization": {"Bearer " + right}}, {"Authorization": {right, right}}} {
			rec := w.get(c, path, h)
			all := fmt.Sprint(rec.Code, rec.Header(), rec.Body)
			if first == "" {
				first = all
			}
			if rec.Code != 404 || all != first {
				t.Errorf("%s %v: %s, before %s", path, h, all, first)
			}
		}
	}
	if s := fmt.Sprintf("%v %s %x %#v %d", cap1, cap1, cap1, cap1, cap1); strings.ContainsAny(s, "7") {
		t.Errorf("capability prints as %s", s)
	}
}

func TestRanges(t *testing.T) {
	w := newWorld(t)
	c := newContent(1, blobs.PartSize+1000)
	w.mustUpload(c)
	n := len(c.bytes)
	full := w.get(c, blobs.ContentPath(c.id), nil)
	etag := full.Header().Get("ETag")
	tests := []struct {
		value, ifRange string
		code, from, to int
	}{
		{"bytes=0-0", "", 206, 0, 1},
		{"bytes=5-", "", 206, 5, n},
		{"bytes=-5", "", 206, n - 5, n},
		{fmt.Sprintf("bytes=-%d", n+9), "", 206, 0, n},
		{fmt.Sprintf("bytes=0-%d", n+9), "", 206, 0, n},
		{fmt.Sprintf("bytes=%d-%d", blobs.PartSize-3, blobs.PartSize+3), "", 206, blobs.PartSize - 3, blobs.PartSize + 4},
		{fmt.Sprintf("bytes=%d-", blobs.PartSize), "", 206, blobs.PartSize, n},
		{fmt.Sprintf("bytes=%d-%d", n-1, n-1), "", 206, n - 1, n},
		{"bytes=5-9", etag, 206, 5, 10},
		{"bytes=5-9", `"other"`, 200, 0, n},
		{"bytes=5-9", "W/" + etag, 200, 0, n},
		{fmt.Sprintf("bytes=%d-", n), "", 416, 0, 0},
		{"bytes=9-5", "", 416, 0, 0},
		{"bytes=-0", "", 416, 0, 0},
		{"bytes=-", "", 416, 0, 0},
		{"bytes=0-1,3-4", "", 416, 0, 0},
		{"bytes=+1-2", "", 416, 0, 0},
		{"bytes=99999999999999999999-", "", 416, 0, 0},
		{"lines=1-2", "", 416, 0, 0},
	}
	for _, tt := range tests {
		h := http.Header{"Authorization": {blobs.CapabilityScheme + " " + blobs.EncodeBytes(cap1[:])}, "Range": {tt.value}}
		if tt.ifRange != "" {
			h.Set("If-Range", tt.ifRange)
		}
		rec := w.get(c, blobs.ContentPath(c.id), h)
		if rec.Code != tt.code {
			t.Errorf("%q: %d", tt.value, rec.Code)
			continue
		}
		if tt.code == 416 {
			if got := rec.Header().Get("Content-Range"); got != fmt.Sprintf("bytes */%d", n) {
				t.Errorf("%q: Content-Range %q", tt.value, got)
			}
			continue
		}
		if !bytes.Equal(rec.Body.Bytes(), c.bytes[tt.from:tt.to]) {
			t.Errorf("%q: %d bytes, want %d to %d", tt.value, rec.Body.Len(), tt.from, tt.to)
		}
		want := fmt.Sprintf("bytes %d-%d/%d", tt.from, tt.to-1, n)
		if got := rec.Header().Get("Content-Range"); tt.code == 206 && got != want {
			t.Errorf("%q: Content-Range %q, want %q", tt.value, got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t)
	for n := range byte(blob.DefaultMaxUploads) {
		c := newContent(n+10, 50)
		w.expect("", "POST", blobs.Root, createBody(c, 50, 100))
	}
	c := newContent(99, 50)
	w.expect(blobs.TooManyUploads, "POST", blobs.Root, createBody(c, 50, 100))
	w.expect("", "POST", blobs.Root, createBody(c, 50, 100), as(bob))
	w.settle()
	w.expect("", "POST", blobs.Root, createBody(c, 50, 100), func(*http.Request) {})

	w.svc.Quota = func(context.Context, identity.AccountID, uint64) error { return blob.ErrQuota }
	w.expect(blobs.Quota, "POST", blobs.Root, createBody(newContent(98, 50), 50, 100))
	w.svc.Rate = func(*http.Request, identity.AccountID, uint64) time.Duration { return 1500 * time.Millisecond }
	w.expect(blobs.Rate, "GET", blobs.Path(c.id), nil)
	if rec := w.get(c, blobs.ContentPath(c.id), nil); rec.Code != 429 || rec.Header().Get("Retry-After") != "2" {
		t.Errorf("read: %d %v", rec.Code, rec.Header())
	}
}

func TestFullDisk(t *testing.T) {
	c := newContent(1, 500)
	w := newWorld(t)
	w.disk.SetFree(2<<30 - 1)
	big := newContent(2, 500)
	w.expect(blobs.StorageFull, "POST", blobs.Root, createBody(big, 1<<30, 100))
	w.expect("", "POST", blobs.Root, createBody(c, 500, 100))
	w.disk.SetFree(1 << 30)
	w.expect(blobs.StorageFull, "PUT", blobs.PartPath(c.id, 0), c.bytes)
	w.disk.SetFree(2 << 30)
	// The disk fills up under our hands, at each change in turn.
	for n := 0; ; n++ {
		w.disk.SetBefore(func(step int, _, _ string) error {
			if step == n {
				return &net.OpError{Op: "write", Err: syscall.ENOSPC}
			}
			return nil
		})
		code, name := w.ask("PUT", blobs.PartPath(c.id, 0), c.bytes)
		if w.disk.Steps() <= n && code == 204 {
			break
		}
		if name != "" && name != blobs.StorageFull {
			t.Fatalf("step %d: %q", n, name)
		}
	}
	w.disk.SetBefore(nil)
	w.mustUpload(c)
	w.readable(c)
	w.disk.Restart(true)
	w.readable(c)
}

func TestDiskErrorIsNotAcknowledged(t *testing.T) {
	c := newContent(1, 500)
	for _, op := range []string{"create", "write", "sync", "rename", "syncdir"} {
		w := newWorld(t)
		if err := w.create(c); err != nil {
			t.Fatal(err)
		}
		w.disk.SetBefore(func(_ int, got, _ string) error {
			if got == op {
				return io.ErrClosedPipe
			}
			return nil
		})
		w.expect(blobs.Internal, "PUT", blobs.PartPath(c.id, 0), c.bytes)
		w.disk.SetBefore(nil)
		w.mustUpload(c)
		w.readable(c)
	}
}

func TestSlowClientIsCutOff(t *testing.T) {
	w := newWorld(t)
	c := newContent(1, 100000)
	if err := w.create(c); err != nil {
		t.Fatal(err)
	}
	w.svc.Patience, w.svc.MinRate = 100*time.Millisecond, 1<<30
	srv := httptest.NewServer(w.svc.Handler())
	defer srv.Close()
	pr, pw := io.Pipe()
	defer pw.Close()
	r, _ := http.NewRequest("PUT", srv.URL+blobs.PartPath(c.id, 0), pr)
	r.Header.Set("X-Account", alice.String())
	r.Header.Set(blobs.DigestHeader, blobs.Digest(sha256.Sum256(c.bytes)))
	r.ContentLength = int64(len(c.bytes))
	go func() { _, _ = pw.Write(c.bytes[:10]) }()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 408 {
		t.Fatalf("status %d", resp.StatusCode)
	}
}

func TestMissingBytesAreNotABlob(t *testing.T) {
	w := newWorld(t)
	c := newContent(1, 500)
	w.mustUpload(c)
	for _, path := range w.disk.Files() {
		if err := w.disk.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if rec := w.get(c, blobs.ContentPath(c.id), nil); rec.Code != 404 {
		t.Fatalf("status %d", rec.Code)
	}
}
