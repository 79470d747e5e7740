package seal

import "errors"

var (
	// ErrOpen is returned for every content that does not open, whatever the
	// reason. What a reader gave out before is authentic but not complete.
	ErrOpen = errors.New("seal: content does not open")
	// ErrMeta is returned when a Meta or Context to be sealed is outside its
	// limits, with the field's name behind.
	ErrMeta = errors.New("seal: description outside its limits")
	// ErrTooLarge is returned for a content that is longer than the format
	// carries ([MaxPadded] with padding).
	ErrTooLarge = errors.New("seal: content too large")
	// ErrSize is returned when more or less was written than Meta.Size said. The
	// ciphertext so far is of no use.
	ErrSize = errors.New("seal: content is not of the size that was announced")
	// ErrUnfinished is returned by [Writer.Result] before a successful Close,
	// and by writes after Close.
	ErrUnfinished = errors.New("seal: writer not in the right state")
)
