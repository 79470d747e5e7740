package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/internal/terminal"
)

func newReset(c *cli) *cobra.Command {
	var stdin, cancel bool
	var code string
	cmd := &cobra.Command{
		Use:   "reset HANDLE",
		Short: "Begin the account anew, when password and recovery code are both gone",
		Long: `The last way back when both the password and the recovery code are gone. With a
device that is still logged in, it takes two runs on it:

The first asks for the reset. It is announced on all devices of the account, each
of which can cancel it (--cancel) for 24 hours; a changed password, a recovery and
a rotation cancel it, too.

The second, after 24 hours and within a week of that, makes it happen: the account
gets another key, a new password, and a new recovery code, which is shown once.
This device stays with what it has. All others leave the account, and what is
sealed on them is lost. Contacts are warned, and nothing goes between you and them
until they agree ("reseal contacts trust"); whoever verified you has to do so again.

Without any device, the operator of the server can ask for it, who has to know that
it is you, and hands you a code: 24 hours later --code CODE makes it happen, on
whatever installation it is run. Of what the account had, its handle is left.

The new password is asked for, or taken from RESEAL_NEW_PASSWORD.`,
		Example: "  reseal reset ana\n  reseal reset ana --cancel\n  reseal reset ana --code ABCD-EFGH-JKMN-PQRS-TVWX",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if code != "" {
				if cancel {
					return usagef("a device of the account cancels it, or the operator", "--cancel takes no --code")
				}
				return c.use(cmd.Context(), func(ctx context.Context, o *owner) error { return c.resetByCode(ctx, o, args[0], code, stdin) })
			}
			c.as = args[0]
			return c.with(cmd.Context(), func(ctx context.Context, _ *owner, a *reseal.Account) error {
				if cancel {
					return c.cancelReset(ctx, a)
				}
				return c.reset(ctx, a, stdin)
			})
		},
	}
	cmd.Flags().BoolVar(&cancel, "cancel", false, "end the reset that is announced")
	cmd.Flags().StringVar(&code, "code", "", "`CODE` that the server's operator handed out")
	passwordsFlag(cmd.Flags(), &stdin, false)
	return cmd
}

type resetItem struct {
	Account string `json:"account"`
	State   string `json:"state"`
	Due     string `json:"due,omitempty"`
	Device  string `json:"device,omitempty"`
}

func (c *cli) reset(ctx context.Context, a *reseal.Account, stdin bool) error {
	r, announced, err := a.PendingReset(ctx)
	switch {
	case err != nil:
		return err
	case !announced:
		return c.askReset(ctx, a)
	case !r.This:
		return usagef(`run it there, or "reseal reset `+a.Handle()+` --cancel" first`, "%s has asked for the reset already", whoAsked(r))
	}
	// By this machine's clock, so as not to ask for a password in vain; the
	// server's decides.
	if r.In > time.Minute {
		return &reseal.NotDueError{After: r.In}
	}
	next, err := c.newPassword(ctx, handle.Handle(a.Handle()), stdin)
	if err != nil {
		return err
	}
	defer clear(next)
	fresh, err := a.Reset(ctx, next)
	done := fmt.Sprintf("%s has begun anew, on this device alone; contacts are warned until they agree", c.style().Bold(a.Handle()))
	return c.changedCode(a.Handle(), fresh, err, map[string]any{"state": "reset"}, done)
}

func (c *cli) askReset(ctx context.Context, a *reseal.Account) error {
	r, err := a.AskReset(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.object(resetItem{a.Handle(), "asked", utc(r.Due), r.Device.String()})
	}
	if err := c.printf("asked for a reset of %s: run this again %s, on this device\n", a.Handle(), terminal.When(time.Now().Add(r.In), time.Now())); err != nil {
		return err
	}
	c.notef("hint: all devices of the account are told, and each can cancel it; stay logged in here until then")
	return nil
}

func (c *cli) cancelReset(ctx context.Context, a *reseal.Account) error {
	if err := a.CancelReset(ctx); err != nil {
		return err
	}
	if c.json {
		return c.object(resetItem{Account: a.Handle(), State: "cancelled"})
	}
	return c.printf("no reset of %s is announced any more\n", a.Handle())
}

// whoAsked names who asked for a reset.
func whoAsked(r reseal.PendingReset) string {
	if r.Device.IsZero() {
		return "the server's operator"
	}
	return "device " + r.Device.String()[:8]
}

func (c *cli) resetByCode(ctx context.Context, o *owner, who, code string, stdin bool) error {
	if c.server != o.server {
		return errOwnerServer
	}
	h, err := handle.Parse(who)
	if err != nil {
		return fmt.Errorf("%w: %w", reseal.ErrHandle, err)
	}
	next, err := c.newPassword(ctx, h, stdin)
	if err != nil {
		return err
	}
	defer clear(next)
	var a *reseal.Account
	var fresh reseal.RecoveryCode
	err = o.comeIn(ctx, string(h), func() (err error) {
		a, fresh, err = o.in.ResetByCode(ctx, string(h), code, next)
		return err
	})
	rest := map[string]any{"state": "reset"}
	if err == nil {
		rest["account_id"], rest["device"] = a.ID().String(), a.Device().String()
	}
	done := fmt.Sprintf("%s has begun anew and is logged in here; contacts are warned until they agree", c.style().Bold(string(h)))
	if err := c.changedCode(string(h), fresh, err, rest, done); err != nil {
		return err
	}
	_ = c.online(ctx, a)
	settle(ctx, a)
	return nil
}
