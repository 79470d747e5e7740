package mux

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
)

// clientCall is one call: a connect.ClientStream.
type clientCall struct {
	c     *Conn
	ctx   context.Context
	spec  connect.Spec
	info  *connect.CallInfo // nil: the caller wants none
	unary bool
	// stop ends the watch on ctx, for streams.
	stop func() bool

	// Of the sending side.
	id     uint32 // set before the CALL is sent, constant after
	sent   bool
	closed bool // CloseSend

	// Of the receiving side.
	shown bool // headers are in info
	rxEnd bool

	wake chan struct{} // cap 1: something below changed

	mu       sync.Mutex
	live     bool // registered, END not seen
	dropped  bool // cancelled or closed: messages are thrown away
	headers  []field
	gotHead  bool
	messages [][]byte
	buffered int // what messages used up of the window
	taken    int // taken by the caller, not yet given back
	end      *end
}

// NewClientStream starts a call. Nothing is sent before the request is.
func (c *Conn) NewClientStream(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
	if spec.StreamType&connect.StreamTypeClient != 0 {
		return nil, connect.NewError(connect.CodeUnimplemented, "client streams are not carried over this connection")
	}
	if len(spec.Procedure) == 0 || len(spec.Procedure) > maxProcedure || spec.Procedure[0] != '/' || !validValue(spec.Procedure) {
		return nil, connect.NewError(connect.CodeInternal, "malformed procedure name")
	}
	s := &clientCall{c: c, ctx: ctx, spec: spec, unary: spec.StreamType == connect.StreamTypeUnary, wake: make(chan struct{}, 1)}
	if s.info, _ = connect.CallInfoForClientContext(ctx); s.info != nil {
		s.info.Spec, s.info.Protocol, s.info.Codec = spec, ProtocolName, connect.CodecNameProto
	}
	return s, nil
}

// SendHeaders does nothing: headers travel with the one request.
func (s *clientCall) SendHeaders() error { return nil }

// CloseSend does nothing on the wire: CALL has the whole request.
func (s *clientCall) CloseSend() error {
	s.closed = true
	return nil
}

// Send sends the request. It waits while as many calls as the server allows
// are running. Call Receive after Send, not beside it.
func (s *clientCall) Send(msg any) error {
	if s.closed || s.sent {
		return io.EOF
	}
	if err := s.ctx.Err(); err != nil {
		return contextError(err)
	}
	var headers []field
	if s.info != nil {
		var err error
		if headers, err = fieldsOf(s.info.RequestHeader()); err != nil {
			return err
		}
	}
	select {
	case s.c.slots <- struct{}{}:
	case <-s.ctx.Done():
		return contextError(s.ctx.Err())
	case <-s.c.done:
		return notSent(s.c.Err())
	}
	// The deadline is read now: the wait above counts.
	var timeout uint32
	if deadline, ok := s.ctx.Deadline(); ok {
		timeout = timeoutOf(time.Until(deadline))
	}
	b, at := beginFrame(getBuffer(), frameCall, 0)
	b = appendCallHead(b, timeout, s.spec.Procedure, headers)
	b, err := appendMessage(b, msg, s.c.welcome.MaxMessage)
	if err != nil {
		<-s.c.slots
		return err
	}
	b = endFrame(b, at)
	if err := s.c.register(s); err != nil {
		<-s.c.slots
		return notSent(err)
	}
	s.sent = true
	binary.BigEndian.PutUint32(b[at+1:], s.id)
	err = s.c.out.send(s.ctx, b)
	putBuffer(b)
	if err != nil {
		if s.c.Err() == nil { // ctx ended before there was space: it never left
			s.c.forget(s)
			return contextError(s.ctx.Err())
		}
		return callError(s.c.Err())
	}
	if !s.unary {
		// The contract: cancelling ctx releases the stream, read or not.
		s.stop = context.AfterFunc(s.ctx, s.drop)
	}
	return nil
}

// forget takes off a call whose CALL was never queued.
func (c *Conn) forget(s *clientCall) {
	c.mu.Lock()
	delete(c.calls, s.id)
	c.mu.Unlock()
	<-c.slots
	s.mu.Lock()
	s.live = false
	s.mu.Unlock()
}

