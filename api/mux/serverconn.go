//go:build !js

package mux

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/coder/websocket"
)

// serverConn is one client's connection. Its reading goroutine runs serve;
// each call has a goroutine of its own.
type serverConn struct {
	h    *Handler
	peer string
	ws   *websocket.Conn // set by start
	// answer is what the connection begins with, nil for nothing.
	answer []byte
	out    outbox

	// hello is set before the first call and read only after.
	hello    []field
	admitted bool // reading goroutine only

	// opened and lastRead are times of now(); welcomed says which one counts.
	opened   atomic.Int64
	lastRead atomic.Int64
	welcomed atomic.Bool

	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // calls and closers; Add needs mu and !left

	mu       sync.Mutex
	calls    map[uint32]*serverCall
	open     int // calls whose END is not sent yet
	held     int // bytes of the requests of calls
	draining bool
	greeting bool   // HELLO came, WELCOME may be on its way
	ended    Reason // "": not ended
	left     bool
}

func newServerConn(h *Handler, peer string) *serverConn {
	c := &serverConn{h: h, peer: peer}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.opened.Store(now())
	c.lastRead.Store(now())
	return c
}

func (c *serverConn) start(ws *websocket.Conn) {
	// Until HELLO a stranger gets no more memory than HELLO needs.
	ws.SetReadLimit(frameHeader + MaxHeaderBytes)
	c.mu.Lock()
	c.ws, c.out.ws = ws, ws
	c.out.failed = func(err error) { c.cut(ReasonLost, nil) }
	ended := c.ended != ""
	c.mu.Unlock()
	if ended { // by Drain, between add and now
		_ = ws.CloseNow()
	}
	go c.serve()
}

func (c *serverConn) serve() {
	if c.answer != nil {
		c.reply(appendFrame(getBuffer(), frameAnswer, 0, c.answer))
	}
	reason, err := c.read()
	c.end(reason, err)
	c.mu.Lock()
	c.left = true
	reason = c.ended
	c.mu.Unlock()
	c.wg.Wait()
	_ = c.ws.CloseNow() // for the finalizer's sake; it is closed already
	if c.welcomed.Load() {
		c.h.o.Closed(reason)
	}
	c.h.remove(c)
}

// read runs until the connection ends and says why.
func (c *serverConn) read() (Reason, *connect.Error) {
	for {
		typ, r, err := c.ws.Reader(context.Background())
		if err != nil {
			return readReason(err)
		}
		if typ != websocket.MessageBinary {
			return ReasonProtocol, malformed
		}
		// Taken only once a message has begun: an idle connection has none.
		buf, err := readAll(getBuffer(), r, &c.lastRead)
		if err != nil {
			putBuffer(buf)
			return readReason(err)
		}
		reason, refusal := c.frames(buf)
		putBuffer(buf)
		if reason != "" {
			return reason, refusal
		}
	}
}

var (
	malformed = connect.NewError(connect.CodeInvalidArgument, "malformed frame")
	tooLarge  = connect.NewError(connect.CodeResourceExhausted, "frame is over the size limit")
)

func readReason(err error) (Reason, *connect.Error) {
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		return ReasonTooLarge, tooLarge
	case websocket.CloseStatus(err) != -1:
		return ReasonClient, nil
	}
	return ReasonLost, nil
}

func frameReason(err error) (Reason, *connect.Error) {
	if err == errFrameSize {
		return ReasonTooLarge, tooLarge
	}
	return ReasonProtocol, malformed
}

// frames handles one WebSocket message. A reason ends the connection.
func (c *serverConn) frames(b []byte) (Reason, *connect.Error) {
	if len(b) == 0 {
		return ReasonProtocol, malformed
	}
	for len(b) > 0 {
		f, rest, err := nextFrame(b, c.h.o.MaxMessage)
		if err != nil {
			return frameReason(err)
		}
		if c.admitted == (f.typ == frameHello) {
			return ReasonProtocol, malformed
		}
		b = rest
		switch f.typ {
		case frameHello:
			if reason, refusal := c.admit(f.payload); reason != "" {
				return reason, refusal
			}
		case frameCall:
			if err := c.call(f.call, f.payload); err != nil {
				return frameReason(err)
			}
		case frameCancel:
			c.mu.Lock()
			call := c.calls[f.call]
			c.mu.Unlock()
			if call != nil {
				call.abandon()
			}
		case frameCredit:
			if !c.credit(f) {
				return ReasonProtocol, malformed
			}
		case framePing:
			var pong [16]byte
			copy(pong[:], f.payload)
			putUint64(pong[8:], millis(c.h.o.Now()))
			c.reply(appendFrame(getBuffer(), framePong, 0, pong[:]))
		default: // a frame of the server's side
			return ReasonProtocol, malformed
		}
	}
	return "", nil
}

// reply sends from the reading goroutine. When the queue is full it waits,
// and so stops reading: a client that floods with what needs an answer and
// does not take the answers is cut as a slow reader.
func (c *serverConn) reply(frames []byte) {
	_ = c.out.send(c.ctx, frames)
	putBuffer(frames)
}

