package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
)

func newCloseAccount(c *cli) *cobra.Command {
	var stdin bool
	cmd := &cobra.Command{
		Use:   "close-account",
		Short: "Delete the account at the server, and what is here of it",
		Long: `Deletes everything that the server has of the account within a minute, and what this
installation has of it. It asks for the password. There is no way back.

Messages that it sent stay with those whom they were sent to. The handle is given
to nobody for 30 days; contacts see that the account is closed. What other
devices of the account have stays sealed there, and nothing opens it any more.`,
		Example: "  reseal close-account\n  reseal close-account --as ana --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, o *owner, a *reseal.Account) error {
				return c.closeAccount(ctx, o, a, stdin)
			})
		},
	}
	passwordFlag(cmd.Flags(), &stdin)
	return cmd
}

func (c *cli) closeAccount(ctx context.Context, o *owner, a *reseal.Account, stdin bool) error {
	pass, _, err := c.password(ctx, "Password for "+a.Handle()+", to delete the account", stdin, false)
	if err != nil {
		return err
	}
	defer clear(pass)
	o.sessions.Lock()
	err = a.CloseAccount(ctx, pass)
	o.sessions.Unlock()
	if err != nil {
		return err
	}
	if c.json {
		return c.object(struct {
			Account string `json:"account"`
		}{a.Handle()})
	}
	return c.printf("closed %s\n", a.Handle())
}
