package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client/password"
	"github.com/reseal/reseal/internal/terminal"
)

// maxTries is how often a password is asked for at a terminal.
const maxTries = 3

func newSignup(c *cli) *cobra.Command {
	var stdin bool
	var code string
	cmd := &cobra.Command{
		Use:   "signup HANDLE",
		Short: "Make an account with this installation as its first device",
		Long: `Makes an account at the server, with this installation as its first device, and logs in.

The recovery code is shown once and kept nowhere: write it down. Without it and
the password the account is lost, for you and for everybody else.`,
		Example: "  reseal signup ana\n  reseal signup ana --json --password-stdin < password.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.use(cmd.Context(), func(ctx context.Context, o *owner) error { return c.signup(ctx, o, args[0], code, stdin) })
		},
	}
	cmd.Flags().StringVar(&code, "invite", "", "`CODE` of an invite, where the server wants one (RESEAL_INVITE)")
	passwordFlag(cmd.Flags(), &stdin)
	return cmd
}

func (c *cli) signup(ctx context.Context, o *owner, handle, code string, stdin bool) error {
	if code == "" {
		code = c.getenv("RESEAL_INVITE")
	}
	if !o.serves(c) {
		return errOwnerServer
	}
	a, recovery, err := c.tryToSignUp(ctx, o, handle, code, stdin)
	if err != nil {
		return err
	}
	// What follows needs no server: the code must be seen whatever happens.
	if err := c.showCode(a, recovery.Reveal()); err != nil {
		return err
	}
	_ = c.online(ctx, a)
	settle(ctx, a)
	return nil
}

func (c *cli) tryToSignUp(ctx context.Context, o *owner, handle, invited string, stdin bool) (*reseal.Account, reseal.RecoveryCode, error) {
	for try := 1; ; try++ {
		pass, asked, err := c.password(ctx, "Password for "+terminal.Line(handle), stdin, true)
		if err == nil {
			var a *reseal.Account
			var code reseal.RecoveryCode
			o.sessions.Lock()
			if invited == "" {
				a, code, err = o.in.SignUp(ctx, handle, pass)
			} else {
				a, code, err = o.in.SignUpInvited(ctx, handle, pass, invited)
			}
			o.sessions.Unlock()
			clear(pass)
			if err == nil {
				return a, code, nil
			}
		}
		_, weak := errors.AsType[*password.Weak](err)
		if !asked || try == maxTries || !weak && !errors.Is(err, errMismatch) {
			return nil, reseal.RecoveryCode{}, err
		}
		_, text, hint := c.explain(err)
		c.notef("reseal: %s\nhint: %s", text, hint)
	}
}

func (c *cli) showCode(a *reseal.Account, code string) error {
	if c.json {
		return c.object(struct {
			Account      string `json:"account"`
			AccountID    string `json:"account_id"`
			Device       string `json:"device"`
			RecoveryCode string `json:"recovery_code"`
		}{a.Handle(), a.ID().String(), a.Device().String(), code})
	}
	s := c.style()
	if err := c.printf("signed up as %s\nrecovery code: %s\n", s.Bold(a.Handle()), s.Bold(code)); err != nil {
		return err
	}
	if c.term.Stdout {
		if err := c.printf("\n%s\n", terminal.QR(code)); err != nil {
			return err
		}
	}
	c.notef("Write the recovery code down: it is shown only now, and is the one way back when the password is lost.")
	return nil
}
