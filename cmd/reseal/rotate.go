package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/terminal"
)

// rotation is what the flags of rotate say.
type rotation struct {
	keep []string
	// chosen: --keep was given, so nobody is asked about devices.
	chosen, stdin bool
}

func newRotate(c *cli) *cobra.Command {
	var r rotation
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Shut out somebody who knows the password: new keys, password and code",
		Long: `For when somebody knows the password. The account gets the key that only the
recovery code gives, a new password, and a new recovery code, which is shown once.
This device stays, and of the others those that you confirm, one by one or by
--keep; all others leave the account, and nobody sends them anything any more.
All other logins end.

Contacts follow without a warning, and who verified you still has you verified.

The code is asked for, or taken from RESEAL_RECOVERY_CODE; the new password, too,
or from RESEAL_NEW_PASSWORD. Without a terminal, only what --keep names stays.`,
		Example: "  reseal rotate\n  reseal rotate --keep 5b0c --keep 91aa",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r.chosen = cmd.Flags().Changed("keep")
			return c.with(cmd.Context(), func(ctx context.Context, _ *owner, a *reseal.Account) error { return c.rotate(ctx, a, r) })
		},
	}
	cmd.Flags().StringArrayVar(&r.keep, "keep", nil, "`ID` of another device that stays; can be given several times")
	_ = cmd.RegisterFlagCompletionFunc("keep", c.complete("devices", cobra.ShellCompDirectiveNoFileComp))
	passwordsFlag(cmd.Flags(), &r.stdin, false)
	return cmd
}

func (c *cli) rotate(ctx context.Context, a *reseal.Account, r rotation) error {
	keep, err := c.keptDevices(ctx, a, r)
	if err != nil {
		return err
	}
	h := handle.Handle(a.Handle())
	code, err := c.recoveryCode(ctx, h)
	if err != nil {
		return err
	}
	next, err := c.newPassword(ctx, h, r.stdin)
	if err != nil {
		return err
	}
	defer clear(next)
	fresh, err := a.Rotate(ctx, next, code, keep)
	ids := deviceIDs(keep)
	if ids == nil {
		ids = []string{}
	}
	done := fmt.Sprintf("rotated %s: new keys and password; %d other devices stay, and have to log in again", c.style().Bold(a.Handle()), len(keep))
	return c.changedCode(a.Handle(), fresh, err, map[string]any{"kept": ids}, done)
}

// keptDevices are the other devices that stay: those named, or those that the
// user says yes to.
func (c *cli) keptDevices(ctx context.Context, a *reseal.Account, r rotation) (keep []identity.DeviceID, err error) {
	for _, prefix := range r.keep {
		d, err := findDevice(ctx, a, prefix)
		if err != nil {
			return nil, err
		}
		if !d.This {
			keep = append(keep, d.ID)
		}
	}
	if r.chosen || c.prompt == nil {
		return keep, nil
	}
	all, err := a.Devices(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for _, d := range all {
		if d.This {
			continue
		}
		yes, err := c.agree(ctx, fmt.Sprintf("Keep device %s (%s, by %s, added %s, last seen %s)?", d.ID.String()[:8], d.Class, d.How, terminal.When(d.Added, now), lastSeen(d.LastSeen, now)))
		if err != nil {
			return nil, err
		}
		if yes {
			keep = append(keep, d.ID)
		}
	}
	return keep, nil
}
