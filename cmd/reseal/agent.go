package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
)

// agentPause is between two looks whether the home is free, and whether there
// are accounts to be opened.
const agentPause = 200 * time.Millisecond

func newAgent(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "agent",
		Short: "Own this home, as a service",
		Long: `Owns the home until it is told to end (SIGTERM, or Ctrl-C): keeps all accounts that
are logged in connected, answers devices that ask for keys, and runs what other
"reseal" commands at this home hand over, so that each of them starts at once.
It prints a line when it owns the home. If another process does, it waits.

A command whose agent is killed takes the home over by itself.

docs/agent.md has unit files for systemd and launchd.`,
		Example: "  reseal agent",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.agent(cmd.Context()) },
	}
}

type agentItem struct {
	Event string `json:"event"`
	Home  string `json:"home"`
}

func (c *cli) agent(ctx context.Context) error {
	if c.owner != nil {
		return usagef("start it by itself", "an agent owns its home, and is no command for another process")
	}
	o, err := c.await(ctx)
	if o == nil {
		return err
	}
	err = o.run(ctx, c, func(ctx context.Context, o *owner) error {
		if err := c.agentLine("ready", "owning "+o.in.Dir()); err != nil {
			return err
		}
		notifyService("READY=1\nSTATUS=owning the home")
		o.keepOpen(ctx)
		notifyService("STOPPING=1")
		return nil
	})
	return errors.Join(err, c.agentLine("stopped", "ended"))
}

func (c *cli) agentLine(event, text string) error {
	if c.json {
		return c.object(agentItem{event, c.home})
	}
	return c.printf("%s\n", text)
}

// await makes this process the owner, and waits while another one is. Both are
// nil when ctx ended.
func (c *cli) await(ctx context.Context) (*owner, error) {
	for told := false; ; {
		o, err := c.openOwner()
		if !errors.Is(err, reseal.ErrBusy) {
			return o, err
		}
		if !told {
			told = true
			if err := c.agentLine("waiting", "another process owns the home; waiting for its end"); err != nil {
				return nil, err
			}
			// Commands are served by that process: what depends on us may start.
			notifyService("READY=1\nSTATUS=another process owns the home")
		}
		select {
		case <-time.After(agentPause):
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// keepOpen opens whatever is logged in, and tries again what could not be
// opened, until ctx ends.
func (o *owner) keepOpen(ctx context.Context) {
	for pause := agentPause; ctx.Err() == nil; {
		began := time.Now()
		if err := o.resume(ctx); err != nil {
			pause = min(max(2*pause, 10*time.Since(began)), time.Minute)
		} else {
			pause = watchPause
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}
