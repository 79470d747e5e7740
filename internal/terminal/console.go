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
	if _, err := io.WriteString(c.out, label); err != nil {
		return nil, err
	}
	c.mu.Lock()
	state, err := term.GetState(int(c.in.Fd()))
	if err != nil {
		c.mu.Unlock()
		return nil, err
	}
	c.state = state
	c.mu.Unlock()
	type answer struct {
		line []byte
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		var a answer
		if echo {
			a.line, a.err = readLine(c.in)
		} else {
			a.line, a.err = term.ReadPassword(int(c.in.Fd()))
		}
		got <- a
	}()
	select {
	case a := <-got:
		c.Restore()
		if !echo {
			_, _ = io.WriteString(c.out, "\n")
		}
		if errors.Is(a.err, io.EOF) {
			a.err = ErrAnswer
		}
		return a.line, a.err
	case <-ctx.Done():
		c.Restore()
		_, _ = io.WriteString(c.out, "\n")
		return nil, ctx.Err()
	}
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
	var line []byte
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
