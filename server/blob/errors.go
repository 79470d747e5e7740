package blob

import (
	"errors"
	"time"

	"github.com/reseal/reseal/api/blobs"
)

// What calls end in besides success. Every one has a [blobs.Code].
var (
	// ErrNotFound: no such blob or upload, or not for this caller.
	ErrNotFound = errors.New("blob: not found")
	// ErrConflict: the blob id, or the part, is taken by other bytes.
	ErrConflict = errors.New("blob: taken by other bytes")
	// ErrMissing: an upload lacks parts or its segment list.
	ErrMissing = errors.New("blob: parts are missing")
	// ErrHash: bytes do not have the digest named with them.
	ErrHash = errors.New("blob: wrong hash")
	// ErrLength: bytes are shorter or longer than they must be.
	ErrLength = errors.New("blob: wrong length")
	// ErrLarge: a blob or list longer than any may be.
	ErrLarge = errors.New("blob: too large")
	// ErrMalformed: an argument out of range, or a stored record that cannot be
	// read.
	ErrMalformed = errors.New("blob: malformed")
	// ErrUploads: too many uploads of the account in progress.
	ErrUploads = errors.New("blob: too many uploads in progress")
	// ErrQuota is for Config.Quota to return.
	ErrQuota = errors.New("blob: over the account's quota")
	// ErrSession is for Config.Authorize to return; other errors of it that
	// have no code here count as this one.
	ErrSession = errors.New("blob: no session")
	// ErrFull: the disk has less room left than the floor.
	ErrFull = errors.New("blob: storage full")
	// ErrUnavailable: it may or may not have happened, or cannot now; the same
	// call may be repeated.
	ErrUnavailable = errors.New("blob: unavailable")
	// ErrSlow: the bytes of a part came too slowly.
	ErrSlow = errors.New("blob: too slow")
)

// LimitError is for Config.Quota to return: it names what is used up, and when
// to come back.
type LimitError struct {
	Limit string
	// After is when there is room again; 0 is never, for a blob of this length.
	After time.Duration
	// Stored: so much is kept already, as opposed to begun in a short time; the
	// upload is not tried again by itself.
	Stored bool
}

func (e *LimitError) Error() string { return "blob: " + e.Limit + " is used up" }

var codes = []struct {
	err  error
	code blobs.Code
}{
	{ErrNotFound, blobs.NotFound}, {ErrConflict, blobs.Conflict}, {ErrMissing, blobs.MissingParts},
	{ErrHash, blobs.WrongHash}, {ErrLength, blobs.WrongLength}, {ErrLarge, blobs.TooLarge},
	{ErrMalformed, blobs.Malformed}, {ErrUploads, blobs.TooManyUploads}, {ErrQuota, blobs.Quota},
	{ErrSession, blobs.NoSession}, {ErrFull, blobs.StorageFull}, {ErrUnavailable, blobs.Unavailable},
	{ErrSlow, blobs.Slow},
}

// CodeOf is the refusal that err is told as; [blobs.Internal] if it has none.
func CodeOf(err error) blobs.Code {
	var limit *LimitError
	if errors.As(err, &limit) && limit.After > 0 && !limit.Stored {
		return blobs.Rate
	} else if limit != nil {
		return blobs.Quota
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return blobs.Internal
}
