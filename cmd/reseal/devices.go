package main

import (
	"context"
	"errors"
	"strconv"
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
		Short:       "List and remove the devices of the account",
		Example:     "  reseal devices\n  reseal devices remove 5b0c",
		Args:        cobra.NoArgs,
		Annotations: repeat,
		RunE:        list,
	}
	var stdin bool
	remove := &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a device: its sessions end, and nothing more is sent to it",
		Long: `Removes a device from the account: its sessions end, its sealed data can no longer
be opened, and nobody sends it keys any more. It asks for the password.`,
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
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "List the devices of the account", Example: "  reseal devices list --json", Args: cobra.NoArgs, Annotations: repeat, RunE: list,
	}, remove)
	return cmd
}

type deviceItem struct {
	ID       string `json:"id"`
	Added    string `json:"added"`
	LastSeen string `json:"last_seen"`
	This     bool   `json:"this"`
	How      string `json:"how"`
	Class    string `json:"class"`
	Sessions int    `json:"sessions"`
	Keys     string `json:"keys_until"`
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
	t := terminal.Table{Head: []string{"ID", "ADDED", "LAST SEEN", "BY", "CLASS", ">SESSIONS", "KEYS UNTIL", ""}}
	for _, d := range all {
		if c.json {
			i := deviceItem{d.ID.String(), utc(d.Added), utc(d.LastSeen), d.This, d.How, d.Class, len(d.Sessions), utc(d.Epoch)}
			if err := c.object(i); err != nil {
				return err
			}
			continue
		}
		this := ""
		if d.This {
			this = st.Green("this one")
		}
		seen := "-"
		switch {
		case d.LastSeen.IsZero():
		case now.Sub(d.LastSeen) < time.Hour: // the server notes no more than the hour
			seen = "this hour"
		default:
			seen = terminal.When(d.LastSeen, now)
		}
		t.Add(st.Bold(d.ID.String()[:8]), terminal.When(d.Added, now), seen, d.How, d.Class, strconv.Itoa(len(d.Sessions)), terminal.When(d.Epoch, now), this)
	}
	return t.Write(c.stdout, st)
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
