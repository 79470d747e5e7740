package main

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/terminal"
)

func newContacts(c *cli) *cobra.Command {
	list := func(cmd *cobra.Command, _ []string) error {
		return c.withStale(cmd.Context(), func(ctx context.Context, _ *owner, a *reseal.Account) error { return c.contacts(ctx, a) })
	}
	repeat := map[string]string{repeatKey: "unseen"}
	cmd := &cobra.Command{
		Use:   "contacts",
		Short: "People: requests, safety numbers, key changes, blocking",
		Long: `Lists the people that this account knows. A stranger has written and was not
accepted yet: accept, refuse or block them. An alarm says that somebody's keys changed in a way that the old
key does not vouch for.`,
		Example:     "  reseal contacts\n  reseal contacts accept ben\n  reseal contacts verify ben",
		Args:        cobra.NoArgs,
		Annotations: repeat,
		RunE:        list,
	}
	change := func(use, short, done string, f func(*reseal.Account, context.Context, string) error) *cobra.Command {
		return &cobra.Command{
			Use: use + " HANDLE", Short: short, Example: "  reseal contacts " + use + " ben", Args: cobra.ExactArgs(1), Annotations: repeat,
			RunE: func(cmd *cobra.Command, args []string) error {
				return c.with(cmd.Context(), func(ctx context.Context, _ *owner, a *reseal.Account) error {
					if err := f(a, ctx, args[0]); err != nil {
						return err
					}
					return c.changed(ctx, a, args[0], done)
				})
			},
			ValidArgsFunction: c.complete("handles", cobra.ShellCompDirectiveNoFileComp),
		}
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List the people that this account knows", Example: "  reseal contacts list --json", Args: cobra.NoArgs, Annotations: repeat, RunE: list,
		},
		change("accept", "Take a stranger as a contact", "accepted", (*reseal.Account).Accept),
		change("refuse", "Drop what a stranger has sent so far; nobody is told", "refused", (*reseal.Account).Refuse),
		change("block", "Stop everything with an account; it notices nothing", "blocked", (*reseal.Account).Block),
		change("unblock", "End a block", "unblocked", (*reseal.Account).Unblock),
		newTrust(c),
		newVerify(c),
	)
	return cmd
}

type contactItem struct {
	Handle       string `json:"handle"`
	AccountID    string `json:"account_id"`
	State        string `json:"state"`
	Verified     bool   `json:"verified"`
	Changed      bool   `json:"changed"`
	Renamed      bool   `json:"renamed"`
	Devices      int    `json:"devices"`
	Alarm        string `json:"alarm,omitempty"`
	SafetyNumber string `json:"safety_number,omitempty"`
	// Offered are the numbers that "contacts trust" takes.
	Offered []string `json:"offered_numbers,omitempty"`
}

func contactObject(k reseal.Contact) contactItem {
	item := contactItem{k.Handle, k.Account.String(), k.State, k.Verified, k.Changed, k.Renamed, k.Devices, k.Alarm, k.SafetyNumber, nil}
	for _, o := range k.Offered {
		item.Offered = append(item.Offered, o.SafetyNumber)
	}
	return item
}

func (c *cli) contacts(ctx context.Context, a *reseal.Account) error {
	if a.Connected() {
		if err := a.RefreshContacts(ctx); err != nil {
			return err
		}
	}
	all, err := a.Contacts()
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b reseal.Contact) int { return strings.Compare(a.Handle, b.Handle) })
	st := c.style()
	t := terminal.Table{Head: []string{"HANDLE", "STATE", "VERIFIED", ">DEVICES", ""}}
	for _, k := range all {
		if c.json {
			// One whose handle is not known has none to be asked by.
			if full, err := a.Contact(ctx, k.Handle); k.Handle != "" && err == nil && full.Account == k.Account {
				k = full
			}
			if err := c.object(contactObject(k)); err != nil {
				return err
			}
			continue
		}
		t.Add(st.Bold(name(k.Handle)), contactState(st, k.State), verified(st, k), strconv.Itoa(k.Devices), remarks(k))
	}
	if len(all) == 0 && !c.json {
		c.notef("nobody yet")
	}
	return t.Write(c.stdout, st)
}

