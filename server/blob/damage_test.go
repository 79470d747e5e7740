package blob_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/reseal/reseal/api/blobs"
	"github.com/reseal/reseal/server/blob"
	"github.com/reseal/reseal/server/blob/folder"
)

// lossy is a folder of which files are missing or short.
type lossy struct {
	blob.Bytes
	open func(p blob.Piece) (io.ReadSeekCloser, error) // nil, nil: as it is
}

func (l *lossy) Open(o blob.Object, p blob.Piece) (io.ReadSeekCloser, error) {
	if f, err := l.open(p); f != nil || err != nil {
		return f, err
	}
	return l.Bytes.Open(o, p)
}

type tally int

func (t *tally) Add(n float64) { *t += tally(n) }

type shortFile struct{ *bytes.Reader }

func (shortFile) Close() error { return nil }

// gone is a client that does not take what is sent.
type gone struct{ http.ResponseWriter }

func (gone) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// A file that is missing or short is told to the operator, by the log and a
// counter, wherever in an answer it is met; one that was collected meanwhile is
// not, nor is a client that goes away.
func TestDamagedFilesAreTold(t *testing.T) {
	missing := func(n blob.Piece) func(blob.Piece) (io.ReadSeekCloser, error) {
		return func(p blob.Piece) (io.ReadSeekCloser, error) {
			if p == n {
				return nil, fmt.Errorf("%w: piece", blob.ErrNotFound)
			}
			return nil, nil
		}
	}
	short := func(n blob.Piece) func(blob.Piece) (io.ReadSeekCloser, error) {
		return func(p blob.Piece) (io.ReadSeekCloser, error) {
			if p == n {
				return shortFile{bytes.NewReader(make([]byte, 5))}, nil
			}
			return nil, nil
		}
	}
	for _, c := range []struct {
		name string
		open func(blob.Piece) (io.ReadSeekCloser, error)
		path func(content) string
		told bool
		// collected: the blob goes while it is read. away: the client does.
		collected, away bool
	}{
		{"first missing", missing(0), func(c content) string { return blobs.ContentPath(c.id) }, true, false, false},
		{"second missing", missing(1), func(c content) string { return blobs.ContentPath(c.id) }, true, false, false},
		{"first short", short(0), func(c content) string { return blobs.ContentPath(c.id) }, true, false, false},
		{"second short", short(1), func(c content) string { return blobs.ContentPath(c.id) }, true, false, false},
		{"list missing", missing(blob.SegmentList), func(c content) string { return blobs.SegmentsPath(c.id) }, true, false, false},
		{"list short", short(blob.SegmentList), func(c content) string { return blobs.SegmentsPath(c.id) }, true, false, false},
		{"nothing", missing(99), func(c content) string { return blobs.ContentPath(c.id) }, false, false, false},
		{"collected", missing(1), func(c content) string { return blobs.ContentPath(c.id) }, false, true, false},
		{"away", missing(99), func(c content) string { return blobs.ContentPath(c.id) }, false, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			file := newContent(1, blobs.PartSize+77)
			w.mustUpload(file)
			dir, err := folder.Open("/data/blobs", folder.Options{FS: w.disk})
			if err != nil {
				t.Fatal(err)
			}
			open := c.open
			if c.collected {
				open = func(p blob.Piece) (io.ReadSeekCloser, error) {
					f, err := c.open(p)
					if err != nil {
						w.settle() // nothing refers to it
					}
					return f, err
				}
			}
			var told tally
			var log bytes.Buffer
			svc, err := blob.New(ctx, blob.Config{
				Store: w.store, Bytes: &lossy{dir, open}, Clock: w.clock, Authorize: authorize,
				Log: slog.New(slog.NewTextHandler(&log, nil)), Counters: blob.Counters{Damaged: &told},
			})
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest("GET", c.path(file), nil)
			r.Header = http.Header{"Authorization": {blobs.CapabilityScheme + " " + blobs.EncodeBytes(cap1[:])}}
			func() {
				defer func() { _ = recover() }() // how an answer is broken off
				var to http.ResponseWriter = httptest.NewRecorder()
				if c.away {
					to = gone{to}
				}
				svc.Handler().ServeHTTP(to, r)
			}()
			if (told == 1) != c.told || strings.Contains(log.String(), "from a backup") != c.told {
				t.Errorf("told %d times, log %q", told, &log)
			}
			if strings.Contains(log.String(), blobs.EncodeBytes(file.id[:])) || strings.Contains(log.String(), blobs.EncodeBytes(cap1[:])) {
				t.Errorf("the log has the blob's id or capability: %q", &log)
			}
		})
	}
}
