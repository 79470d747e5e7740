// Package process runs a server as a child process, on a core of its own where
// that is asked for, and reads what a process has used: processor time and memory.
//
// Both come from the kernel, so the server that is measured does nothing for it.
// They are had on Linux; elsewhere the functions return [ErrUnsupported], and
// nothing is pinned.
package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// ErrUnsupported is returned where the system does not tell.
var ErrUnsupported = errors.New("process: not known on this system")

// Times that a server gets.
const (
	startPatience = 30 * time.Second
	stopPatience  = 30 * time.Second
)

// NoCore leaves a server on whatever core the system chooses.
const NoCore = -1

// Server is a running server.
type Server struct {
	// URL is where clients find it.
	URL string
	// Metrics is the host and port of its metrics, where it said one.
	Metrics string

	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of the exit, once exited is closed
}

// Start starts a server that prints, as `reseal serve --json` does, an object
// with its url as its first line, and waits for it. core is the one that it may
// run on, or [NoCore]. What it writes to its standard error goes to the file log.
func Start(ctx context.Context, cmd *exec.Cmd, core int, log string) (*Server, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := &Server{cmd: cmd, exited: make(chan struct{})}
	cmd.Stderr = f
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startOn(core, cmd); err != nil {
		return nil, fmt.Errorf("the server does not start: %w", err)
	}
	hello := make(chan greeting, 1)
	go s.read(out, hello)
	select {
	case h := <-hello:
		s.URL, s.Metrics = h.URL, h.Metrics
		return s, nil
	case <-s.exited:
		b, _ := os.ReadFile(log)
		return nil, fmt.Errorf("the server ended at once (%v): %s", s.err, strings.TrimSpace(string(b)))
	case <-ctx.Done():
		s.Kill()
		return nil, context.Cause(ctx)
	case <-time.After(startPatience):
		s.Kill()
		return nil, errors.New("the server does not take connections")
	}
}

// greeting is the line that says that clients can come.
type greeting struct {
	URL     string `json:"url"`
	Metrics string `json:"metrics"`
}

// read reads the server's standard output to its end, and then its exit.
func (s *Server) read(out io.Reader, hello chan<- greeting) {
	lines := bufio.NewScanner(out)
	if lines.Scan() {
		var h greeting
		if json.Unmarshal(lines.Bytes(), &h) == nil && h.URL != "" {
			hello <- h
		}
	}
	_, _ = io.Copy(io.Discard, out)
	s.err = s.cmd.Wait()
	close(s.exited)
}

// PID is the process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Stop asks the server to end in good order, and kills it where it does not. It
// returns how the server ended; of one that has ended before, how that did.
func (s *Server) Stop() error {
	select {
	case <-s.exited:
		return s.err
	default:
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.Kill()
		return nil // there are no such signals here
	}
	select {
	case <-s.exited:
		return s.err
	case <-time.After(stopPatience):
		s.Kill()
		return errors.New("the server did not drain in time")
	}
}

// Kill ends the server as a loss of power would, and returns when it has ended.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
}
