package handover

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// GoneError is returned by Run when the owner ended, or was killed, before the
// command did. See the package documentation for what may be repeated.
type GoneError struct {
	// Started: the owner had taken the command.
	Started bool
	// Shown: something was written to Stdout or Stderr, read from Stdin, or
	// asked of the user.
	Shown bool
	// Read: part of Stdin was asked for, or a prompt made, so that the command
	// cannot have them a second time.
	Read bool
}

// ErrOwnerGone is what every GoneError is.
var ErrOwnerGone = errors.New("handover: the owning process ended in the middle")

// Error is the text of ErrOwnerGone.
func (*GoneError) Error() string { return ErrOwnerGone.Error() }

// Unwrap returns ErrOwnerGone.
func (*GoneError) Unwrap() error { return ErrOwnerGone }

// ErrSilent is returned by Run when the owner is there, but did not take the
// command in 20 s: it is stopped (Ctrl-Z, SIGSTOP), or has 256 others. Nothing
// was done, and nothing will be when it goes on.
var ErrSilent = errors.New("handover: the owning process does not take commands")

// interruptTimeout is how long an interrupted command may take to end.
const interruptTimeout = 15 * time.Second

// startTimeout is how long the owner may be silent before it takes a command.
var startTimeout = 20 * time.Second

// caller is one command that runs elsewhere.
type caller struct {
	w       *wire
	conn    *net.UnixConn
	stdio   Stdio
	started bool
	silent  atomic.Bool // startTimeout is over
	shown   atomic.Bool
	took    atomic.Bool // input or a prompt's answer
	wg      sync.WaitGroup
	done    chan struct{}
}

// Run has the owner of dir run the command and returns its exit code. When ctx
// ends, the command is interrupted; Run still waits for its exit code, up to
// 15 s. Errors: ErrNoOwner, ErrSilent, a *GoneError, ErrPeer, ErrProtocol,
// ErrCommand, or of the streams. It is for one use of the streams at a time.
//
// A read from Stdin or a Prompt that is under way when the command ends is not
// waited for; it keeps a goroutine until it returns.
func Run(ctx context.Context, dir string, c Command, stdio Stdio) (int, error) {
	if err := c.check(); err != nil {
		return 0, err
	}
	conn, err := dial(ctx, dir)
	if err != nil {
		return 0, err
	}
	r := &caller{w: &wire{rw: conn}, conn: conn, stdio: stdio, done: make(chan struct{})}
	stop := context.AfterFunc(ctx, r.interrupt)
	defer stop()
	patience := time.AfterFunc(startTimeout, r.giveUp)
	defer patience.Stop()
	defer r.wg.Wait()
	defer close(r.done)
	defer conn.Close()
	body := c.encode()
	err = r.w.send(kindCommand, body)
	clear(body) // RESEAL_PASSWORD may be in it
	if err != nil {
		return 0, r.gone(ctx)
	}
	if stdio.Resized != nil {
		r.wg.Go(r.resize)
	}
	return r.loop(ctx, patience)
}

// giveUp ends the wait for an owner that has not taken the command. From the
// shutdown on the owner cannot say that it takes it, and so does not run it;
// what it said before is still read.
func (r *caller) giveUp() {
	r.silent.Store(true)
	_ = r.conn.CloseRead()
	r.conn.SetWriteDeadline(time.Now()) // a long command may still be on its way
}

// interrupt tells the owner and sets a limit to how long it may go on.
func (r *caller) interrupt() {
	r.conn.SetDeadline(time.Now().Add(interruptTimeout))
	_ = r.w.send(kindInterrupt, nil)
}

func (r *caller) resize() {
	for {
		select {
		case s, ok := <-r.stdio.Resized:
			if !ok || r.w.send(kindSize, s.encode()) != nil {
				return
			}
		case <-r.done:
			return
		}
	}
}

func (r *caller) gone(ctx context.Context) error {
	if r.silent.Load() && !r.started {
		return ErrSilent
	}
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), &GoneError{r.started, r.shown.Load(), r.took.Load()})
	}
	return &GoneError{r.started, r.shown.Load(), r.took.Load()}
}

// loop does what the owner says until it says exit.
func (r *caller) loop(ctx context.Context, patience *time.Timer) (int, error) {
	for {
		k, body, err := r.w.receive()
		if errors.Is(err, ErrProtocol) {
			return 0, err
		}
		if err != nil {
			return 0, r.gone(ctx)
		}
		if !r.started && k != kindStarted {
			return 0, ErrProtocol
		}
		switch k {
		case kindStarted:
			r.started = true
			patience.Stop()
		case kindOutput:
			err = r.write(r.stdio.Stdout, body)
		case kindError:
			err = r.write(r.stdio.Stderr, body)
		case kindRead:
			r.shown.Store(true)
			r.took.Store(true)
			go r.read()
		case kindPrompt:
			r.shown.Store(true)
			r.took.Store(true)
			err = r.ask(body)
		case kindExit:
			if len(body) != 4 {
				return 0, ErrProtocol
			}
			return int(int32(binary.BigEndian.Uint32(body))), nil
		default:
			err = ErrProtocol
		}
		if err != nil {
			return 0, err
		}
	}
}

func (r *caller) write(w io.Writer, b []byte) error {
	r.shown.Store(true)
	_, err := w.Write(b)
	return err
}

// read answers one request for input. The owner sends the next only after the
// answer, so there is one at a time.
func (r *caller) read() {
	b := make([]byte, maxData)
	var n int
	err := error(io.EOF)
	if r.stdio.Stdin != nil {
		n, err = readSome(r.stdio.Stdin, b)
	}
	switch {
	case n > 0:
		_ = r.w.send(kindInput, b[:n])
	case errors.Is(err, io.EOF):
		_ = r.w.send(kindInputEnd, nil)
	default:
		_ = r.w.send(kindInputEnd, []byte{1})
	}
}

// readSome reads until there is something or an error.
func readSome(r io.Reader, b []byte) (n int, err error) {
	for n == 0 && err == nil {
		n, err = r.Read(b)
	}
	return n, err
}

// ask answers one prompt, beside the loop: the owner may be gone, or the
// command interrupted, before the user types.
func (r *caller) ask(body []byte) error {
	if len(body) == 0 || body[0] > 1 {
		return ErrProtocol
	}
	go func() {
		answer := []byte{0}
		if r.stdio.Prompt != nil {
			line, err := r.stdio.Prompt(string(body[1:]), body[0] == 1)
			if err == nil && len(line) <= maxAnswer {
				answer = append([]byte{1}, line...)
				clear(line)
			}
		}
		_ = r.w.send(kindAnswer, answer)
		clear(answer)
	}()
	return nil
}
