package main

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/reseal/reseal/client/handover"
	"github.com/reseal/reseal/internal/terminal"
)

func main() { os.Exit(start()) }

// start runs the command of this process. The first interrupt ends it in good
// order, the second at once.
func start() int { return startWith(here()) }

func startWith(e *env) int {
	harden()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	defer e.console.Restore()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel(errInterrupted)
		<-signals
		e.console.Restore()
		os.Exit(exitFailed)
	}()
	return run(ctx, e, os.Args[1:])
}

// here is the surroundings of a command that was typed in this process.
func here() *env {
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	e := &env{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, dir: dir, getenv: os.Getenv, term: handover.Terminal{
		Stdin:  term.IsTerminal(int(os.Stdin.Fd())),
		Stdout: term.IsTerminal(int(os.Stdout.Fd())),
		Stderr: term.IsTerminal(int(os.Stderr.Fd())),
	}}
	if w, h, err := term.GetSize(int(os.Stderr.Fd())); err == nil && w > 0 && w < 1<<16 && h > 0 && h < 1<<16 {
		e.term.Size = handover.Size{Columns: uint16(w), Rows: uint16(h)}
	}
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "RESEAL_") {
			e.vars = append(e.vars, v)
		}
	}
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		e.vars = append(e.vars, noColor+"=1")
	}
	if e.term.Stdin {
		e.console = terminal.NewConsole(os.Stdin, os.Stderr)
		e.prompt = e.console.Prompt
	}
	return e
}
