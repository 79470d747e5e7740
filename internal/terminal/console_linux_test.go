package terminal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openPTY is a terminal: what is typed goes into keys, what is shown comes out.
func openPTY(t *testing.T) (keys, tty *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(keys.Close(), tty.Close()) })
	return keys, tty
}

func echoes(t *testing.T, tty *os.File) bool {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return s.Lflag&unix.ECHO != 0
}

// label types when it sees the question, and looks at the echo at that moment.
type label struct {
	t         *testing.T
	keys, tty *os.File
	typed     string
	echo      bool
	shown     bytes.Buffer
}

func (l *label) Write(b []byte) (int, error) {
	l.shown.Write(b)
	if bytes.HasSuffix(b, []byte(": ")) {
		l.echo = echoes(l.t, l.tty)
		if _, err := io.WriteString(l.keys, l.typed); err != nil {
			l.t.Error(err)
		}
	}
	return len(b), nil
}

func TestPrompt(t *testing.T) {
	keys, tty := openPTY(t)
	for _, echo := range []bool{false, true} {
		l := &label{t: t, keys: keys, tty: tty, typed: "geheim\r"}
		c := NewConsole(tty, l)
		got, err := c.Prompt(t.Context(), "Password: ", echo)
		if err != nil || string(got) != "geheim" {
			t.Errorf("%q, %v", got, err)
		}
		if l.echo != echo {
			t.Errorf("while the question stands, echo is %v", l.echo)
		}
		if !echoes(t, tty) {
			t.Error("the echo stays off")
		}
	}
	// The end of the input is no answer.
	c := NewConsole(tty, &label{t: t, keys: keys, tty: tty, typed: "\x04"})
	if got, err := c.Prompt(t.Context(), "Password: ", false); !errors.Is(err, ErrAnswer) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPromptThatIsInterrupted(t *testing.T) {
	keys, tty := openPTY(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c := NewConsole(tty, io.Discard)
	if _, err := c.Prompt(ctx, "Password: ", false); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if !echoes(t, tty) {
		t.Error("the echo stays off")
	}
	_, _ = io.WriteString(keys, "\r") // lets the reader go
	// A process that ends in the middle of a question.
	if err := c.prepare(false); err != nil || echoes(t, tty) {
		t.Fatalf("echo is on, %v", err)
	}
	c.Restore()
	if !echoes(t, tty) {
		t.Error("the echo stays off")
	}
}
