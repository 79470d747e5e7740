package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/reseal/reseal/api/blobs"
	"github.com/reseal/reseal/identity"
)

// read checks the capability. Missing, malformed and wrong ones, and blobs that
// do not exist, get one answer by one path.
func (s *Service) read(send func(http.ResponseWriter, *http.Request, *state) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if wait := s.Rate(r, identity.AccountID{}, 0); wait > 0 {
			s.refuseFor(w, wait)
			return
		}
		st, err := s.authorized(r)
		if err == nil {
			err = send(w, r, st)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

func (s *Service) authorized(r *http.Request) (*state, error) {
	id, err := blobs.DecodeBytes32(r.PathValue("id"))
	if err != nil {
		return nil, ErrNotFound
	}
	var c Capability
	good := false
	if v := r.Header.Values("Authorization"); len(v) == 1 {
		if after, ok := strings.CutPrefix(v[0], blobs.CapabilityScheme+" "); ok {
			c, err = blobs.DecodeBytes32(after)
			good = err == nil
		}
	}
	// A dying blob may still be read: it may come back to live.
	st, _, err := s.readState(r.Context(), id)
	if err != nil {
		return nil, err
	}
	there := st != nil && st.Phase != doomed
	kept := new(state)
	if there {
		kept = st
	}
	if !kept.Capability.opens(c) || !good || !there {
		return nil, ErrNotFound
	}
	return st, nil
}

func (s *Service) sendSegments(w http.ResponseWriter, r *http.Request, st *state) error {
	return s.send(w, r, st, `"s`+st.Object.String()+`"`, span{0, int64(st.Segments), false}, []Piece{SegmentList}, int64(st.Segments))
}

func (s *Service) sendContent(w http.ResponseWriter, r *http.Request, st *state) error {
	etag := `"` + st.Object.String() + `"`
	length := int64(st.Length)
	all := span{0, length, false}
	w.Header().Set("Accept-Ranges", "bytes")
	if v := r.Header.Values("Range"); len(v) > 0 {
		// A range of another upload of the blob would be no part of this
		// one. Dates are not given, so only a strong tag can match.
		ifRange := r.Header.Get("If-Range")
		if ifRange == "" || ifRange == etag {
			part, ok := parseRange(strings.Join(v, ","), length)
			if !ok {
				w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(length, 10))
				s.refuse(w, blobs.BadRange, "")
				return nil
			}
			all = part
		}
	}
	pieces := make([]Piece, 0, 1+(all.end-1)/blobs.PartSize-all.start/blobs.PartSize)
	for n := all.start / blobs.PartSize; n <= (all.end-1)/blobs.PartSize; n++ {
		pieces = append(pieces, Piece(n))
	}
	return s.send(w, r, st, etag, all, pieces, length)
}

// span is the bytes from start to end, end excluded.
type span struct {
	start, end int64
	partial    bool
}

// parseRange reads the value of a Range header (RFC 9110, section 14) that asks
// for one range of a content of length bytes. Several ranges are refused, since
// nobody needs them and answering them multiplies a small request.
func parseRange(v string, length int64) (span, bool) {
	spec, ok := strings.CutPrefix(v, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash {
		return span{}, false
	}
	if first == "" { // the last so many bytes
		n, ok := parseOffset(last)
		if !ok || n == 0 {
			return span{}, false
		}
		return span{length - min(n, length), length, true}, true
	}
	start, ok := parseOffset(first)
	if !ok || start >= length {
		return span{}, false
	}
	end := length
	if last != "" {
		n, ok := parseOffset(last)
		if !ok || n < start {
			return span{}, false
		}
		end = min(n, length-1) + 1
	}
	return span{start, end, true}, true
}

// parseOffset reads decimal digits only; strconv would take a sign.
func parseOffset(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// send writes the bytes in part from the pieces, of which all but the last are
// of blobs.PartSize. The first is opened before the header goes out, so that
// bytes which were collected meanwhile are told as not found.
func (s *Service) send(w http.ResponseWriter, r *http.Request, st *state, etag string, part span, pieces []Piece, length int64) error {
	f, err := s.Bytes.Open(st.Object, pieces[0])
	if err != nil {
		s.lookForDamage(r, st, pieces[0], err)
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return f.Close()
	}
	h.Set("Content-Length", strconv.FormatInt(part.end-part.start, 10))
	status := http.StatusOK
	if part.partial {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.start, part.end-1, length))
		status = http.StatusPartialContent
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return f.Close()
	}
	offset, left := part.start%blobs.PartSize, part.end-part.start
	for i := 0; ; i++ {
		n := min(left, blobs.PartSize-offset)
		if err := s.copyPiece(w, f, offset, n); err != nil {
			s.lookForDamage(r, st, pieces[i], err)
			s.cut(err)
		}
		left, offset = left-n, 0
		if left == 0 {
			return nil
		}
		if f, err = s.Bytes.Open(st.Object, pieces[i+1]); err != nil {
			s.lookForDamage(r, st, pieces[i+1], err)
			s.cut(err)
		}
	}
}

// copyPiece sends n bytes of f from offset on and closes f. io.CopyN of an
// *os.File is a sendfile where the connection allows it.
func (s *Service) copyPiece(w http.ResponseWriter, f io.ReadSeekCloser, offset, n int64) error {
	defer f.Close() // read only: nothing to learn from its error
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	s.pace(w, n)
	sent, err := io.CopyN(w, f, n)
	count(s.Counters.BytesOut, sent)
	return err
}

// lookForDamage tells the operator where a file is missing or short that the
// record says is there. One that was collected meanwhile is none.
func (s *Service) lookForDamage(r *http.Request, st *state, p Piece, err error) {
	if !errors.Is(err, io.EOF) && !errors.Is(err, ErrNotFound) {
		return
	}
	id, err := blobs.DecodeBytes32(r.PathValue("id"))
	if err != nil {
		return
	}
	// The record is read anew, and not under the request's context: who asked may
	// have gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), damageTimeout)
	defer cancel()
	now, _, err := s.readState(ctx, id)
	if err != nil || now == nil || now.Phase != live || now.Object != st.Object {
		return
	}
	count(s.Counters.Damaged, 1)
	s.Log.Error("blob: a file is missing or short: put it back from a backup", "folder", st.Object.String(), "piece", int(p))
}

// damageTimeout bounds the look at a record whose file is damaged.
const damageTimeout = 10 * time.Second

// cut ends an answer in the middle. The client sees that it is incomplete: the
// connection or stream breaks off before Content-Length bytes.
func (s *Service) cut(err error) {
	s.Log.Debug("blob: read broke off", "error", err)
	panic(http.ErrAbortHandler)
}
