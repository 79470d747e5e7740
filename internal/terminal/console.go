package terminal

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// maxAnswer is the longest answer to a question, bytes.
const maxAnswer = 4 << 10

// ErrAnswer is returned for an answer that is too long or ends in the middle.
var ErrAnswer = errors.New("terminal: no answer")

// Console asks questions on the terminal of this process. One question at a
// time.
type Console struct {
	in  *os.File
	out io.Writer

	mu    sync.Mutex
	state *term.State // to go back to; nil while nothing is changed
}

// NewConsole asks on in, which is a terminal, and writes to out.
func NewConsole(in *os.File, out io.Writer) *Console { return &Console{in: in, out: out} }

// Prompt writes label and returns the line that is typed, without its end.
// Without echo, what is typed is not shown. When ctx ends, the terminal is as it
// was, though the read goes on until the next line.
func (c *Console) Prompt(ctx context.Context, label string, echo bool) ([]byte, error) {
	if err := c.prepare(echo); err != nil {
		return nil, err
	}
	defer c.Restore()
	if !echo {
		// The end of the line was not shown either.
		defer io.WriteString(c.out, "\n")
	}
	if _, err := io.WriteString(c.out, label); err != nil {
		return nil, err
	}
	type answer struct {
		line []byte
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		line, err := readLine(c.in)
		got <- answer{line, err}
	}()
	select {
	case a := <-got:
		return a.line, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// prepare turns the echo off before the question is shown: who types at once is
// not to be seen.
func (c *Console) prepare(echo bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	state, err := term.GetState(int(c.in.Fd()))
	if err != nil || echo {
		return err
	}
	if err := hideEcho(int(c.in.Fd())); err != nil {
		return err
	}
	c.state = state
	return nil
}

// Restore makes the terminal as it was before a question. Call it before the
// process ends, too: a question may be open.
func (c *Console) Restore() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != nil {
		_ = term.Restore(int(c.in.Fd()), c.state)
		c.state = nil
	}
}

// readLine reads to the end of the line and not a byte further: what follows is
// for somebody else.
func readLine(r io.Reader) ([]byte, error) {
	line := make([]byte, 0, 256) // a password that outgrows it leaves a copy in memory
	var b [1]byte
	for {
		n, err := r.Read(b[:])
		switch {
		case n == 1 && b[0] == '\n':
			if k := len(line); k > 0 && line[k-1] == '\r' {
				line = line[:k-1]
			}
			return line, nil
		case n == 1:
			if line = append(line, b[0]); len(line) > maxAnswer {
				return nil, ErrAnswer
			}
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		case errors.Is(err, io.EOF):
			return nil, ErrAnswer
		case err != nil:
			return nil, err
		}
	}
}

// ReadLine reads one line of a pipe, without its end, at most 4 KiB.
func ReadLine(r io.Reader) ([]byte, error) { return readLine(r) }
