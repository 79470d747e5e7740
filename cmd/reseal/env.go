package main

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/reseal/reseal/client/handover"
	"github.com/reseal/reseal/internal/terminal"
)

// Exit codes; there are no others.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// env is all that a command has of the world: of this process, or of the one
// that it was typed in.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	// prompt asks the user; nil where nobody is there to be asked.
	prompt func(ctx context.Context, label string, echo bool) ([]byte, error)
	term   handover.Terminal
	// clock is the installation's, where it is not the system's.
	clock func() time.Time
	// dir is the folder that relative names belong to.
	dir    string
	getenv func(string) string
	// vars are the variables that another process would need.
	vars []string
	// owner is the installation, where this process has it already.
	owner *owner
	// linger makes a command that goes on for ever one that the owner does not
	// stay for; the channel is closed when it has to go back.
	linger  func() <-chan struct{}
	console *terminal.Console
}

// noColor is how NO_COLOR crosses to another process.
const noColor = "RESEAL_NO_COLOR"

// guest is the env of a command that was typed in another process.
func guest(c handover.Command, s handover.Stdio, o *owner) *env {
	vars := map[string]string{}
	for _, v := range c.Env {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
	}
	e := &env{
		stdin: s.Stdin, stdout: s.Stdout, stderr: s.Stderr, term: c.Terminal, dir: c.Dir, vars: c.Env, owner: o,
		getenv: func(name string) string { return vars[name] },
	}
	if c.Terminal.Stdin {
		e.prompt = func(_ context.Context, label string, echo bool) ([]byte, error) { return s.Prompt(label, echo) }
	}
	return e
}

// style is off where colours would not be seen as such, or are not wanted.
func (e *env) style() terminal.Style {
	off := e.getenv("NO_COLOR") != "" || e.getenv("TERM") == "dumb" || e.getenv(noColor) != ""
	for _, v := range e.vars {
		off = off || v == noColor+"=1"
	}
	return terminal.Style(e.term.Stdout && !off)
}

// path is where a name that the user wrote leads.
func (e *env) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(e.dir, name)
}
