package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client/password"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/internal/terminal"
)

// passwordsFlag adds --password-stdin to a command that takes a new password,
// and where old is set the present one before it.
func passwordsFlag(f *pflag.FlagSet, on *bool, old bool) {
	what := "read the new password from the first line of standard input"
	if old {
		what = "read the present password from the first line of standard input, the new one from the second"
	}
	f.BoolVar(on, "password-stdin", false, what)
}

// newPassword gets a new password: from standard input, RESEAL_NEW_PASSWORD, or
// by asking twice. One that is refused at a terminal is asked for again.
func (c *cli) newPassword(ctx context.Context, name handle.Handle, stdin bool) ([]byte, error) {
	if stdin {
		pass, _, err := c.password(ctx, "", true, false)
		return pass, err
	}
	if p := c.getenv("RESEAL_NEW_PASSWORD"); p != "" {
		return []byte(p), nil
	}
	if c.prompt == nil {
		return nil, usagef("use --password-stdin or RESEAL_NEW_PASSWORD where there is no terminal", "a new password is needed")
	}
	for try := 1; ; try++ {
		pass, err := c.typedTwice(ctx, "New password for "+string(name))
		if err == nil {
			// Refused here, before anything else is asked for.
			if _, err = password.Check(string(pass), name); err == nil {
				return pass, nil
			}
			clear(pass)
		}
		_, weak := errors.AsType[*password.Weak](err)
		if try == maxTries || !weak && !errors.Is(err, errMismatch) {
			return nil, err
		}
		_, text, hint := c.explain(err)
		c.notef("reseal: %s\nhint: %s", text, hint)
	}
}

func (c *cli) typedTwice(ctx context.Context, label string) ([]byte, error) {
	pass, err := c.prompt(ctx, label+": ", false)
	if err != nil {
		return nil, err
	}
	again, err := c.prompt(ctx, "The same again: ", false)
	defer clear(again)
	if err == nil && subtle.ConstantTimeCompare(pass, again) != 1 {
		err = errMismatch
	}
	return pass, err
}

// recoveryCode gets the recovery code: from RESEAL_RECOVERY_CODE, or by asking.
// A slip is asked for again: the code's check finds it before the server counts
// a try.
func (c *cli) recoveryCode(ctx context.Context, name handle.Handle) (code reseal.RecoveryCode, err error) {
	if s := c.getenv("RESEAL_RECOVERY_CODE"); s != "" {
		return parseCode(s)
	}
	if c.prompt == nil {
		return code, usagef("use RESEAL_RECOVERY_CODE where there is no terminal", "the recovery code is needed")
	}
	for try := 1; ; try++ {
		b, err := c.prompt(ctx, "Recovery code of "+string(name)+" (7 groups of 4): ", false)
		if err != nil {
			return code, err
		}
		code, err = parseCode(string(b))
		clear(b)
		if err == nil || try == maxTries {
			return code, err
		}
		_, text, hint := c.explain(err)
		c.notef("reseal: %s\nhint: %s", text, hint)
	}
}

func parseCode(s string) (reseal.RecoveryCode, error) {
	code, err := reseal.ParseRecoveryCode(s)
	if err != nil {
		err = fmt.Errorf("%w: %w", reseal.ErrRecoveryCode, err)
	}
	return code, err
}

// agree asks a question that is answered by yes or no; no is the answer where
// nobody is there to be asked.
func (c *cli) agree(ctx context.Context, question string) (bool, error) {
	if c.prompt == nil {
		return false, nil
	}
	b, err := c.prompt(ctx, question+" [y/N] ", true)
	if err != nil {
		return false, err
	}
	switch strings.ToLower(strings.TrimSpace(string(b))) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}

// showNewCode shows a recovery code that took the place of another one. In
// doubt, where the change may not have happened, it says so.
func (c *cli) showNewCode(code reseal.RecoveryCode, doubt bool) error {
	text, s := code.Reveal(), c.style()
	if err := c.printf("recovery code: %s\n", s.Bold(text)); err != nil {
		return err
	}
	if c.term.Stdout {
		if err := c.printf("\n%s\n", terminal.QR(text)); err != nil {
			return err
		}
	}
	if doubt {
		c.notef("Write this recovery code down beside the old one: which of the two is good is not known yet.")
		return nil
	}
	c.notef("Write the recovery code down: it is shown only now, and the old one is good for nothing any more.")
	return nil
}

// changedCode is the result of a recovery, a rotation or a reset that ended in
// err: with a code that may have come into force, that must be seen whatever
// happens.
func (c *cli) changedCode(handle string, code reseal.RecoveryCode, err error, rest map[string]any, done string) error {
	none := code == (reseal.RecoveryCode{})
	if err != nil && none {
		return err
	}
	if c.json {
		o := map[string]any{"account": handle, "recovery_code": code.Reveal(), "done": err == nil}
		for k, v := range rest {
			o[k] = v
		}
		return errors.Join(err, c.object(o))
	}
	if err == nil {
		if err := c.printf("%s\n", done); err != nil {
			return errors.Join(err, c.showNewCode(code, false))
		}
	}
	if shown := c.showNewCode(code, err != nil); shown != nil {
		return errors.Join(err, fmt.Errorf("the recovery code could not be shown: %w", shown))
	}
	return err
}
