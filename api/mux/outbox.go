package mux

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// outbox is the one way to write to a connection. Whoever finds nobody writing
// writes: it lets everybody run who can, who may have something for the same
// connection, and then writes all that is queued as one WebSocket message, until
// there is nothing more. So there is no writer goroutine and no timer, a lone call
// goes out at once, and calls under load share system calls.
//
// The queue is bounded by maxBatch; who does not fit waits.
type outbox struct {
	ws *websocket.Conn
	// detach makes senders leave the writing to a goroutine of its own, so
	// that a deadline of theirs holds though the socket is blocked.
	detach bool
	// failed is called once, without lock, when a write fails.
	failed func(error)
	// since is the start of the write under way (see now), 0 when idle. It is
	// written by the writer only and read by the sweeper.
	since atomic.Int64

	mu      sync.Mutex
	writing bool
	err     error
	queue   []byte
	space   chan struct{} // closed when the queue was taken; nil: nobody waits
	quiet   chan struct{} // closed when the writer is done; nil: nobody waits
}

// writeRounds is how often one sender takes the queue of others before it
// passes the writing on: a handler is not kept from its work under load.
const writeRounds = 8

// maxGather is how long frames may be to be copied for the sake of others, bytes.
const maxGather = 32 << 10

var errOutbox = errors.New("mux: connection is closed")

// processStart anchors now: monotonic, and never 0.
var processStart = time.Now().Add(-time.Second)

func now() int64 { return int64(time.Since(processStart)) }

// send queues or writes whole frames. It keeps no reference to them. nil means
// queued, not received. ctx bounds the wait for space only.
func (o *outbox) send(ctx context.Context, frames []byte) error {
	o.mu.Lock()
	for o.err == nil && len(o.queue) > 0 && len(o.queue)+len(frames) > maxBatch {
		if o.space == nil {
			o.space = make(chan struct{})
		}
		space := o.space
		o.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		o.mu.Lock()
	}
	if o.err != nil {
		defer o.mu.Unlock()
		return o.err
	}
	if o.writing || o.detach {
		if o.queue == nil {
			o.queue = getBuffer()
		}
		o.queue = append(o.queue, frames...)
		if !o.writing {
			o.writing = true
			go o.write(nil)
		}
		o.mu.Unlock()
		return nil
	}
	o.writing = true
	if len(frames) > maxGather {
		o.mu.Unlock()
		o.write(frames)
		return nil
	}
	o.queue = append(getBuffer(), frames...)
	o.mu.Unlock()
	runtime.Gosched()
	o.write(nil)
	return nil
}

// write is run by the one writer: first (if any), then the queue until it is
// empty.
func (o *outbox) write(first []byte) {
	var taken []byte
	for round := 0; ; round++ {
		batch := first
		if batch == nil {
			o.mu.Lock()
			if len(o.queue) == 0 || o.err != nil {
				o.writing = false
				if o.quiet != nil {
					close(o.quiet)
					o.quiet = nil
				}
				o.mu.Unlock()
				return
			}
			batch, o.queue = o.queue, nil
			taken = batch
			if o.space != nil {
				close(o.space)
				o.space = nil
			}
			o.mu.Unlock()
		}
		o.since.Store(now())
		err := o.ws.Write(context.Background(), websocket.MessageBinary, batch)
		o.since.Store(0)
		if taken != nil {
			putBuffer(taken)
			taken = nil
		}
		if err != nil {
			o.close(err)
			o.failed(err)
		}
		first = nil
		if round == writeRounds && !o.detach {
			go o.write(nil)
			return
		}
	}
}

// flush waits until what was sent before is written.
func (o *outbox) flush(ctx context.Context) {
	o.mu.Lock()
	if !o.writing {
		o.mu.Unlock()
		return
	}
	if o.quiet == nil {
		o.quiet = make(chan struct{})
	}
	quiet := o.quiet
	o.mu.Unlock()
	select {
	case <-quiet:
	case <-ctx.Done():
	}
}

// close makes every send fail from now on, waiting ones too. The first error
// stays.
func (o *outbox) close(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	if o.space != nil {
		close(o.space)
		o.space = nil
	}
}

// buffers holds encodings on their way: idle connections own none.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 2<<10); return &b }}

func getBuffer() []byte { return (*buffers.Get().(*[]byte))[:0] }

// putBuffer returns a buffer; large ones go to the collector, else a burst of
// large messages would stay in memory.
func putBuffer(b []byte) {
	if cap(b) <= 64<<10 {
		buffers.Put(&b)
	}
}
