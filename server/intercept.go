package server

import (
	"context"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/server/blob"
	"github.com/reseal/reseal/server/limits"
)

// Times of one call.
const (
	callTimeout  = 30 * time.Second // a unary call, from its request to its answer
	readTimeout  = 30 * time.Second // for the client to send the request
	writeTimeout = 30 * time.Second // for the client to take one answer
)

// times are those three, shorter in tests.
type times struct{ call, read, write time.Duration }

// observe counts and times calls, and makes a panic of a handler a refusal and
// a line in the log: one bad request must not take the server down.
func (s *Server) observe(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) (err error) {
		begun := time.Now()
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.metrics.Count("panics", "")
				s.log.Error("server: handler panicked", "procedure", spec.Procedure, "panic", p, "stack", string(debug.Stack()))
				err = refusal.New(resealv1.Reason_REASON_INTERNAL)
			}
			if err != nil {
				s.metrics.Count("refusals", refused(err))
			}
			if spec.StreamType == connect.StreamTypeUnary {
				s.metrics.Called(spec.Procedure, time.Since(begun))
			}
		}()
		if spec.StreamType == connect.StreamTypeUnary {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, s.times.call)
			defer cancel()
		}
		if spec.StreamType != connect.StreamTypeUnary {
			stream = paced(ctx, stream)
		}
		return next(ctx, spec, stream)
	}
}

// admit refuses calls while the server drains, and too many from one address.
func (s *Server) admit(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		if s.draining.Load() {
			return refusal.New(resealv1.Reason_REASON_DRAINING)
		}
		if info, ok := connect.CallInfoForServerContext(ctx); ok && info.PeerAddr != "" {
			if err := s.limits.Allow(limits.Call, hostOf(info.PeerAddr)); err != nil {
				return err
			}
		}
		return next(ctx, spec, stream)
	}
}

// limitAccount refuses too many calls of one account.
func (s *Server) limitAccount(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		if c, err := caller.From(ctx); err == nil {
			if err := s.limits.Allow(limits.Account, string(c.Account[:])); err != nil {
				return err
			}
		}
		return next(ctx, spec, stream)
	}
}

func hostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}

// authorizeBlob finds the account behind an upload: its session must be bound
// to a device.
func (s *Server) authorizeBlob(r *http.Request) (id identity.AccountID, err error) {
	if s.draining.Load() {
		return id, blob.ErrUnavailable
	}
	c, err := s.auth.Authenticate(r.Context(), r.Header.Get("Authorization"))
	switch {
	case refusal.Reason(err) == resealv1.Reason_REASON_UNAVAILABLE:
		return id, blob.ErrUnavailable
	case err != nil, c.Device.IsZero():
		return id, blob.ErrSession
	}
	if s.limits.Allow(limits.Account, string(c.Account[:])) != nil {
		return id, blob.ErrUnavailable
	}
	return c.Account, nil
}

// quota bounds how many blobs an account begins to upload, and how long they are
// together, in MiB.
func (s *Server) quota(_ context.Context, a identity.AccountID, length uint64) error {
	const mib = 1 << 20
	err := s.limits.Allow(limits.Blobs, string(a[:]))
	if err == nil {
		err = s.limits.AllowN(limits.Upload, string(a[:]), int(length/mib)+1)
	}
	if d := refusal.Detail(err); d != nil {
		return &blob.LimitError{Limit: d.Limit, After: time.Duration(d.RetryAfterMs) * time.Millisecond}
	}
	return err
}

// pacer holds the connection that a call came over, to give its client a time
// for each message. Calls over the WebSocket have the mux's own.
type pacer struct {
	rc    *http.ResponseController
	write time.Duration
}

type pacerKey struct{}

// pace lets the calls behind h set deadlines, and gives the client readTimeout
// to send the request.
func (s *Server) pace(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		now := time.Now()
		// Where deadlines are not supported (tests without a connection) there
		// is no slow client either.
		_ = rc.SetReadDeadline(now.Add(s.times.read))
		_ = rc.SetWriteDeadline(now.Add(s.times.call + s.times.write))
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), pacerKey{}, pacer{rc, s.times.write})))
	})
}

// paced wraps the stream of a server-streaming call: once the request is in, the
// connection may be silent for as long as it likes, and every answer has
// writeTimeout to be taken. Between answers there is no deadline at all: one that
// passes ends an HTTP/2 stream even if nothing is being written.
func paced(ctx context.Context, stream connect.ServerStream) connect.ServerStream {
	p, ok := ctx.Value(pacerKey{}).(pacer)
	if !ok {
		return stream
	}
	return pacedStream{stream, p}
}

type pacedStream struct {
	connect.ServerStream
	pacer pacer
}

func (s pacedStream) Receive(msg any) error {
	err := s.ServerStream.Receive(msg)
	if err == nil {
		_ = s.pacer.rc.SetReadDeadline(time.Time{})
		_ = s.pacer.rc.SetWriteDeadline(time.Time{})
	}
	return err
}

func (s pacedStream) SendHeaders() error {
	defer s.write()()
	return s.ServerStream.SendHeaders()
}

func (s pacedStream) Send(msg any) error {
	defer s.write()()
	return s.ServerStream.Send(msg)
}

// write begins the time of one answer; what it returns ends it.
func (s pacedStream) write() func() {
	_ = s.pacer.rc.SetWriteDeadline(time.Now().Add(s.pacer.write))
	return func() { _ = s.pacer.rc.SetWriteDeadline(time.Time{}) }
}
