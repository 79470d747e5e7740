package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
)

func newLogout(c *cli) *cobra.Command {
	var stdin, forget bool
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Log out, and seal what is here",
		Long: `Answers what others ask of this device (5 seconds at most), seals everything of
the account so that only its password opens it, and wipes the keys from memory.
It works without a server. What is sent meanwhile opens at the next login here.

--forget also removes this device from the account and destroys what is sealed
here; it asks for the password. Nobody can find out at the server any more which
accounts were used here; those that still are count as a stranger's there until
their next login.`,
		Example:     "  reseal logout\n  reseal logout --as ana\n  reseal logout --forget",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{repeatKey: "unseen"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.use(cmd.Context(), func(ctx context.Context, o *owner) error { return c.logout(ctx, o, forget, stdin) })
		},
	}
	cmd.Flags().BoolVar(&forget, "forget", false, "remove this device from the account, too")
	passwordFlag(cmd.Flags(), &stdin)
	return cmd
}

func (c *cli) logout(ctx context.Context, o *owner, forget, stdin bool) error {
	handle, err := c.choose(o)
	if err != nil {
		return err
	}
	a, err := c.account(ctx, o)
	switch {
	case errors.Is(err, reseal.ErrSessionEnded) && !forget:
		// Its record is gone by now, but not what was noted of it.
		if err := o.in.Forget(handle); err != nil && !errors.Is(err, reseal.ErrNotLoggedIn) {
			return err
		}
		return c.loggedOut(handle, 0)
	case err != nil && !forget:
		// It cannot be opened, so there is nothing to wipe or to answer.
		if err := o.in.Forget(handle); err != nil && !errors.Is(err, reseal.ErrNotLoggedIn) {
			return err
		}
		c.notef("hint: the account could not be opened (%s): its session at the server ends by itself", kindOf(err).code)
		return c.loggedOut(handle, 0)
	case err != nil:
		return err
	}
	options := reseal.LogOutOptions{Remove: forget}
	if forget {
		if options.Password, _, err = c.password(ctx, "Password for "+handle, stdin, false); err != nil {
			return err
		}
		defer clear(options.Password)
	}
	o.sessions.Lock()
	unsecured, err := a.LogOut(ctx, options)
	o.sessions.Unlock()
	if err != nil {
		return err
	}
	return c.loggedOut(handle, unsecured)
}

func (c *cli) loggedOut(handle string, unsecured int) error {
	if unsecured > 0 {
		c.notef("hint: the server does not have %d things yet; they wait here, sealed, for the next login", unsecured)
	}
	if c.json {
		return c.object(struct {
			Account   string `json:"account"`
			Unsecured int    `json:"unsecured"`
		}{handle, unsecured})
	}
	return c.printf("logged out %s\n", handle)
}