// deliver takes a frame from the reading goroutine. It never waits, so one
// call that is not read does not hold up the others.
func (s *clientCall) deliver(f frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.typ == frameHeaders {
		headers, err := parseHeaders(f.payload)
		if err != nil || s.gotHead || len(s.messages) > 0 {
			return fmt.Errorf("%w: HEADERS", ErrViolation)
		}
		s.headers, s.gotHead = headers, true
		return nil
	}
	s.gotHead = true
	s.buffered += len(f.payload) + messageCost
	if s.unary && len(s.messages) > 0 || s.buffered-len(f.payload)-messageCost >= streamWindow {
		return fmt.Errorf("%w: more than asked for", ErrViolation)
	}
	if s.dropped {
		// The window is not given back: the server stops by CANCEL.
		return nil
	}
	s.messages = append(s.messages, append(make([]byte, 0, len(f.payload)), f.payload...))
	if !s.unary {
		s.signal()
	}
	return nil
}

// finish is called by the reading goroutine when END came.
func (s *clientCall) finish(e end) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live, s.end = false, &e
	s.signal()
}

func (s *clientCall) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Receive returns the next message of a stream, io.EOF after the last, or the
// call's error. For a unary call it returns once the END came.
func (s *clientCall) Receive(msg any) error {
	if s.rxEnd {
		return io.EOF
	}
	if !s.sent {
		return connect.NewError(connect.CodeInternal, "").WithCause(errors.New("mux: Receive before Send"))
	}
	for {
		message, credit, ended, err := s.next()
		switch {
		case message != nil:
			if credit > 0 {
				s.giveBack(credit)
			}
			err := decodeMessage(message, msg, connect.CodeInternal)
			if s.unary {
				s.rxEnd = true
			}
			return err
		case ended:
			s.rxEnd = true
			if s.stop != nil {
				s.stop()
			}
			return err
		}
		select {
		case <-s.wake:
		case <-s.ctx.Done():
			s.drop()
			return contextError(s.ctx.Err())
		case <-s.c.done:
			// What came before the end counts.
			if message, _, ended, err := s.next(); message != nil || ended {
				if message == nil {
					s.rxEnd = true
					return err
				}
				return decodeMessage(message, msg, connect.CodeInternal)
			}
			s.rxEnd = true
			return callError(s.c.Err())
		}
	}
}

// next looks at what has come: a message, or the end, or neither.
func (s *clientCall) next() (message []byte, credit int, ended bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped {
		if err := s.ctx.Err(); err != nil {
			return nil, 0, true, contextError(err)
		}
		return nil, 0, true, connect.NewError(connect.CodeCanceled, "call was closed").WithCause(context.Canceled)
	}
	if s.unary && s.end == nil {
		return nil, 0, false, nil
	}
	if s.info != nil && s.gotHead && !s.shown {
		s.shown = true
		setFields(s.info.ResponseHeader(), s.headers)
	}
	if s.end != nil && s.info != nil && (s.unary || len(s.messages) == 0) {
		setFields(s.info.ResponseTrailer(), s.end.trailers)
	}
	if s.unary && s.end.err != nil {
		return nil, 0, true, s.end.err
	}
	if len(s.messages) > 0 {
		message = s.messages[0]
		s.messages[0] = nil
		s.messages = s.messages[1:]
		cost := len(message) + messageCost
		s.taken += cost
		// Half a window at a time, so that small messages cost no frame each.
		if s.live && s.taken >= streamWindow/2 {
			credit, s.taken = s.taken, 0
			s.buffered -= credit
		}
		return message, credit, false, nil
	}
	switch {
	case s.end == nil:
		return nil, 0, false, nil
	case s.end.err != nil:
		return nil, 0, true, s.end.err
	case s.unary:
		return nil, 0, true, connect.NewError(connect.CodeInternal, "unary call without an answer")
	}
	return nil, 0, true, io.EOF
}

func (s *clientCall) giveBack(credit int) {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(credit))
	_ = s.c.out.send(contextOf(s.c.done), appendFrame(nil, frameCredit, s.id, n[:]))
}

// Close gives the call up if it has not ended.
func (s *clientCall) Close() error {
	if s.stop != nil {
		s.stop()
	}
	s.drop()
	return nil
}

// drop sends CANCEL once. The id stays taken until the END comes.
func (s *clientCall) drop() {
	s.mu.Lock()
	first := s.live && !s.dropped
	if first {
		s.dropped = true
		s.messages = nil
		s.signal()
	}
	s.mu.Unlock()
	if first {
		// Not on the caller's time: it wants to be gone.
		go func() { _ = s.c.out.send(contextOf(s.c.done), appendFrame(nil, frameCancel, s.id, nil)) }()
	}
}

// contextError is err as connect reports it, with the context's error as cause.
func contextError(err error) error {
	code := connect.CodeCanceled
	if errors.Is(err, context.DeadlineExceeded) {
		code = connect.CodeDeadlineExceeded
	}
	return connect.NewError(code, "").WithCause(err)
}
