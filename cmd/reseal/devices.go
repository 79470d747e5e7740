package main

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/internal/terminal"
)

func newDevices(c *cli) *cobra.Command {
	list := func(cmd *cobra.Command, _ []string) error {
		return c.withStale(cmd.Context(), func(ctx context.Context, _ *owner, a *reseal.Account) error { return c.devices(ctx, a) })
	}
	repeat := map[string]string{repeatKey: "unseen"}
	cmd := &cobra.Command{
		Use:         "devices",
		Short:       "Devices and logins of the account: list them, remove one, end one",
		Example:     "  reseal devices\n  reseal devices remove 5b0c\n  reseal devices end 77f1",
		Args:        cobra.NoArgs,
		Annotations: repeat,
		RunE:        list,
	}
	var stdin bool
	remove := &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a device: its sessions end, and nothing more is sent to it",
		Long: `Removes a device from the account, for one that is lost: its sessions end, the
server's half of its key is destroyed, so that what is sealed there opens with no
password any more, and nobody sends it keys. It says so itself at its next
contact. This asks for the password.`,
		Example: "  reseal devices remove 5b0c",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, _ *owner, a *reseal.Account) error {
				return c.removeDevice(ctx, a, args[0], stdin)
			})
		},
		ValidArgsFunction: c.complete("devices", cobra.ShellCompDirectiveNoFileComp),
	}
	passwordFlag(remove.Flags(), &stdin)
	end := &cobra.Command{
		Use:   "end SESSION",
		Short: "End a login: its device has to log in again",
		Long: `Ends one login of the account. The device stays, with what is sealed there, and
needs the password to come back.`,
		Example:     "  reseal devices end 77f1",
		Args:        cobra.ExactArgs(1),
		Annotations: repeat,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, _ *owner, a *reseal.Account) error { return c.endSession(ctx, a, args[0]) })
		},
		ValidArgsFunction: c.complete("sessions", cobra.ShellCompDirectiveNoFileComp),
	}
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "List the devices of the account", Example: "  reseal devices list --json", Args: cobra.NoArgs, Annotations: repeat, RunE: list,
	}, remove, end)
	return cmd
}

type deviceItem struct {
	ID       string        `json:"id"`
	Added    string        `json:"added"`
	LastSeen string        `json:"last_seen"`
	This     bool          `json:"this"`
	How      string        `json:"how"`
	Class    string        `json:"class"`
	Sessions []sessionItem `json:"sessions"`
	Keys     string        `json:"keys_until"`
}

type sessionItem struct {
	ID       string `json:"id"`
	Created  string `json:"created"`
	LastSeen string `json:"last_seen"`
	This     bool   `json:"this"`
}

func sessionItems(all []reseal.Session) []sessionItem {
	items := []sessionItem{}
	for _, s := range all {
		items = append(items, sessionItem{hex.EncodeToString(s.ID[:]), utc(s.Created), utc(s.LastSeen), s.This})
	}
	return items
}

func (c *cli) devices(ctx context.Context, a *reseal.Account) error {
	all, err := a.Devices(ctx)
	if len(all) == 0 {
		return err
	}
	if err != nil {
		_, text, _ := c.explain(err)
		c.notef("reseal: sessions are not known: %s", text)
	}
	st, now := c.style(), time.Now()
	t := terminal.Table{Head: []string{"ID", "ADDED", "LAST SEEN", "BY", "CLASS", "KEYS UNTIL", ""}}
	logins := terminal.Table{Head: []string{"SESSION", "DEVICE", "SINCE", "LAST SEEN", ""}}
	for _, d := range all {
		if c.json {
			i := deviceItem{d.ID.String(), utc(d.Added), utc(d.LastSeen), d.This, d.How, d.Class, sessionItems(d.Sessions), utc(d.Epoch)}
			if err := c.object(i); err != nil {
				return err
			}
			continue
		}
		this := ""
		if d.This {
			this = st.Green("this one")
		}
		t.Add(st.Bold(d.ID.String()[:8]), terminal.When(d.Added, now), lastSeen(d.LastSeen, now), d.How, d.Class, terminal.When(d.Epoch, now), this)
		for _, l := range d.Sessions {
			this = ""
			if l.This {
				this = st.Green("this one")
			}
			logins.Add(st.Bold(hex.EncodeToString(l.ID[:4])), d.ID.String()[:8], terminal.When(l.Created, now), lastSeen(l.LastSeen, now), this)
		}
	}
	if err := t.Write(c.stdout, st); err != nil {
		return err
	}
	if r, ok, err := a.PendingReset(ctx); err == nil && ok {
		c.notef("WARNING: %s has asked for a reset: the account begins anew %s, and every other device leaves it;\n"+
			"\"reseal reset %s --cancel\" prevents that", whoAsked(r), terminal.When(now.Add(r.In), now), a.Handle())
	}
	if c.json {
		return nil
	}
	if err := c.printf("\n"); err != nil {
		return err
	}
	return logins.Write(c.stdout, st)
}

// lastSeen is when a device or login was last seen, for people. The server
// notes no more than the hour.
func lastSeen(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "-"
	case now.Sub(t) < time.Hour:
		return "this hour"
	}
	return terminal.When(t, now)
}

func (c *cli) endSession(ctx context.Context, a *reseal.Account, prefix string) error {
	all, err := a.Devices(ctx)
	if err != nil {
		return err
	}
	var found []reseal.Session
	for _, d := range all {
		for _, s := range d.Sessions {
			if prefix != "" && strings.HasPrefix(hex.EncodeToString(s.ID[:]), strings.ToLower(prefix)) {
				found = append(found, s)
			}
		}
	}
	switch {
	case len(found) == 0:
		return errSession
	case len(found) > 1:
		return reseal.ErrAmbiguous
	case found[0].This:
		return usagef(`"reseal logout" ends it`, "that is the login of this command")
	}
	if err := a.EndSession(ctx, found[0].ID); err != nil {
		return err
	}
	id := hex.EncodeToString(found[0].ID[:])
	if c.json {
		return c.object(struct {
			ID      string `json:"id"`
			Account string `json:"account"`
		}{id, a.Handle()})
	}
	return c.printf("ended %s\n", id[:8])
}

func (c *cli) removeDevice(ctx context.Context, a *reseal.Account, prefix string, stdin bool) error {
	d, err := findDevice(ctx, a, prefix)
	if err != nil {
		return err
	}
	if d.This {
		return usagef(`"reseal logout --forget" removes it`, "that is this device")
	}
	pass, _, err := c.password(ctx, "Password for "+a.Handle(), stdin, false)
	if err != nil {
		return err
	}
	defer clear(pass)
	if err := a.RemoveDevice(ctx, d.ID, pass); err != nil {
		return err
	}
	if c.json {
		return c.object(struct {
			ID      string `json:"id"`
			Account string `json:"account"`
		}{d.ID.String(), a.Handle()})
	}
	return c.printf("removed %s\n", d.ID.String()[:8])
}

func findDevice(ctx context.Context, a *reseal.Account, prefix string) (reseal.Device, error) {
	all, err := a.Devices(ctx)
	if len(all) == 0 {
		return reseal.Device{}, errors.Join(reseal.ErrUnknownDevice, err)
	}
	var found []reseal.Device
	for _, d := range all {
		if prefix != "" && strings.HasPrefix(d.ID.String(), strings.ToLower(prefix)) {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 0:
		return reseal.Device{}, reseal.ErrUnknownDevice
	case 1:
		return found[0], nil
	}
	return reseal.Device{}, reseal.ErrAmbiguous
}
