package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client/handover"
)

// owner is the installation, as the one process that owns it shares it between
// its own command and those of other processes. It stays until its own command
// and the others have ended. Commands that go on for ever (watch) are sent back
// then, and one of them becomes the next owner.
type owner struct {
	in     *reseal.Installation
	server string
	plain  bool // http to other machines is allowed
	// ring is what the keyring is called; empty for none.
	ring string

	// sessions is held while accounts come and go, so that none is opened
	// twice.
	sessions sync.Mutex

	mu sync.Mutex
	// busy commands are waited for, lingering ones sent back.
	busy, lingering int
	over            bool
	changed         *sync.Cond
	// yield is closed when lingering commands have to go back.
	yield chan struct{}
}

// handedBack is the exit code that tells another process to run its command
// itself. No command has it.
const handedBack = -1

// takeover is how long a process tries to become or find the owner: as long as
// one may take to close.
const takeover = 20 * time.Second

// use runs f with the installation: here, if this process owns it or can own it,
// or else the whole command in the process that does.
func (c *cli) use(ctx context.Context, f func(context.Context, *owner) error) error {
	if c.owner != nil {
		return f(ctx, c.owner)
	}
	since := time.Now()
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		began := time.Now()
		code, err := c.handOver(ctx)
		gone, isGone := errors.AsType[*handover.GoneError](err)
		switch {
		case err == nil && code != handedBack:
			return exitCode(code)
		case err == nil:
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case isGone && !c.mayRepeat(gone):
			return errOwnerGone
		case isGone:
		case errors.Is(err, handover.ErrNoOwner):
			o, err := c.openOwner()
			if err == nil {
				return o.run(ctx, c, f)
			}
			if !errors.Is(err, reseal.ErrBusy) || time.Since(since) > takeover {
				return err
			}
		default:
			return err
		}
		if time.Since(began) > time.Second {
			since, pause = time.Now(), 2*time.Millisecond // there was an owner meanwhile
		}
		if time.Since(since) > takeover {
			return reseal.ErrBusy
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// handOver has the owner run this command, if there is one.
func (c *cli) handOver(ctx context.Context) (int, error) {
	cmd := handover.Command{Args: c.args, Dir: c.dir, Terminal: c.term}
	for _, v := range c.vars {
		if strings.HasPrefix(v, "RESEAL_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	if c.repeat == keyed {
		cmd.Env = append(cmd.Env, c.attempt.vars()...)
	}
	s := handover.Stdio{Stdin: c.stdin, Stdout: c.stdout, Stderr: c.stderr}
	if c.prompt != nil {
		s.Prompt = func(label string, echo bool) ([]byte, error) { return c.prompt(ctx, label, echo) }
	}
	code, err := handover.Run(ctx, c.home, cmd, s)
	if err == nil || errors.Is(err, handover.ErrOwnerGone) {
		c.again = true
	}
	return code, err
}

func (c *cli) openOwner() (*owner, error) {
	plain := c.plain >= 2
	in, err := reseal.Open(c.home, reseal.Options{Server: c.server, PlainHTTP: plain, Now: c.clock, Keyring: c.ring})
	if err != nil {
		return nil, err
	}
	o := &owner{in: in, server: c.server, plain: plain, ring: c.ringName, yield: make(chan struct{})}
	o.changed = sync.NewCond(&o.mu)
	return o, nil
}

// serves tells whether the owner's new accounts are at the server that a command
// means, on terms that it takes.
func (o *owner) serves(c *cli) bool { return c.server == o.server && (c.plain >= 2 || !o.plain) }

// run runs f as the owner's own command, and those of others beside it, until
// all have ended.
func (o *owner) run(ctx context.Context, c *cli, f func(context.Context, *owner) error) error {
	l, err := handover.Listen(o.in.Dir(), o.handle)
	if err != nil {
		// A file system without sockets: this command can do its work all the
		// same.
		c.notef("hint: other commands at this home cannot run meanwhile: %s", plain(err))
	}
	o.enter()
	err = f(ctx, o)
	o.leave(&o.busy)
	o.finish(c)
	if l != nil {
		err = errors.Join(err, l.Close())
	}
	return errors.Join(err, o.in.Close())
}

// finish waits for the commands of others.
func (o *owner) finish(c *cli) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy > 0 && c.term.Stderr {
		c.notef("reseal: staying for %d commands of other terminals", o.busy)
	}
	for o.busy > 0 {
		o.changed.Wait()
	}
	o.over = true
	close(o.yield)
	for o.lingering > 0 {
		o.changed.Wait()
	}
}

// enter counts a command in, unless it has come too late.
func (o *owner) enter() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return false
	}
	o.busy++
	return true
}

func (o *owner) leave(count *int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	*count--
	o.changed.Broadcast()
}

// handle runs a command that was typed in another process.
func (o *owner) handle(ctx context.Context, cmd handover.Command, s handover.Stdio) int {
	if !o.enter() {
		return handedBack
	}
	count := &o.busy
	defer func() { o.leave(count) }()
	e := guest(cmd, s, o)
	e.linger = func() <-chan struct{} {
		o.mu.Lock()
		defer o.mu.Unlock()
		if count == &o.busy {
			o.busy--
			o.lingering++
			count = &o.lingering
			o.changed.Broadcast()
		}
		return o.yield
	}
	return run(ctx, e, cmd.Args)
}
