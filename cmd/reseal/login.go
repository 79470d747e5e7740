package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/internal/terminal"
)

// loginPatience is how long a login on a new device waits for other devices to
// hand over keys. It takes them milliseconds if they are online.
const loginPatience = 3 * time.Second

func newLogin(c *cli) *cobra.Command {
	var stdin bool
	cmd := &cobra.Command{
		Use:   "login HANDLE",
		Short: "Log in at this installation",
		Long: `Logs in. An account that was logged in at this installation before finds its old
device and everything sealed with it again; otherwise a new device is made, and
devices that are online hand over the keys of what waits.

Later commands ask for no password. What that takes lies in the system's keyring,
or in a file where there is none. That of Linux, the kernel's, is empty after a
restart of the machine: then log in once more, or set RESEAL_KEYRING=file where
nobody is there to type ("reseal doctor" says what it means).`,
		Example: "  reseal login ana\n  reseal --home ~/other login ana\n  reseal login ana --wait 1m",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.use(cmd.Context(), func(ctx context.Context, o *owner) error { return c.login(ctx, o, args[0], stdin) })
		},
	}
	passwordFlag(cmd.Flags(), &stdin)
	return cmd
}

func (c *cli) login(ctx context.Context, o *owner, handle string, stdin bool) error {
	if !o.serves(c) {
		return errOwnerServer
	}
	pass, _, err := c.password(ctx, "Password for "+terminal.Line(handle), stdin, false)
	if err != nil {
		return err
	}
	var a *reseal.Account
	var how reseal.Login
	err = o.comeIn(ctx, handle, func() (err error) {
		a, how, err = o.in.LogIn(ctx, handle, pass)
		return err
	})
	clear(pass)
	if errors.Is(err, reseal.ErrLoggedIn) {
		if all, err := o.in.LoggedIn(); err == nil {
			c.noteServer(all, strings.ToLower(strings.TrimSpace(handle)))
		}
	}
	if err != nil {
		return err
	}
	defer c.tellNotices(ctx, a)()
	if err := c.online(ctx, a); err != nil {
		return err
	}
	n, err := pending(ctx, a, c.patience(loginPatience))
	if err != nil {
		return err
	}
	settle(ctx, a)
	return c.showLogin(a, how, n)
}

// comeIn makes a login, also where the record of an earlier one is here that the
// server has ended meanwhile: nobody has contacted it since.
func (o *owner) comeIn(ctx context.Context, handle string, login func() error) error {
	try := func() error {
		o.sessions.Lock()
		defer o.sessions.Unlock()
		return login()
	}
	err := try()
	if !errors.Is(err, reseal.ErrLoggedIn) {
		return err
	}
	for who, why := range reasons(o.resume(ctx)) {
		switch {
		case !strings.EqualFold(who, strings.TrimSpace(handle)):
		case errors.Is(why, reseal.ErrSessionEnded):
			return try()
		case errors.Is(why, reseal.ErrOtherServer):
			return why
		}
	}
	return err
}

func (c *cli) showLogin(a *reseal.Account, how reseal.Login, n counts) error {
	dropped := ""
	if !how.Dropped.IsZero() {
		dropped = how.Dropped.String()
	}
	if c.json {
		return c.object(struct {
			Account    string `json:"account"`
			AccountID  string `json:"account_id"`
			Device     string `json:"device"`
			NewDevice  bool   `json:"new_device"`
			SetAside   bool   `json:"set_aside"`
			Returned   bool   `json:"returned"`
			AsideOpens bool   `json:"aside_opens"`
			Dropped    string `json:"dropped,omitempty"`
			Ready      int    `json:"ready"`
			Waiting    int    `json:"waiting"`
			Update     int    `json:"update"`
		}{a.Handle(), a.ID().String(), a.Device().String(), how.NewDevice, how.SetAside, how.Returned, how.AsideOpens, dropped, n.ready, n.waiting, n.update})
	}
	device := "on the device of before"
	if how.NewDevice {
		device = "on a new device"
	}
	if err := c.printf("logged in as %s, %s: %d ready, %d waiting\n", c.style().Bold(a.Handle()), device, n.ready, n.waiting); err != nil {
		return err
	}
	switch {
	case how.Returned:
		c.notef("hint: this is a device whose section was set aside: the server has its share again")
	case how.SetAside:
		c.notef("hint: the server has no share that opens what was sealed here before; it is kept, and this is a new device")
	case how.AsideOpens:
		c.notef("hint: a device that was set aside here opens again: \"reseal logout --forget\" and another login go back to it, without what only this one has; \"reseal devices remove\" ends it")
	}
	if dropped != "" {
		c.notef("hint: ten devices are the most: %s, unused for longest, was removed", dropped[:8])
	}
	c.tellUpdate(n.update)
	if n.waiting > 0 {
		c.notef("hint: a message that waits opens when a device that has its key comes online")
	}
	return nil
}
