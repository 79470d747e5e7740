package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/handle"
)

func newPasswd(c *cli) *cobra.Command {
	var stdin bool
	cmd := &cobra.Command{
		Use:   "passwd",
		Short: "Give the account another password",
		Long: `Gives the account another password. Other logins end and need the new one; devices,
messages and contacts stay as they are, and so does this login.

It does not evict somebody who knew the old password and logged in with it: that
device stays in the account ("reseal devices"), and the account's keys were in
their hands. "reseal rotate" shuts them out.

The new password is asked for, or taken from RESEAL_NEW_PASSWORD.`,
		Example: "  reseal passwd\n  reseal passwd --as ana",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, _ *owner, a *reseal.Account) error { return c.passwd(ctx, a, stdin) })
		},
	}
	passwordsFlag(cmd.Flags(), &stdin, true)
	return cmd
}

func (c *cli) passwd(ctx context.Context, a *reseal.Account, stdin bool) error {
	// Before the change: a rotation needs another password than the present
	// one, so that afterwards it would cost a third.
	typed := !stdin && !c.json && c.getenv("RESEAL_NEW_PASSWORD") == ""
	if typed {
		known, err := c.agree(ctx, "Does somebody else know the present password? Then its keys are changed, too.")
		if err != nil {
			return err
		}
		if known {
			return c.rotate(ctx, a, rotation{})
		}
	}
	old, _, err := c.password(ctx, "Present password for "+a.Handle(), stdin, false)
	if err != nil {
		return err
	}
	defer clear(old)
	next, err := c.newPassword(ctx, handle.Handle(a.Handle()), stdin)
	if err != nil {
		return err
	}
	defer clear(next)
	if err := a.ChangePassword(ctx, old, next); err != nil {
		return err
	}
	c.notef(`hint: somebody who knew the old password and logged in with it is not evicted: "reseal devices" shows who is there, "reseal rotate" shuts them out`)
	if c.json {
		return c.object(struct {
			Account string `json:"account"`
		}{a.Handle()})
	}
	return c.printf("the password of %s is changed; other logins have ended\n", a.Handle())
}