func (c *serverConn) admit(payload []byte) (Reason, *connect.Error) {
	fields, err := parseHeaders(payload)
	if err != nil {
		return ReasonProtocol, malformed
	}
	c.mu.Lock()
	draining := c.draining
	c.greeting = true
	c.mu.Unlock()
	if draining {
		return ReasonGoingAway, c.h.o.Draining
	}
	if c.h.o.Admit != nil {
		peer := Peer{Addr: c.peer, Header: &connect.Header{}}
		setFields(peer.Header, fields)
		ctx, err := c.h.o.Admit(c.ctx, peer)
		if err != nil {
			return ReasonRefused, verdict(err)
		}
		if ctx != c.ctx {
			c.ctx = ctx
			context.AfterFunc(ctx, func() {
				c.end(ReasonSession, verdict(context.Cause(ctx)))
			})
		}
	}
	c.hello, c.admitted = fields, true
	c.ws.SetReadLimit(int64(c.h.o.MaxMessage) + maxBatch)
	c.lastRead.Store(now())
	b, at := beginFrame(getBuffer(), frameWelcome, 0)
	b = appendWelcome(b, Welcome{c.h.o.Now(), c.h.o.MaxMessage, c.h.o.MaxCalls, c.h.o.Version})
	c.reply(endFrame(b, at))
	// After WELCOME is in the queue, so that a GOAWAY of drain comes behind it.
	c.mu.Lock()
	c.welcomed.Store(true)
	draining = c.draining
	c.mu.Unlock()
	if draining { // it came while greeting and left GOAWAY to us
		c.goAway()
	}
	return "", nil
}

// check is the sweeper's look at one connection.
func (c *serverConn) check(at int64) {
	o := &c.h.o
	since := c.out.since.Load()
	switch {
	case since != 0 && at-since > int64(o.WriteTimeout):
		// No close frame: it would wait behind the write that hangs.
		c.cut(ReasonSlowReader, nil)
	case !c.welcomed.Load() && at-c.opened.Load() > int64(o.HelloTimeout):
		c.end(ReasonHelloLate, connect.NewError(connect.CodeDeadlineExceeded, string(ReasonHelloLate)))
	case c.welcomed.Load() && at-c.lastRead.Load() > int64(o.IdleTimeout):
		c.end(ReasonIdle, connect.NewError(connect.CodeDeadlineExceeded, string(ReasonIdle)))
	}
}

// end closes the connection in good order: END for call 0 when there is an
// error to tell, then the closing handshake, in a goroutine since both wait
// for the client. The first reason stays.
func (c *serverConn) end(reason Reason, refusal *connect.Error) {
	if !c.markEnded(reason, refusal, true) {
		return
	}
	go func() {
		defer c.wg.Done()
		defer c.out.close(errOutbox)
		if reason == ReasonLost || reason == ReasonClient {
			_ = c.ws.CloseNow()
			return
		}
		// Bounds all of it: whoever does not read is cut.
		hard := time.AfterFunc(closeTimeout, func() { _ = c.ws.CloseNow() })
		defer hard.Stop()
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if refusal != nil {
			b, at := beginFrame(getBuffer(), frameEnd, 0)
			_ = c.out.send(ctx, endFrame(appendEnd(b, refusal, nil), at))
		}
		c.out.flush(ctx) // the close frame must come last
		_ = c.ws.Close(reason.status(), string(reason))
	}()
}

// closeTimeout bounds the last words to a client.
const closeTimeout = 2 * time.Second

// cut closes the connection at once.
func (c *serverConn) cut(reason Reason, refusal *connect.Error) {
	first := c.markEnded(reason, refusal, false)
	c.out.close(errOutbox)
	c.mu.Lock()
	ws := c.ws
	c.mu.Unlock()
	if ws != nil && (first || reason == ReasonGoingAway) {
		// CloseNow waits for the reader, which may be who calls.
		go func() { _ = ws.CloseNow() }()
	}
}

// markEnded stores the reason and cancels all calls; false if it had ended.
// With hold it adds one to wg.
func (c *serverConn) markEnded(reason Reason, refusal *connect.Error, hold bool) bool {
	c.mu.Lock()
	if c.ended != "" {
		c.mu.Unlock()
		return false
	}
	c.ended = reason
	if hold {
		c.wg.Add(1) // serve has not left: it ends the connection before
	}
	c.mu.Unlock()
	var cause error = errors.New("mux: " + string(reason))
	if refusal != nil {
		cause = refusal
	}
	c.cancel(cause)
	return true
}

func (r Reason) status() websocket.StatusCode {
	switch r {
	case ReasonProtocol:
		return websocket.StatusProtocolError
	case ReasonTooLarge:
		return websocket.StatusMessageTooBig
	case ReasonGoingAway:
		return websocket.StatusGoingAway
	case ReasonInternal:
		return websocket.StatusInternalError
	}
	return websocket.StatusPolicyViolation
}

// drain tells the client to go elsewhere and ends streams.
func (c *serverConn) drain() {
	c.mu.Lock()
	c.draining = true
	for _, call := range c.calls {
		if !call.unary {
			call.cancel(c.h.o.Draining)
		}
	}
	greeting, welcomed := c.greeting, c.welcomed.Load()
	c.mu.Unlock()
	switch {
	case welcomed:
		c.goAway()
	case !greeting: // there is nothing to finish
		c.cut(ReasonGoingAway, c.h.o.Draining)
	}
}

func (c *serverConn) goAway() {
	_ = c.out.send(c.ctx, appendFrame(nil, frameGoAway, 0, appendShort(nil, string(ReasonGoingAway))))
	c.closeIfDrained()
}

func (c *serverConn) closeIfDrained() {
	c.mu.Lock()
	idle := c.draining && c.open == 0
	c.mu.Unlock()
	if idle {
		c.end(ReasonGoingAway, nil)
	}
}
