package mux

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/coder/websocket"
)

// Why a connection could not be had or ended. [Conn.Err] wraps one of them, or
// is the *connect.Error that the server ended the connection with (IsRemote).
var (
	// ErrUnreachable: nobody answered, or a proxy that says so.
	ErrUnreachable = errors.New("mux: server not reachable")
	// ErrNotReseal: something answered that is no Reseal server, or that
	// proves its name with no valid certificate.
	ErrNotReseal = errors.New("mux: what answers is no reseal server")
	// ErrPlain: a URL without TLS to another machine, and no leave to use it.
	ErrPlain = errors.New("mux: refusing a connection without TLS to another machine")
	// ErrLost: the connection broke.
	ErrLost = errors.New("mux: connection lost")
	// ErrSilent: the server did not answer a PING in time.
	ErrSilent = errors.New("mux: server is silent")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("mux: connection closed")
	// ErrGoingAway: the server said that it goes away; connect anew.
	ErrGoingAway = errors.New("mux: server is going away")
	// ErrNotSent is in the errors of calls that certainly never left, because
	// the connection had ended or was going away: they may be made elsewhere.
	ErrNotSent = errors.New("mux: call was not sent")
	// ErrViolation: the server broke the protocol.
	ErrViolation = errors.New("mux: server violates the protocol")
)

// Conn is the client half: one connection, many calls. It is a
// [connect.Transport] and safe for concurrent use. It never reconnects; package
// client/remote/link does.
type Conn struct {
	ws      *websocket.Conn
	o       DialOptions
	out     outbox
	welcome Welcome

	away     chan struct{} // closed by GOAWAY
	done     chan struct{} // closed when err is set
	slots    chan struct{} // one taken for each call until its END
	offset   atomic.Int64  // server's clock minus ours, ns
	lastRead atomic.Int64
	pinged   atomic.Int64 // now() of the oldest PING not answered, 0: none

	mu     sync.Mutex
	calls  map[uint32]*clientCall
	next   uint32
	isAway bool
	err    error
}

func newConn(ws *websocket.Conn, o DialOptions) *Conn {
	c := &Conn{ws: ws, o: o, away: make(chan struct{}), done: make(chan struct{}), calls: map[uint32]*clientCall{}}
	c.out.ws, c.out.detach = ws, true
	c.out.failed = func(err error) { c.fail(fmt.Errorf("%w: %v", ErrLost, err)) }
	c.lastRead.Store(now())
	return c
}

// Welcome is what the server said of itself.
func (c *Conn) Welcome() Welcome { return c.welcome }

// Offset is the server's clock minus ours as of the last WELCOME or PONG, taken
// in the middle of the round trip: right to half of it.
func (c *Conn) Offset() time.Duration { return time.Duration(c.offset.Load()) }

// Done is closed when the connection has ended; Err then says why.
func (c *Conn) Done() <-chan struct{} { return c.done }

// GoingAway is closed when the server asks to connect elsewhere. New calls
// fail with ErrGoingAway; the connection ends after the last running call.
func (c *Conn) GoingAway() <-chan struct{} { return c.away }

// Err is nil while the connection lives.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection and every call on it. It waits for the closing
// handshake a few seconds at most.
func (c *Conn) Close() error {
	if c.end(ErrClosed) {
		hard := time.AfterFunc(2*time.Second, func() { _ = c.ws.CloseNow() })
		defer hard.Stop()
		_ = c.ws.Close(websocket.StatusNormalClosure, "")
	}
	return nil
}

// fail ends the connection without a handshake.
func (c *Conn) fail(err error) {
	if c.end(err) {
		// CloseNow waits for the reader, which may be who calls.
		go func() { _ = c.ws.CloseNow() }()
	}
}

func (c *Conn) end(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return false
	}
	c.err = err
	close(c.done)
	// Not under o.mu's holder: outbox never takes c.mu while it holds its own.
	c.out.close(err)
	return true
}

// read is the one goroutine that reads.
func (c *Conn) read(rest []byte) {
	err := c.frames(rest)
	for err == nil {
		var b []byte
		if b, err = c.message(context.Background()); err == nil {
			err = c.frames(b)
			putBuffer(b)
		}
	}
	c.fail(err)
}

// message reads one WebSocket message into a buffer of the pool.
func (c *Conn) message(ctx context.Context) ([]byte, error) {
	typ, r, err := c.ws.Reader(ctx)
	if err == nil && typ != websocket.MessageBinary {
		return nil, ErrViolation
	}
	var b []byte
	if err == nil {
		b, err = readAll(getBuffer(), r, &c.lastRead)
	}
	if err == nil && len(b) == 0 {
		return nil, ErrViolation
	}
	if err == nil {
		return b, nil
	}
	var ce websocket.CloseError
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		return nil, fmt.Errorf("%w: message too large", ErrViolation)
	case errors.As(err, &ce) && ce.Code == websocket.StatusGoingAway:
		return nil, ErrGoingAway
	case errors.As(err, &ce) && validValue(ce.Reason):
		return nil, fmt.Errorf("%w: closed by server: %s", ErrLost, ce.Reason)
	}
	// Not wrapped: the cause is io.EOF at times, and a stream whose error
	// matches io.EOF counts as complete.
	return nil, fmt.Errorf("%w: %v", ErrLost, err)
}

