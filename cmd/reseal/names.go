package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
)

// completeTimeout is how long a shell waits for its completions.
const completeTimeout = 3 * time.Second

// newNames is what completions are made of: the names of a kind, one a line. It
// is a command so that it runs wherever the installation is.
func newNames(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "__names KIND", Hidden: true, Args: cobra.ExactArgs(1), Annotations: map[string]string{repeatKey: "unseen"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.use(cmd.Context(), func(ctx context.Context, o *owner) error {
				a, err := c.account(ctx, o)
				if err != nil {
					return err
				}
				_ = c.online(ctx, a) // what is known here is better than nothing
				return c.names(ctx, a, args[0])
			})
		},
	}
}

func (c *cli) names(ctx context.Context, a *reseal.Account, kind string) error {
	line := func(name, what string) error { return c.printf("%s\t%s\n", name, what) }
	switch kind {
	case "handles":
		all, err := a.Contacts()
		for _, k := range all {
			if err == nil && k.Handle != "" {
				err = line(k.Handle, k.State)
			}
		}
		return err
	case "devices":
		all, err := a.Devices(ctx)
		for _, d := range all {
			if !d.This {
				err = line(d.ID.String()[:8], "added "+utc(d.Added))
			}
		}
		return err
	case "sessions":
		all, err := a.Devices(ctx)
		for _, d := range all {
			for _, s := range d.Sessions {
				if err == nil && !s.This {
					err = line(hex.EncodeToString(s.ID[:4]), "of device "+d.ID.String()[:8])
				}
			}
		}
		return err
	}
	all, err := a.Inbox(ctx, reseal.InboxOptions{Sent: kind == "sent"})
	for _, m := range all {
		if err == nil && isOpen(m.State) {
			err = line(short(m.ID), name(m.Handle)+" "+what(m))
		}
	}
	return err
}

// complete gives a shell the names of a kind.
func (c *cli) complete(kind string, rest cobra.ShellCompDirective) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if kind != "handles" && len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		if err := c.prepare(cmd, args); err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		ctx, cancel := context.WithTimeout(context.Background(), completeTimeout)
		defer cancel()
		var out, errs bytes.Buffer
		e := *c.env
		e.stdin, e.stdout, e.stderr, e.prompt = strings.NewReader(""), &out, &errs, nil
		argv := []string{"--home", c.home, "--server", c.server}
		if c.as != "" {
			argv = append(argv, "--as", c.as)
		}
		if run(ctx, &e, append(argv, "__names", kind)) != exitDone {
			return nil, rest
		}
		var found []cobra.Completion
		for l := range strings.Lines(out.String()) {
			if strings.HasPrefix(l, begun) {
				found = append(found, strings.TrimRight(l, "\n"))
			}
		}
		return found, rest
	}
}
