package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/identity"
)

func newTrust(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "trust HANDLE [NUMBER]",
		Short: "After an alarm: take a new key as theirs",
		Long: `Shows the safety number under the key that raised an alarm. Compare it with what
the person sees, in person or by voice, and give it: that key and no other is then
taken for theirs, and what was held back goes on. An alarm for which no number is
shown ends by itself when their device list is in order again.`,
		Example:     "  reseal contacts trust ben\n  reseal contacts trust ben 01234 56789 ...",
		Args:        cobra.MinimumNArgs(1),
		Annotations: map[string]string{repeatKey: "unseen"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, _ *owner, a *reseal.Account) error {
				return c.trust(ctx, a, args[0], strings.Join(args[1:], " "))
			})
		},
		ValidArgsFunction: c.complete("handles", cobra.ShellCompDirectiveNoFileComp),
	}
}

func (c *cli) trust(ctx context.Context, a *reseal.Account, handle, number string) error {
	k, err := a.Contact(ctx, handle)
	if err != nil {
		return err
	}
	if number, err = c.theirNumber(ctx, k, number, c.showOffered, len(k.Offered) > 0); err != nil || number == "" {
		return err
	}
	for _, o := range k.Offered {
		same, err := identity.SameSafetyNumber(number, o.SafetyNumber)
		if err != nil {
			return usagef("60 digits, in groups or not", "not a safety number: %s", plain(err))
		}
		if !same {
			continue
		}
		if err := a.Trust(ctx, handle, o.Key); err != nil {
			return err
		}
		return c.changed(ctx, a, handle, "trusts the key of")
	}
	if k.Alarm != "" && len(k.Offered) == 0 {
		return reseal.ErrAlarm
	}
	return errNumber
}

// showOffered shows what there is to agree to.
func (c *cli) showOffered(k reseal.Contact) error {
	st := c.style()
	switch {
	case k.Alarm == "":
		return c.printf("no alarm about %s\n", st.Bold(name(k.Handle)))
	case len(k.Offered) == 0:
		return c.printf("%s: no key to agree to: the alarm ends with a later device list\n", st.Bold(name(k.Handle)))
	}
	for _, o := range k.Offered {
		if err := c.printf("safety number with %s under a key that raised the alarm:\n", st.Bold(name(k.Handle))); err != nil {
			return err
		}
		if err := c.printNumber(o.SafetyNumber); err != nil {
			return err
		}
	}
	return nil
}

// printNumber prints a safety number in lines of four groups.
func (c *cli) printNumber(number string) error {
	st, groups := c.style(), strings.Fields(number)
	for i := 0; i < len(groups); i += 4 {
		if err := c.printf("  %s\n", st.Bold(strings.Join(groups[i:min(i+4, len(groups))], " "))); err != nil {
			return err
		}
	}
	return nil
}
