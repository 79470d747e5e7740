package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/handle"
)

func newRecover(c *cli) *cobra.Command {
	var stdin bool
	cmd := &cobra.Command{
		Use:   "recover HANDLE",
		Short: "Log in with the recovery code, and set a new password",
		Long: `Takes the recovery code from sign-up in place of a password that is lost, sets a new
password, and logs in. The account stays the same: devices, messages, contacts
and safety numbers. Other logins end.

Another recovery code takes the place of the one that was used. It is shown once:
write it down.

The code is asked for, or taken from RESEAL_RECOVERY_CODE; the new password, too,
or from RESEAL_NEW_PASSWORD.`,
		Example: "  reseal recover ana",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.use(cmd.Context(), func(ctx context.Context, o *owner) error { return c.recover(ctx, o, args[0], stdin) })
		},
	}
	passwordsFlag(cmd.Flags(), &stdin, false)
	return cmd
}

func (c *cli) recover(ctx context.Context, o *owner, who string, stdin bool) error {
	if c.server != o.server {
		return errOwnerServer
	}
	h, err := handle.Parse(who)
	if err != nil {
		return fmt.Errorf("%w: %w", reseal.ErrHandle, err)
	}
	code, err := c.recoveryCode(ctx, h)
	if err != nil {
		return err
	}
	next, err := c.newPassword(ctx, h, stdin)
	if err != nil {
		return err
	}
	var a *reseal.Account
	var fresh reseal.RecoveryCode
	var how reseal.Login
	err = o.comeIn(ctx, string(h), func() (err error) {
		a, fresh, how, err = o.in.Recover(ctx, string(h), code, next)
		return err
	})
	clear(next)
	rest := map[string]any{}
	if err == nil {
		rest["account_id"], rest["device"], rest["new_device"], rest["rotated"] = a.ID().String(), a.Device().String(), how.NewDevice, how.Rotated
	}
	// What follows needs no server: the code must be seen whatever happens.
	if err := c.changedCode(string(h), fresh, err, rest, "recovered "+c.style().Bold(string(h))+": the password is changed, and this is logged in"); err != nil {
		return err
	}
	if how.Rotated {
		c.notef("hint: the account's keys had been destroyed at the server, so it has new ones: contacts follow, but the contact book begins anew, and other devices have to log in again")
	} else {
		c.notef(`hint: somebody who knew the old password and logged in with it is not evicted: "reseal devices" shows who is there, "reseal rotate" shuts them out`)
	}
	_ = c.online(ctx, a)
	settle(ctx, a)
	return nil
}
