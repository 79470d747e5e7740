package blob

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/reseal/reseal/api/blobs"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// Handler serves everything below [blobs.Root]. Every refusal is a
// [blobs.Refusal] in JSON.
//
// Uploads take a session, reads the capability. Headers are limited by the
// http.Server that the handler runs in; its read and write timeouts are replaced
// here by a least rate, since a part takes as long as the line is slow.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+blobs.Root, s.upload(s.serveCreate))
	mux.HandleFunc("GET "+blobs.Root+"/{id}", s.upload(s.serveStatus))
	mux.HandleFunc("PUT "+blobs.Root+"/{id}/parts/{n}", s.upload(s.servePart))
	mux.HandleFunc("PUT "+blobs.Root+"/{id}/segments", s.upload(s.serveSegments))
	mux.HandleFunc("POST "+blobs.Root+"/{id}/complete", s.upload(s.serveComplete))
	mux.HandleFunc("GET "+blobs.Root+"/{id}/segments", s.read(s.sendSegments))
	mux.HandleFunc("GET "+blobs.Root+"/{id}/content", s.read(s.sendContent))
	// Without these the mux answers in plain text.
	for _, path := range []string{blobs.Root, blobs.Root + "/{id}", blobs.Root + "/{id}/parts/{n}",
		blobs.Root + "/{id}/segments", blobs.Root + "/{id}/complete", blobs.Root + "/{id}/content"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { s.refuse(w, blobs.Method, "") })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { s.refuse(w, blobs.NotFound, "") })
	return mux
}

// call is one request of an uploader.
type call struct {
	w       http.ResponseWriter
	r       *http.Request
	account identity.AccountID
	blob    message.BlobID // zero for create
}

func (s *Service) upload(serve func(*call) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		account, err := s.Authorize(r)
		if err != nil {
			if CodeOf(err) == blobs.Internal {
				err = ErrSession
			}
			s.fail(w, r, err)
			return
		}
		c := &call{w: w, r: r, account: account}
		if id := r.PathValue("id"); id != "" {
			if c.blob, err = blobs.DecodeBytes32(id); err != nil {
				s.refuse(w, blobs.Malformed, "")
				return
			}
		}
		if wait := s.Rate(r, account, uint64(max(r.ContentLength, 0))); wait > 0 {
			s.refuseFor(w, wait)
			return
		}
		s.pace(w, max(r.ContentLength, 0))
		if err := serve(c); err != nil {
			s.fail(w, r, err)
		}
	}
}

// pace gives a client Patience and then the time that n bytes take
// at the least rate. A whole deadline instead of one for each read: it cannot be
// stretched by sending a byte now and then.
func (s *Service) pace(w http.ResponseWriter, n int64) {
	until := time.Now().Add(s.Patience + time.Duration(n/s.MinRate)*time.Second)
	rc := http.NewResponseController(w)
	// Where deadlines are not supported, the connection is not a slow one.
	_ = rc.SetReadDeadline(until)
	_ = rc.SetWriteDeadline(until.Add(s.Patience))
}

func (s *Service) serveCreate(c *call) error {
	d := json.NewDecoder(http.MaxBytesReader(c.w, c.r.Body, blobs.MaxBody))
	d.DisallowUnknownFields()
	var body blobs.Create
	if err := d.Decode(&body); err != nil {
		return errors.Join(ErrMalformed, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return ErrMalformed
	}
	id, err := blobs.DecodeBytes32(body.ID)
	hash, err2 := blobs.DecodeBytes32(body.Capability)
	if err != nil || err2 != nil {
		return ErrMalformed
	}
	st, err := s.Create(c.r.Context(), c.account, id, body.Length, body.Segments, hash)
	return c.answer(st, err)
}

func (s *Service) serveStatus(c *call) error {
	return c.answer(s.Status(c.r.Context(), c.account, c.blob))
}

func (s *Service) serveComplete(c *call) error {
	return c.answer(s.Complete(c.r.Context(), c.account, c.blob))
}

func (c *call) answer(st blobs.Status, err error) error {
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(c.w).Encode(st)
}

func (s *Service) servePart(c *call) error {
	n, err := blobs.ParsePart(c.r.PathValue("n"))
	if err != nil {
		return ErrMalformed
	}
	sum, err := c.digest()
	if err != nil {
		return err
	}
	return c.stored(s.PutPart(c.r.Context(), c.account, c.blob, n, c.r.ContentLength, sum, body{c.r.Body}))
}

func (s *Service) serveSegments(c *call) error {
	sum, err := c.digest()
	if err != nil {
		return err
	}
	return c.stored(s.PutSegments(c.r.Context(), c.account, c.blob, c.r.ContentLength, sum, body{c.r.Body}))
}

// body names what goes wrong on the client's side, so that it is not taken for
// a fault of ours.
type body struct{ r io.Reader }

func (b body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case errors.As(err, &timeout) && timeout.Timeout():
		return n, ErrSlow
	}
	return n, fmt.Errorf("%w: %w", ErrLength, err)
}

func (c *call) digest() (sum [32]byte, err error) {
	if v := c.r.Header.Values(blobs.DigestHeader); len(v) == 1 {
		sum, err = blobs.ParseDigest(v[0])
	} else {
		err = blobs.ErrEncoding
	}
	if err != nil {
		return sum, ErrMalformed
	}
	return sum, nil
}

func (c *call) stored(err error) error {
	if err == nil {
		c.w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// fail answers with the refusal that err stands for. Only faults of the server
// are logged, without the path: it has the blob's id.
func (s *Service) fail(w http.ResponseWriter, r *http.Request, err error) {
	code := CodeOf(err)
	if code.Status() >= 500 && r.Context().Err() == nil {
		s.Log.Error("blob: "+r.Method+" failed", "code", string(code), "error", err)
	}
	var limit *LimitError
	if !errors.As(err, &limit) {
		s.refuse(w, code, "")
		return
	}
	if limit.After > 0 {
		retryAfter(w, limit.After)
	}
	s.refuse(w, code, limit.Limit)
}

func (s *Service) refuseFor(w http.ResponseWriter, wait time.Duration) {
	retryAfter(w, wait)
	s.refuse(w, blobs.Rate, "")
}

func retryAfter(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
}

func (s *Service) refuse(w http.ResponseWriter, code blobs.Code, limit string) {
	if s.Counters.Refused != nil {
		s.Counters.Refused(string(code))
	}
	h := w.Header()
	// What a read may have set for the content does not hold for a refusal.
	h.Del("Content-Length")
	h.Del("ETag")
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code.Status())
	// The client may be gone.
	_ = json.NewEncoder(w).Encode(blobs.Refusal{Error: code, Message: code.Message(), Limit: limit})
}
