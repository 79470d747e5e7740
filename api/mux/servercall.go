//go:build !js

package mux

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"connectrpc.com/connect/v2"
)

func putUint64(b []byte, v uint64) { binary.BigEndian.PutUint64(b, v) }

// serverCall is one running call: the connect.ServerStream of its handler.
type serverCall struct {
	c      *serverConn
	id     uint32
	size   int // of the request
	unary  bool
	info   connect.CallInfo
	ctx    context.Context
	cancel context.CancelCauseFunc
	stop   context.CancelFunc // of the deadline, nil without

	// Of the handler's goroutine. Send and Receive may run in two.
	request  []byte
	received bool
	headers  bool   // HEADERS is out (or pending)
	pending  []byte // frames of a unary answer, sent with END
	sent     bool

	// Guarded by c.mu.
	credit int
	more   chan struct{} // cap 1: credit came
}

// verdict is what of a handler's error may go out (as connecthttp has it):
// only a *connect.Error made here carries its text.
func verdict(err error) *connect.Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*connect.Error](err); ok && e != nil {
		if e.IsRemote() {
			return connect.NewError(connect.CodeInternal, "")
		}
		return e
	}
	switch {
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, "")
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, "")
	}
	return connect.NewError(connect.CodeUnknown, "")
}

// call starts a call, or refuses it with END. An error ends the connection.
func (c *serverConn) call(id uint32, payload []byte) error {
	head, err := parseCall(payload, c.h.o.MaxMessage)
	if err != nil {
		return err
	}
	spec, known := c.h.methods[string(head.procedure)]
	if !known {
		// The unknown handler of the server, if any, answers in its own way.
		spec = connect.Spec{Procedure: string(head.procedure), StreamType: connect.StreamTypeServer}
	}
	call := &serverCall{
		c: c, id: id, size: len(head.message), unary: spec.StreamType == connect.StreamTypeUnary,
		credit: streamWindow,
	}
	c.mu.Lock()
	if _, dup := c.calls[id]; dup {
		c.mu.Unlock()
		return ErrFrame
	}
	var refusal *connect.Error
	switch {
	case c.ended != "":
		c.mu.Unlock()
		return nil
	case c.draining:
		refusal = c.h.o.Draining
	case len(c.calls) >= c.h.o.MaxCalls:
		refusal = connect.NewError(connect.CodeResourceExhausted, "too many calls at once")
	case c.held > 0 && c.held+call.size > c.h.o.MaxHeld:
		refusal = connect.NewError(connect.CodeResourceExhausted, "too many bytes of requests at once")
	case spec.StreamType&connect.StreamTypeClient != 0:
		refusal = errClientStream
	}
	if refusal != nil {
		c.mu.Unlock()
		b, at := beginFrame(getBuffer(), frameEnd, id)
		c.reply(endFrame(appendEnd(b, refusal, nil), at))
		return nil
	}
	if !call.unary {
		call.more = make(chan struct{}, 1)
	}
	call.ctx, call.cancel = context.WithCancelCause(c.ctx)
	if c.calls == nil {
		c.calls = map[uint32]*serverCall{}
	}
	c.calls[id] = call
	c.open++
	c.held += call.size
	c.wg.Add(1)
	c.mu.Unlock()

	call.request = append([]byte(nil), head.message...)
	if head.timeout > 0 {
		call.ctx, call.stop = context.WithTimeout(call.ctx, time.Duration(head.timeout)*time.Millisecond)
	}
	call.info = connect.CallInfo{Spec: spec, PeerAddr: c.peer, Protocol: ProtocolName, Codec: connect.CodecNameProto}
	setFields(call.info.RequestHeader(), c.hello)
	setFields(call.info.RequestHeader(), head.headers)
	go call.run()
	return nil
}

var errClientStream = connect.NewError(connect.CodeUnimplemented, "client streams are not carried here")

func (s *serverCall) run() {
	defer s.c.wg.Done()
	err := s.handle()
	if errors.Is(err, context.Canceled) {
		// The reason that the transport cancelled for tells more.
		if cause, ok := errors.AsType[*connect.Error](context.Cause(s.ctx)); ok {
			err = cause
		}
	}
	s.finish(verdict(err))
	if s.stop != nil {
		s.stop()
	}
	s.cancel(nil)
	s.c.closeIfDrained()
}

