package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/message"
)

func newUnsend(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "unsend ID",
		Short: "Delete a message everywhere, unless it was viewed",
		Long: `Deletes a message of yours everywhere. What somebody has viewed, they have seen;
what nobody has viewed, nobody can open any more.`,
		Example:     "  reseal inbox --sent\n  reseal unsend 3f2a9c1d",
		Args:        cobra.ExactArgs(1),
		Annotations: map[string]string{repeatKey: "unseen"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, _ *owner, a *reseal.Account) error { return c.unsend(ctx, a, args[0]) })
		},
		ValidArgsFunction: c.complete("sent", cobra.ShellCompDirectiveNoFileComp),
	}
}

func (c *cli) unsend(ctx context.Context, a *reseal.Account, prefix string) error {
	m, err := find(ctx, a, prefix)
	if err != nil {
		return err
	}
	switch {
	case !m.Outgoing:
		return reseal.ErrUnknownMessage
	case m.State == client.IsViewed:
		return &reseal.EndedError{State: message.StateViewed}
	case m.State == client.Expired:
		return &reseal.EndedError{State: message.StateExpired}
	}
	if err := a.Unsend(ctx, m.ID); err != nil {
		return err
	}
	settle(ctx, a)
	// The view may have come first; the server's word decides.
	if m, err = find(ctx, a, m.ID.String()); err != nil {
		return err
	}
	if m.State == client.IsViewed {
		return &reseal.EndedError{State: message.StateViewed}
	}
	if a.Unsecured() > 0 {
		c.notef("hint: the server has not confirmed it yet; it will be told as soon as it answers")
	}
	if c.json {
		return c.object(struct {
			ID string `json:"id"`
			To string `json:"to"`
		}{m.ID.String(), m.Handle})
	}
	return c.printf("unsent %s to %s\n", short(m.ID), name(m.Handle))
}
