package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/reseal/reseal/api/blobs"
	"github.com/reseal/reseal/message"
)

// Parallel is how many parts of one blob are uploaded at the same time.
const Parallel = 2

// rounds is how often an upload is begun anew when the server lacks what it
// had acknowledged: an upload older than a day, or a server's disk restored.
const rounds = 3

// damaged is how often one part may arrive with a wrong hash.
const damaged = 3

// Upload is what to upload. A call with the same values goes on where one
// before it ended.
type Upload struct {
	Blob       message.BlobID
	Capability Capability
	Source     io.ReaderAt // of the ciphertext; must not change
	Length     uint64      // of the ciphertext
	Segments   []byte      // the encoded list of segment hashes
	// Progress is told how many bytes of the ciphertext have been sent; it
	// falls back when a part must be sent again. Calls do not overlap. May be
	// nil.
	Progress func(done, total uint64)
}

// Upload returns nil once the server has the blob durably. Among its errors are
// *[Error] with the codes Conflict (the blob id is taken: pick another),
// NoSession, Quota, StorageFull and TooLarge; [ErrSource]; [ErrNotReseal]; and
// the cause of the context's end.
func (r *Remote) Upload(ctx context.Context, u Upload) error {
	t := &uploading{Remote: r, Upload: u}
	var err error
	for range rounds {
		if err = t.round(ctx); err == nil {
			return nil
		}
		// The server has less than it said: ask again what it has.
		if !errors.Is(err, &Error{Code: blobs.MissingParts}) && !errors.Is(err, &Error{Code: blobs.NotFound}) {
			return err
		}
	}
	return err
}

type uploading struct {
	*Remote
	Upload

	mu   sync.Mutex // guards done and calls of Progress
	done uint64
}

func (t *uploading) round(ctx context.Context) error {
	st, err := t.create(ctx)
	if err != nil {
		return err
	}
	if !st.Complete {
		if err := t.missing(ctx, st); err != nil {
			return err
		}
		if err := t.until(ctx, func() error { _, err := t.call(ctx, blobs.CompletePath(t.Blob), nil); return err }); err != nil {
			return err
		}
	}
	t.moved(t.Length, true)
	return nil
}

func (t *uploading) create(ctx context.Context) (st blobs.Status, err error) {
	body, err := json.Marshal(blobs.Create{ID: blobs.EncodeBytes(t.Blob[:]), Length: t.Length,
		Segments: uint64(len(t.Segments)), Capability: t.Capability.hash()})
	if err != nil {
		return st, err
	}
	err = t.until(ctx, func() (err error) { st, err = t.call(ctx, blobs.Root, body); return err })
	return st, err
}

// call posts body and reads a status.
func (t *uploading) call(ctx context.Context, path string, body []byte) (st blobs.Status, err error) {
	h, err := t.header()
	if err != nil {
		return st, err
	}
	q := request{method: http.MethodPost, path: path, header: h}
	if body != nil {
		h.Set("Content-Type", "application/json")
		q.body, q.length = func() io.Reader { return bytes.NewReader(body) }, int64(len(body))
	}
	a, err := t.do(ctx, q)
	if err != nil {
		return st, err
	}
	if st, err = readStatus(a); err == nil && st.Length != t.Length {
		err = ErrNotReseal
	}
	return st, err
}

func (t *uploading) header() (http.Header, error) {
	h := make(http.Header)
	if t.Authorize == nil {
		return nil, errAuthorize
	}
	if err := t.Authorize(h); err != nil {
		return nil, fmt.Errorf("%w: %w", errAuthorize, err)
	}
	return h, nil
}

// missing uploads what st does not have.
func (t *uploading) missing(ctx context.Context, st blobs.Status) error {
	n := blobs.Parts(t.Length)
	have, err := blobs.ParseBitmap(st.Parts, n)
	if err != nil {
		return ErrNotReseal
	}
	t.moved(0, true)
	for i := range n {
		if have.Has(i) {
			t.moved(uint64(blobs.PartLength(t.Length, i)), false)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan int)
	var group sync.WaitGroup
	for range Parallel {
		group.Go(func() {
			for i := range work {
				if err := t.part(ctx, i); err != nil {
					cancel(err) // the first one counts
					return
				}
			}
		})
	}
	if !st.Segments {
		if err := t.segments(ctx); err != nil {
			cancel(err)
		}
	}
feed:
	for i := range n {
		if have.Has(i) {
			continue
		}
		select {
		case work <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(work)
	group.Wait()
	return context.Cause(ctx)
}

func (t *uploading) segments(ctx context.Context) error {
	return t.piece(ctx, blobs.SegmentsPath(t.Blob), bytes.NewReader(t.Segments), int64(len(t.Segments)), false)
}

func (t *uploading) part(ctx context.Context, i int) error {
	length := blobs.PartLength(t.Length, i)
	section := io.NewSectionReader(t.Source, int64(i)*blobs.PartSize, length)
	return t.piece(ctx, blobs.PartPath(t.Blob, i), section, length, true)
}

// piece puts one piece. It is read twice, once for its hash and once to send,
// rather than held in memory. Parts count as progress.
func (t *uploading) piece(ctx context.Context, path string, src io.ReaderAt, length int64, isPart bool) error {
	hash := sha256.New()
	first := io.NewSectionReader(src, 0, length)
	if n, err := io.Copy(hash, first); err != nil || n != length {
		return fmt.Errorf("%w: %w", ErrSource, errors.Join(err, short(n, length)))
	}
	digest := blobs.Digest([32]byte(hash.Sum(nil)))
	wrong := 0
	return t.until(ctx, func() error {
		h, err := t.header()
		if err != nil {
			return err
		}
		h.Set("Content-Type", "application/octet-stream")
		h.Set(blobs.DigestHeader, digest)
		h.Set("Expect", "100-continue") // a refusal comes before 8 MiB are sent
		last := &counted{t: t}
		a, err := t.do(ctx, request{method: http.MethodPut, path: path, header: h, length: length, body: func() io.Reader {
			if !isPart {
				return io.NewSectionReader(src, 0, length)
			}
			_ = last.undo() // the transport starts over
			last = &counted{r: io.NewSectionReader(src, 0, length), t: t}
			return last
		}})
		if err == nil {
			return a.Close()
		}
		if cause := last.undo(); cause != nil {
			return fmt.Errorf("%w: %w", ErrSource, cause)
		}
		// Damage on the way, as long as it does not happen every time.
		if errors.Is(err, &Error{Code: blobs.WrongHash}) {
			if wrong++; wrong < damaged {
				return errDamaged
			}
		}
		return err
	})
}

func short(n, length int64) error {
	if n != length {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// moved adds n to what is done, or sets it.
func (t *uploading) moved(n uint64, set bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if set {
		t.done = 0
	}
	t.done += n
	if t.Progress != nil {
		t.Progress(t.done, t.Length)
	}
}

// counted reports what is read of a part, and takes it back if the part failed.
type counted struct {
	r io.Reader
	t *uploading

	mu     sync.Mutex // the transport may read on while its request has failed
	n      uint64
	undone bool
	err    error
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && err != io.EOF {
		c.err = err
	}
	if n > 0 && !c.undone {
		c.n += uint64(n)
		c.t.moved(uint64(n), false)
	}
	return n, err
}

// undo takes back what was reported and returns what reading failed with.
func (c *counted) undo() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.undone {
		c.undone = true
		c.t.moved(-c.n, false) // wraps around to a subtraction
	}
	return c.err
}
