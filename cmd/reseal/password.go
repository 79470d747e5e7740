package main

import (
	"context"
	"crypto/subtle"
	"errors"

	"github.com/spf13/pflag"

	"github.com/reseal/reseal/internal/terminal"
)

// passwordFlag adds --password-stdin.
func passwordFlag(f *pflag.FlagSet, on *bool) {
	f.BoolVar(on, "password-stdin", false, "read the password from the first line of standard input")
}

// errMismatch: the two passwords typed are not the same.
var errMismatch = errors.New("the two passwords are not the same")

// password gets the password: from standard input, RESEAL_PASSWORD, or by
// asking, twice where it is a new one. asked tells that it can be asked again.
func (c *cli) password(ctx context.Context, label string, stdin, twice bool) (password []byte, asked bool, err error) {
	if stdin {
		password, err = terminal.ReadLine(c.stdin)
		if err == nil && len(password) == 0 {
			err = terminal.ErrAnswer
		}
		if errors.Is(err, terminal.ErrAnswer) {
			err = usagef("write it as one line of at most 4 KiB", "no password on standard input")
		}
		return password, false, err
	}
	if p := c.getenv("RESEAL_PASSWORD"); p != "" {
		return []byte(p), false, nil
	}
	if c.prompt == nil {
		return nil, false, usagef("use --password-stdin or RESEAL_PASSWORD where there is no terminal", "a password is needed")
	}
	if password, err = c.prompt(ctx, label+": ", false); err != nil || !twice {
		return password, true, err
	}
	again, err := c.prompt(ctx, "The same again: ", false)
	defer clear(again)
	if err == nil && subtle.ConstantTimeCompare(password, again) != 1 {
		err = errMismatch
	}
	return password, true, err
}
