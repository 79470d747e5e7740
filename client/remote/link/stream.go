package link

import (
	"context"
	"errors"

	"connectrpc.com/connect/v2"
	"github.com/reseal/reseal/api/mux"
)

// stream is a call that moves to the next connection when the one it was made
// on ended, or went away, before the request left. After that it stays: only
// the caller knows whether a repeat is right.
type stream struct {
	connect.ClientStream // the present one; changed by Send only
	l                    *Link
	ctx                  context.Context
	spec                 connect.Spec
	fast                 bool
}

// Send sends the request, on as many connections as it takes for one to take
// it, bounded by the call's context.
func (s *stream) Send(msg any) error {
	for {
		err := s.ClientStream.Send(msg)
		if err == nil || s.fast || !errors.Is(err, mux.ErrNotSent) {
			return err
		}
		// The connection is done or going away, so that session does not
		// return it again: this waits, it does not spin.
		next, err := s.l.session(s.ctx, false)
		if err != nil {
			return err
		}
		inner, err := next.NewClientStream(s.ctx, s.spec)
		if err != nil {
			return err
		}
		_ = s.ClientStream.Close()
		s.ClientStream = inner
	}
}
