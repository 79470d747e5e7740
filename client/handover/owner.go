package handover

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/reseal/reseal/internal/unixsocket"
)

const (
	// maxCommands is how many commands run at once; more wait to be accepted.
	maxCommands = 256
	// helloTimeout is how long a connection may take to name its command.
	helloTimeout = 10 * time.Second
	// lingerTimeout is how long a caller may take to write the last output.
	lingerTimeout = 10 * time.Second
)

// Stdio are the streams of one command. In a Handler they lead to the caller;
// in Run they are the caller's own.
type Stdio struct {
	// Stdin is read only as far as the handler reads.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Prompt asks the user on the terminal, without echo unless told, and
	// returns the line without its end, at most 4 KiB. Labels are at most 1
	// KiB. It may be nil in Run: then it fails for the handler.
	Prompt func(label string, echo bool) ([]byte, error)
	// Resized tells new sizes of the terminal, the newest only. It may be nil
	// in Run.
	Resized <-chan Size
}

// Handler runs one command and returns its exit code. ctx ends when the caller
// is interrupted or gone, or the Listener is closed. It may be called from
// many goroutines at once, and must not use stdio after it returned.
type Handler func(ctx context.Context, c Command, stdio Stdio) int

// ErrPrompt is returned by Stdio.Prompt when the user could not be asked.
var ErrPrompt = errors.New("handover: cannot ask on the caller's terminal")

// Listener is the owner's side.
type Listener struct {
	dir     string
	l       *net.UnixListener
	handler Handler
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	slots   chan struct{}
}

// Listen makes the socket in dir, replacing what a killed owner left, and
// serves commands until Close. The caller must hold the folder's lock.
func Listen(dir string, h Handler) (*Listener, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	l, err := unixsocket.Listen(dir, socketName)
	if err != nil {
		return nil, err
	}
	o := &Listener{dir: dir, l: l, handler: h, slots: make(chan struct{}, maxCommands)}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	o.wg.Go(o.accept)
	return o, nil
}

// Close removes the socket, cancels the commands that run and waits for them.
// Call it before the lock is given up.
func (o *Listener) Close() error {
	// Gone before it is closed: who comes now finds no owner instead of one
	// that hangs up.
	err := os.Remove(filepath.Join(o.dir, socketName))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	o.cancel()
	err = errors.Join(err, o.l.Close())
	o.wg.Wait()
	return err
}

func (o *Listener) accept() {
	for {
		select {
		case o.slots <- struct{}{}:
		case <-o.ctx.Done():
			return
		}
		conn, err := o.l.AcceptUnix()
		if err != nil {
			<-o.slots
			if o.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, most likely: let some be closed.
			select {
			case <-time.After(50 * time.Millisecond):
			case <-o.ctx.Done():
			}
			continue
		}
		o.wg.Go(func() {
			defer func() { <-o.slots }()
			o.serve(conn)
		})
	}
}

// serve runs one command over its connection.
func (o *Listener) serve(conn *net.UnixConn) {
	defer conn.Close()
	if checkPeer(conn) != nil {
		return
	}
	ctx, cancel := context.WithCancel(o.ctx)
	defer cancel()
	// A closed Listener does not wait for who never says what it wants.
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Now()) })
	conn.SetReadDeadline(time.Now().Add(helloTimeout))
	w := &wire{rw: conn}
	k, body, err := w.receive()
	if err != nil || k != kindCommand || !stop() {
		return
	}
	c, err := parseCommand(body)
	if err != nil {
		return
	}
	conn.SetReadDeadline(time.Time{})
	r := &remote{w: w, cancel: cancel, input: make(chan []byte, 1), answers: make(chan []byte, 1), sizes: make(chan Size, 1), gone: make(chan struct{})}
	if w.send(kindStarted, nil) != nil {
		return
	}
	done := make(chan struct{})
	go func() { defer close(done); r.listen() }()
	code := o.handler(ctx, *c, r.stdio(ctx))
	w.send(kindExit, binary.BigEndian.AppendUint32(nil, uint32(int32(code))))
	// The caller hangs up once it has read the code. Closing first could take
	// the last frames away from it.
	conn.SetReadDeadline(time.Now().Add(lingerTimeout))
	conn.CloseWrite()
	<-done
}
