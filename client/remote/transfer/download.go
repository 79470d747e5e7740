package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/reseal/reseal/api/blobs"
	"github.com/reseal/reseal/message"
)

// SegmentSize is the size of a segment of ciphertext, the unit that is verified
// (spec/content.md); the last one may be shorter.
const SegmentSize = 1 << 20

// Verifier judges what arrives. Calls do not overlap.
type Verifier interface {
	// List gets the encoded list of segment hashes, before any segment.
	List(list []byte) error
	// Segment gets the ciphertext of a segment before it is written, and must
	// not keep it.
	Segment(index uint64, ciphertext []byte) error
}

// Download is what to download.
type Download struct {
	Blob       message.BlobID
	Capability Capability
	Length     uint64   // of the ciphertext, from the message's header
	Verifier   Verifier // what it refuses is not written
	Dst        io.WriterAt
	// Offset is up to where Dst has verified bytes already: a multiple of
	// SegmentSize, or Length.
	Offset uint64
	// Progress is told how many bytes are verified and written. May be nil.
	Progress func(done, total uint64)
}

// Download fetches the segment list and the ciphertext and returns up to where
// Dst has verified bytes, which is Length without error. Among the errors are
// *[Error] with the code NotFound (the message has ended, or the capability is
// wrong), [ErrAltered], [ErrDestination], [ErrNotReseal] and the cause of the
// context's end. Dst is not synced.
func (r *Remote) Download(ctx context.Context, d Download) (uint64, error) {
	if d.Offset > d.Length || d.Offset%SegmentSize != 0 && d.Offset != d.Length {
		return d.Offset, fmt.Errorf("%w: offset inside a segment", ErrDestination)
	}
	var list []byte
	err := r.until(ctx, func() (err error) { list, err = r.list(ctx, d); return err })
	if err != nil {
		return d.Offset, err
	}
	if err := d.Verifier.List(list); err != nil {
		return d.Offset, fmt.Errorf("%w: segment list: %w", ErrAltered, err)
	}
	t := &downloading{Remote: r, Download: d, buf: make([]byte, min(SegmentSize, d.Length))}
	t.report()
	wait := pauses{remote: r}
	for t.Offset < t.Length {
		before := t.Offset
		err := t.stream(ctx)
		if t.Offset > before {
			wait.row = 0
		}
		if err == nil {
			continue
		}
		if err := wait.after(ctx, err); err != nil {
			return t.Offset, err
		}
	}
	return t.Offset, nil
}

func (r *Remote) list(ctx context.Context, d Download) ([]byte, error) {
	a, err := r.do(ctx, request{method: http.MethodGet, path: blobs.SegmentsPath(d.Blob), header: d.header()})
	if err != nil {
		return nil, err
	}
	defer a.Close() // read to its end or of no use
	if a.ContentLength < 1 || a.ContentLength > blobs.MaxSegments {
		return nil, ErrNotReseal
	}
	list := make([]byte, a.ContentLength)
	if _, err := io.ReadFull(a, list); err != nil {
		return nil, err
	}
	return list, nil
}

func (d *Download) header() http.Header {
	return http.Header{"Authorization": {blobs.CapabilityScheme + " " + blobs.EncodeBytes(d.Capability[:])}}
}

type downloading struct {
	*Remote
	Download
	buf      []byte
	refused  uint64 // the segment that the verifier refused last
	refusals int    // how often in a row
}

func (t *downloading) report() {
	if t.Progress != nil {
		t.Progress(t.Offset, t.Length)
	}
}

// stream reads from the offset on for as long as it goes well.
func (t *downloading) stream(ctx context.Context) error {
	h := t.header()
	h.Set("Range", fmt.Sprintf("bytes=%d-", t.Offset))
	a, err := t.do(ctx, request{method: http.MethodGet, path: blobs.ContentPath(t.Blob), header: h})
	if err != nil {
		if errors.Is(err, &Error{Code: blobs.BadRange}) {
			err = fmt.Errorf("%w: shorter than its message says", ErrAltered)
		}
		return err
	}
	defer a.Close() // read to its end or of no use
	want := fmt.Sprintf("bytes %d-%d/%d", t.Offset, t.Length-1, t.Length)
	if a.StatusCode != http.StatusPartialContent {
		return ErrNotReseal
	}
	if got := a.Header.Get("Content-Range"); got != want {
		return fmt.Errorf("%w: length is not what its message says", ErrAltered)
	}
	for t.Offset < t.Length {
		if err := t.segment(a); err != nil {
			return err
		}
	}
	return nil
}

// segment reads, verifies and writes one segment.
func (t *downloading) segment(src io.Reader) error {
	buf := t.buf[:min(SegmentSize, t.Length-t.Offset)]
	if _, err := io.ReadFull(src, buf); err != nil {
		return err
	}
	index := t.Offset / SegmentSize
	if err := t.Verifier.Segment(index, buf); err != nil {
		if t.refused != index {
			t.refused, t.refusals = index, 0
		}
		// Once may be damage on the way.
		if t.refusals++; t.refusals < 2 {
			return errDamaged
		}
		return fmt.Errorf("%w: segment %d: %w", ErrAltered, index, err)
	}
	if _, err := t.Dst.WriteAt(buf, int64(t.Offset)); err != nil {
		return fmt.Errorf("%w: %w", ErrDestination, err)
	}
	t.Offset += uint64(len(buf))
	t.report()
	return nil
}