func contactState(st terminal.Style, s string) string {
	switch s {
	case "alarm":
		return st.Red(s)
	case "stranger":
		return st.Yellow(s)
	}
	return s
}

func verified(st terminal.Style, k reseal.Contact) string {
	switch {
	case k.Verified:
		return st.Green("yes")
	case k.Changed:
		return st.Red("another key was")
	}
	return "no"
}

func remarks(k reseal.Contact) string {
	var all []string
	if k.Alarm != "" {
		all = append(all, terminal.Line(k.Alarm))
	}
	if k.Renamed {
		all = append(all, "another account had this handle before")
	}
	return strings.Join(all, "; ")
}

// changed tells how the contact stands after a change.
func (c *cli) changed(ctx context.Context, a *reseal.Account, handle, done string) error {
	settle(ctx, a)
	k, err := a.Contact(ctx, handle)
	if err != nil {
		return err
	}
	if c.json {
		return c.object(contactObject(k))
	}
	return c.printf("%s %s\n", done, name(k.Handle))
}

func newVerify(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "verify HANDLE [NUMBER]",
		Short: "Compare safety numbers",
		Long: `Shows the safety number that you and a contact share. Compare it with what they see,
in person or by voice, or give the number that they read to you: if it is the
same, the contact is marked as verified, and nobody is in between. A stranger whose
number is the same is accepted, too, unless you have blocked them.`,
		Example:     "  reseal contacts verify ben\n  reseal contacts verify ben 01234 56789 ...",
		Args:        cobra.MinimumNArgs(1),
		Annotations: map[string]string{repeatKey: "unseen"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, _ *owner, a *reseal.Account) error {
				return c.verify(ctx, a, args[0], strings.Join(args[1:], " "))
			})
		},
		ValidArgsFunction: c.complete("handles", cobra.ShellCompDirectiveNoFileComp),
	}
}

// theirNumber is the safety number that the other side sees: the one that was
// given, or what somebody types who was shown the one here. It is empty where
// there is none; then nothing is left to do.
func (c *cli) theirNumber(ctx context.Context, k reseal.Contact, given string, show func(reseal.Contact) error, ask bool) (string, error) {
	if given != "" {
		return given, nil
	}
	if c.json {
		return "", c.object(contactObject(k))
	}
	if err := show(k); err != nil || c.prompt == nil || !ask {
		return "", err
	}
	b, err := c.prompt(ctx, "The number that "+name(k.Handle)+" sees (empty: not now): ", true)
	return strings.TrimSpace(string(b)), err
}

func (c *cli) verify(ctx context.Context, a *reseal.Account, handle, number string) error {
	k, err := a.Contact(ctx, handle)
	if err != nil {
		return err
	}
	if k.Alarm != "" {
		return reseal.ErrAlarm // "contacts trust" shows what there is to compare
	}
	if number, err = c.theirNumber(ctx, k, number, c.showNumber, !k.Verified); err != nil || number == "" {
		return err
	}
	same, err := a.Verify(ctx, handle, number)
	if errors.Is(err, reseal.ErrKeyChanged) {
		return err
	}
	if err != nil {
		return usagef("60 digits, in groups or not", "not a safety number: %s", plain(err))
	}
	if !same {
		return errNumber
	}
	return c.changed(ctx, a, handle, "verified")
}

func (c *cli) showNumber(k reseal.Contact) error {
	st := c.style()
	if err := c.printf("safety number with %s: %s\n", st.Bold(name(k.Handle)), verifiedWord(k)); err != nil {
		return err
	}
	if err := c.printNumber(k.SafetyNumber); err != nil {
		return err
	}
	if c.term.Stdout {
		if digits, err := identity.ParseSafetyNumber(k.SafetyNumber); err == nil {
			return c.printf("\n%s\n", terminal.QR(digits))
		}
	}
	return nil
}

func verifiedWord(k reseal.Contact) string {
	if k.Verified {
		return "verified"
	}
	return "not verified"
}
