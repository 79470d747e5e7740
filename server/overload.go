package server

import (
	"context"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
)

const (
	// DefaultMaxCalls is about what a core answers in a second: whoever comes when
	// as many wait already would wait longer than it takes to come again.
	DefaultMaxCalls = 2048

	// overload is the name in the refusal of a call that was shed.
	overload = "overload"
	// overloadPause is when to come back.
	overloadPause = time.Second
)

// shed refuses calls while as many run as MaxCalls allows, before anything is done
// for them: past it they would only wait for each other, hold their requests in
// memory, and be given up by their clients when they are answered. Calls without a
// session have half of the room, so that a rush of logins leaves the other half to
// who is logged in. Event streams are not counted: one that is open goes on, and an
// idle one costs nothing.
func (s *Server) shed(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		if spec.StreamType != connect.StreamTypeUnary {
			return next(ctx, spec, stream)
		}
		info, ok := connect.CallInfoForServerContext(ctx)
		defer s.calling.Add(-1)
		if !s.room(s.calling.Add(1), ok && info.RequestHeader().Has("Authorization")) {
			return refusal.With(&resealv1.ErrorDetail{
				Reason: resealv1.Reason_REASON_UNAVAILABLE, Limit: overload, RetryAfterMs: uint64(overloadPause.Milliseconds()),
			})
		}
		return next(ctx, spec, stream)
	}
}

// room tells whether the nth call at once may run. One at least may, with a session
// or without.
func (s *Server) room(n int64, session bool) bool {
	most := int64(s.config.MaxCalls)
	if !session {
		most = max(most/2, 1)
	}
	return n <= most
}

// refused is what a refusal is counted as.
func refused(err error) string {
	d := refusal.Detail(err)
	switch {
	case d.GetReason() == resealv1.Reason_REASON_UNSPECIFIED:
		return connect.CodeOf(err).String()
	case d.GetReason() == resealv1.Reason_REASON_UNAVAILABLE && d.GetLimit() == overload:
		return overload
	}
	return refusal.Name(d.GetReason())
}
