package resealtest

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// listener takes connections that never leave the process.
type listener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newListener() *listener {
	return &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// here is the address that both ends of a connection have: this machine's, with
// a port that nothing listens at.
var here = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}

func (l *listener) Addr() net.Addr { return here }

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) dial(ctx context.Context) (net.Conn, error) {
	client, srv := net.Pipe()
	if err := l.put(ctx, local{srv}); err != nil {
		return nil, err
	}
	return local{client}, nil
}

// put hands a connection over to the server.
func (l *listener) put(ctx context.Context, c net.Conn) error {
	select {
	case l.conns <- c:
		return nil
	case <-l.closed:
		return refused
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// local is a pipe that says where it ends, as the server wants to know.
type local struct{ net.Conn }

func (local) LocalAddr() net.Addr  { return here }
func (local) RemoteAddr() net.Addr { return here }

// What dialing fails with, as from the system.
var (
	refused     = &net.OpError{Op: "dial", Net: "tcp", Addr: here, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	unreachable = &net.OpError{Op: "dial", Net: "tcp", Addr: here, Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
)

func (w *World) dial(ctx context.Context) (net.Conn, error) {
	w.mu.Lock()
	l := w.listen
	w.mu.Unlock()
	if l == nil {
		return nil, refused
	}
	return l.dial(ctx)
}

// line is a phone's way to the server.
type line struct {
	dial func(context.Context) (net.Conn, error)

	mu    sync.Mutex
	off   bool
	delay time.Duration
	rate  int // bytes a second, 0 for no bound
	wires map[*wire]struct{}
}

// Dial connects; network and address do not matter, for there is one server.
func (l *line) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	l.mu.Lock()
	off := l.off
	l.mu.Unlock()
	if off {
		return nil, unreachable
	}
	c, err := l.dial(ctx)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: c, line: l, cut: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off {
		_ = c.Close()
		return nil, unreachable
	}
	if l.wires == nil {
		l.wires = map[*wire]struct{}{}
	}
	l.wires[w] = struct{}{}
	return w, nil
}

// set cuts the line, or joins it again.
func (l *line) set(off bool) {
	l.mu.Lock()
	l.off = off
	l.mu.Unlock()
	if off {
		l.lose()
	}
}

// lose ends the connections that there are.
func (l *line) lose() {
	l.mu.Lock()
	wires := l.wires
	l.wires = nil
	l.mu.Unlock()
	for w := range wires {
		_ = w.Close()
	}
}

func (l *line) slow(delay time.Duration, rate int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay, l.rate = delay, rate
}

// wire is one connection over a line.
type wire struct {
	net.Conn
	line *line
	once sync.Once
	cut  chan struct{}
}

// wireUnit is how much goes at once while the line is slow, so that who watches
// sees progress.
const wireUnit = 4 << 10

func (w *wire) Close() error {
	w.once.Do(func() { close(w.cut) })
	w.line.mu.Lock()
	delete(w.line.wires, w)
	w.line.mu.Unlock()
	return w.Conn.Close()
}

func (w *wire) pace() (delay time.Duration, rate int) {
	w.line.mu.Lock()
	defer w.line.mu.Unlock()
	return w.line.delay, w.line.rate
}

// hold waits as long as n bytes take.
func (w *wire) hold(delay time.Duration, rate, n int) error {
	if rate > 0 {
		delay += time.Duration(n) * time.Second / time.Duration(rate)
	}
	if delay <= 0 {
		return nil
	}
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-w.cut:
		return net.ErrClosed
	}
}

// Read reads what came, late.
func (w *wire) Read(b []byte) (int, error) {
	if _, rate := w.pace(); rate > 0 {
		b = b[:min(len(b), wireUnit)]
	}
	n, err := w.Conn.Read(b)
	if err != nil {
		return n, err
	}
	delay, rate := w.pace()
	return n, w.hold(delay, rate, n)
}

// Write writes, late.
func (w *wire) Write(b []byte) (n int, err error) {
	for first := true; first || len(b) > 0; first = false {
		part := b
		delay, rate := w.pace()
		if !first {
			delay = 0
		}
		if rate > 0 {
			part = b[:min(len(b), wireUnit)]
		}
		if err := w.hold(delay, rate, len(part)); err != nil {
			return n, err
		}
		k, err := w.Conn.Write(part)
		n += k
		if err != nil {
			return n, err
		}
		b = b[k:]
	}
	return n, nil
}