func (s *serverCall) handle() (err error) {
	defer func() {
		if p := recover(); p != nil {
			// The value may hold what a client sent: only its type is logged.
			s.c.h.o.Log.Error("handler panicked", "procedure", s.info.Spec.Procedure,
				"type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = connect.NewError(connect.CodeInternal, "")
		}
	}()
	return s.c.h.server.Call(s.ctx, s.info.Spec.Procedure, &s.info, s)
}

// finish sends END, and with it what a unary call answered.
func (s *serverCall) finish(e *connect.Error) {
	b := s.pending
	if b == nil {
		b = getBuffer()
	}
	if e != nil && s.unary {
		b = b[:0] // an answer before the error does not count
		s.headers = false
	}
	trailers, err := fieldsOf(s.info.ResponseTrailer())
	if err != nil && e == nil {
		e, b, s.headers = verdict(err), b[:0], !s.unary
	}
	if !s.headers {
		b, _ = s.appendHeaders(b)
	}
	b, at := beginFrame(b, frameEnd, s.id)
	b = endFrame(appendEnd(b, e, trailers), at)
	// The place is free before END is out: a client at its limit may use it
	// as soon as it sees END.
	s.c.mu.Lock()
	delete(s.c.calls, s.id)
	s.c.held -= s.size
	s.c.mu.Unlock()
	_ = s.c.out.send(s.c.ctx, b)
	putBuffer(b)
	s.c.mu.Lock()
	s.c.open--
	s.c.mu.Unlock()
}

func (s *serverCall) appendHeaders(b []byte) ([]byte, error) {
	s.headers = true
	if s.info.ResponseHeader().Len() == 0 {
		return b, nil
	}
	fields, err := fieldsOf(s.info.ResponseHeader())
	if err != nil {
		return b, err
	}
	b, at := beginFrame(b, frameHeaders, s.id)
	return endFrame(appendFields(b, fields), at), nil
}

// Receive reads the one request.
func (s *serverCall) Receive(msg any) error {
	if s.received {
		return io.EOF
	}
	s.received = true
	request := s.request
	s.request = nil
	return decodeMessage(request, msg, connect.CodeInvalidArgument)
}

// SendHeaders sends the response headers of a stream. A unary answer keeps
// them until its end.
func (s *serverCall) SendHeaders() error {
	if s.headers || s.unary {
		return nil
	}
	b, err := s.appendHeaders(getBuffer())
	if err != nil || len(b) == 0 {
		putBuffer(b)
		return err
	}
	return s.deliver(b)
}

// Send sends one message. In a stream it waits for credit and for space in
// the queue, until the call's context is done.
func (s *serverCall) Send(msg any) error {
	if s.unary && s.sent {
		return connect.NewError(connect.CodeInternal, "").WithCause(errors.New("mux: second answer to a unary call"))
	}
	if !s.unary {
		if err := s.waitCredit(); err != nil {
			return err
		}
	}
	b := getBuffer()
	if !s.headers {
		var err error
		if b, err = s.appendHeaders(b); err != nil {
			return err
		}
	}
	b, at := beginFrame(b, frameMessage, s.id)
	b, err := appendMessage(b, msg, s.c.h.o.MaxMessage)
	if err != nil {
		return err
	}
	b = endFrame(b, at)
	s.sent = true
	if s.unary {
		s.pending = b
		return nil
	}
	s.c.mu.Lock()
	s.credit -= len(b) - at - frameHeader + messageCost
	s.c.mu.Unlock()
	return s.deliver(b)
}

func (s *serverCall) deliver(frames []byte) error {
	defer putBuffer(frames)
	if err := s.ctx.Err(); err != nil {
		return err
	}
	return s.c.out.send(s.ctx, frames)
}

func (s *serverCall) waitCredit() error {
	for {
		s.c.mu.Lock()
		ok := s.credit > 0
		s.c.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-s.more:
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
}

// credit adds what the client has taken; false if it never got that much.
func (c *serverConn) credit(f frame) bool {
	n := uint64(binary.BigEndian.Uint32(f.payload))
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.calls[f.call]
	if s == nil {
		return n > 0
	}
	if n == 0 || s.unary || n > uint64(streamWindow-s.credit) {
		return false
	}
	s.credit += int(n)
	select {
	case s.more <- struct{}{}:
	default:
	}
	return true
}

// abandon is the client's CANCEL.
func (s *serverCall) abandon() { s.cancel(context.Canceled) }
