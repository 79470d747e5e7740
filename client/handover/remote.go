package handover

import (
	"context"
	"io"
	"sync"
)

// remote is the caller as the owner's handler sees it.
type remote struct {
	w      *wire
	cancel context.CancelFunc

	// One read and one prompt are under way at most, so one place suffices:
	// a caller that sends more is not ours.
	input   chan []byte // 1 ‖ data, or 0 ‖ nothing for the end, a byte for an error
	answers chan []byte
	sizes   chan Size
	gone    chan struct{} // closed when the caller hung up

	readMu sync.Mutex
	rest   []byte
	ended  bool
	failed bool

	promptMu sync.Mutex
}

// listen takes what the caller sends until it hangs up.
func (r *remote) listen() {
	defer close(r.gone)
	defer r.cancel()
	for {
		k, body, err := r.w.receive()
		if err != nil || !r.take(k, body) {
			return
		}
	}
}

func (r *remote) take(k kind, body []byte) bool {
	switch k {
	case kindInput, kindInputEnd:
		if k == kindInput && len(body) == 0 {
			return false
		}
		more := byte(0)
		if k == kindInput {
			more = 1
		}
		return offer(r.input, append([]byte{more}, body...))
	case kindAnswer:
		return len(body) > 0 && offer(r.answers, body)
	case kindSize:
		size, err := parseSize(body)
		if err != nil {
			return false
		}
		latest(r.sizes, size)
	case kindInterrupt:
		r.cancel()
	default:
		return false
	}
	return true
}

func offer[T any](c chan T, v T) bool {
	select {
	case c <- v:
		return true
	default:
		return false
	}
}

// latest keeps only the newest value. It has one sender.
func latest[T any](c chan T, v T) {
	select {
	case <-c:
	default:
	}
	offer(c, v)
}

func (r *remote) stdio(ctx context.Context) Stdio {
	return Stdio{
		Stdin:   reader{r, ctx},
		Stdout:  stream{r.w, kindOutput},
		Stderr:  stream{r.w, kindError},
		Prompt:  func(label string, echo bool) ([]byte, error) { return r.prompt(ctx, label, echo) },
		Resized: r.sizes,
	}
}

// stream is one of the caller's output streams.
type stream struct {
	w *wire
	k kind
}

func (s stream) Write(b []byte) (n int, err error) {
	for len(b) > n {
		part := b[n:min(len(b), n+maxData)]
		if err := s.w.send(s.k, part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// reader is the caller's standard input.
type reader struct {
	r   *remote
	ctx context.Context
}

func (s reader) Read(b []byte) (int, error) {
	r := s.r
	r.readMu.Lock()
	defer r.readMu.Unlock()
	if len(b) == 0 {
		return 0, nil
	}
	for len(r.rest) == 0 {
		switch {
		case r.failed:
			return 0, io.ErrUnexpectedEOF
		case r.ended:
			return 0, io.EOF
		}
		if err := r.fill(s.ctx); err != nil {
			return 0, err
		}
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// fill asks for input once and waits for it.
func (r *remote) fill(ctx context.Context) error {
	if err := r.w.send(kindRead, nil); err != nil {
		return err
	}
	select {
	case body := <-r.input:
		if body[0] == 1 {
			r.rest = body[1:]
			return nil
		}
		// An end with a byte is a read error: what came is not all.
		r.ended, r.failed = true, len(body) > 1
		return nil
	case <-r.gone:
		return io.ErrUnexpectedEOF
	case <-ctx.Done():
		// The answer to this request is still to come; nobody reads after it.
		r.failed = true
		return ctx.Err()
	}
}

func (r *remote) prompt(ctx context.Context, label string, echo bool) ([]byte, error) {
	r.promptMu.Lock()
	defer r.promptMu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	body := []byte{0}
	if echo {
		body[0] = 1
	}
	if err := r.w.send(kindPrompt, append(body, label[:min(len(label), maxLabel)]...)); err != nil {
		return nil, err
	}
	select {
	case b := <-r.answers:
		if b[0] != 1 {
			return nil, ErrPrompt
		}
		return b[1:], nil
	case <-r.gone:
		return nil, ErrPrompt
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