// readAll appends a message to b, marking the time of each part: a slow line
// that still brings bytes is alive.
func readAll(b []byte, r io.Reader, last *atomic.Int64) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		last.Store(now())
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

// frames handles one WebSocket message; an error ends the connection.
func (c *Conn) frames(b []byte) error {
	for len(b) > 0 {
		f, rest, err := nextFrame(b, c.o.MaxMessage)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrViolation, err)
		}
		b = rest
		if err := c.frame(f); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) frame(f frame) error {
	switch f.typ {
	case frameHeaders, frameMessage:
		call := c.lookup(f.call)
		if call == nil {
			return fmt.Errorf("%w: frame for no call", ErrViolation)
		}
		return call.deliver(f)
	case frameEnd:
		e, err := parseEnd(f.payload)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrViolation, err)
		}
		if f.call == 0 {
			if e.err == nil {
				return fmt.Errorf("%w: ended without a reason", ErrLost)
			}
			return e.err
		}
		return c.ended(f.call, e)
	case framePong:
		token, at, err := parsePong(f.payload)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrViolation, err)
		}
		if sent := c.pinged.Load(); sent != 0 && uint64(sent) == token {
			c.pinged.Store(0)
			c.learn(at, time.Duration(now()-sent))
		}
		return nil
	case frameGoAway:
		if _, err := parseGoAway(f.payload); err != nil {
			return fmt.Errorf("%w: %w", ErrViolation, err)
		}
		c.mu.Lock()
		first := !c.isAway
		c.isAway = true
		idle := len(c.calls) == 0
		c.mu.Unlock()
		if first {
			close(c.away)
		}
		if idle {
			return ErrGoingAway
		}
		return nil
	}
	return fmt.Errorf("%w: frame type 0x%02x", ErrViolation, byte(f.typ))
}

// learn sets the clock offset from the server's time and the round trip.
func (c *Conn) learn(server time.Time, trip time.Duration) {
	c.offset.Store(int64(server.Add(trip / 2).Sub(c.o.Now())))
}

func (c *Conn) lookup(id uint32) *clientCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[id]
}

// register gives call an id.
func (c *Conn) register(call *clientCall) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if c.isAway {
		return ErrGoingAway
	}
	for {
		c.next++
		if _, used := c.calls[c.next]; c.next != 0 && !used {
			break
		}
	}
	call.id, call.live = c.next, true // nobody else has it yet
	c.calls[call.id] = call
	return nil
}

// ended takes a call off the connection.
func (c *Conn) ended(id uint32, e end) error {
	c.mu.Lock()
	call := c.calls[id]
	delete(c.calls, id)
	idle := c.isAway && len(c.calls) == 0
	c.mu.Unlock()
	if call == nil {
		return fmt.Errorf("%w: END for no call", ErrViolation)
	}
	<-c.slots
	call.finish(e)
	if idle {
		return ErrGoingAway
	}
	return nil
}

// keepAlive sends PINGs and notices when nothing comes back.
func (c *Conn) keepAlive() {
	tick := min(c.o.PingEvery, c.o.PingTimeout)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last := now()
	for {
		select {
		case <-c.done:
			return
		case <-ticker.C:
		}
		at := now()
		sent := c.pinged.Load()
		if sent != 0 && at-max(sent, c.lastRead.Load()) >= int64(c.o.PingTimeout) {
			c.fail(ErrSilent)
			return
		}
		if at-last < int64(c.o.PingEvery-tick/2) { // ticks come a little early or late
			continue
		}
		last = at
		var token [8]byte
		binary.BigEndian.PutUint64(token[:], uint64(at))
		// One that is not answered yet stays the one to wait for.
		c.pinged.CompareAndSwap(0, at)
		go func() { _ = c.out.send(contextOf(c.done), appendFrame(nil, framePing, 0, token[:])) }()
	}
}

// contextOf is a context that ends with the channel; it needs no goroutine.
func contextOf(done <-chan struct{}) context.Context { return doneContext{context.Background(), done} }

type doneContext struct {
	context.Context
	done <-chan struct{}
}

func (d doneContext) Done() <-chan struct{} { return d.done }

func (d doneContext) Err() error {
	select {
	case <-d.done:
		return context.Canceled
	default:
		return nil
	}
}

// notSent is callError for a call that never left.
func notSent(err error) error {
	if e, ok := errors.AsType[*connect.Error](err); ok {
		return e.WithCause(ErrNotSent)
	}
	return connect.NewError(connect.CodeUnavailable, "connection to the server ended").WithCause(err).WithCause(ErrNotSent)
}

// callError is what a call gets when its connection has ended: the server's
// own verdict if it gave one, CodeUnavailable with the cause otherwise.
func callError(err error) error {
	if e, ok := errors.AsType[*connect.Error](err); ok {
		return e
	}
	return connect.NewError(connect.CodeUnavailable, "connection to the server ended").WithCause(err)
}
