package transfer

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/reseal/reseal/api/blobs"
)

// passing tells whether the same request may succeed later.
func passing(err error) bool {
	var refused *Error
	if errors.As(err, &refused) {
		switch refused.Code {
		case blobs.Slow, blobs.TooManyUploads, blobs.Rate, blobs.Internal, blobs.Unavailable:
			return true
		}
		return false
	}
	for _, final := range []error{ErrNotReseal, ErrSource, ErrDestination, ErrAltered, errAuthorize} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true // the network
}

// errDamaged is told to Waiting where bytes did not arrive as they were sent.
var errDamaged = errors.New("transfer: bytes were damaged on the way")

// errAuthorize marks what [Remote].Authorize returned.
var errAuthorize = errors.New("transfer: no session")

// pauses counts failures in a row and waits longer after each.
type pauses struct {
	remote *Remote
	row    int
}

// after waits out err. It returns nil to try again, err itself if that would
// not help, or the cause of the context's end.
func (p *pauses) after(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !passing(err) {
		return err
	}
	most := p.remote.Pause
	if most <= 0 {
		most = DefaultPause
	}
	most = min(most<<min(p.row, 10), maxPause)
	p.row++
	// Full jitter: clients that lost one server do not return together.
	pause := rand.N(most + 1)
	var refused *Error
	if errors.As(err, &refused) && refused.After > 0 {
		pause += refused.After
	}
	if p.remote.Waiting != nil {
		p.remote.Waiting(err, pause)
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// until repeats try until it succeeds or cannot.
func (r *Remote) until(ctx context.Context, try func() error) error {
	p := pauses{remote: r}
	for {
		err := try()
		if err == nil {
			return nil
		}
		if err := p.after(ctx, err); err != nil {
			return err
		}
	}
}
