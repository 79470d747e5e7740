// Photodrop sends photos from the terminal, and stores those that come. It shows
// progress, messages that wait for their key, and how to take files from
// strangers.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/reseal/reseal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, reseal.Options{}); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "photodrop:", advice(err))
		os.Exit(1)
	}
}

// errUsage: the password is asked for where it is needed, and is then the first
// line of standard input.
var errUsage = errors.New("use it as photodrop [-dir DIR] [-server URL] HANDLE signup | send TO PHOTO | receive FOLDER | accept WHO")

// run is the program. Options other than the server's URL are for tests.
func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer, o reseal.Options) error {
	flags := flag.NewFlagSet("photodrop", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	dir := flags.String("dir", "photodrop-data", "folder of this installation")
	flags.StringVar(&o.Server, "server", o.Server, "URL of the server")
	if err := flags.Parse(args); err != nil || flags.NArg() < 2 {
		return errUsage
	}
	in, err := reseal.Open(*dir, o)
	if err != nil {
		return err
	}
	defer in.Close()
	handle, command, rest := flags.Arg(0), flags.Arg(1), flags.Args()[2:]
	if command == "signup" {
		password, err := ask(stdin, stdout, "Choose a password: ")
		if err != nil {
			return err
		}
		_, code, err := in.SignUp(ctx, handle, password)
		if err == nil {
			fmt.Fprintln(stdout, "Write this down, it is the only way back in without the password:", code.Reveal())
		}
		return err
	}
	d := &drop{out: stdout}
	if d.account, err = logIn(ctx, in, handle, stdin, stdout); err != nil {
		return err
	}
	switch {
	case command == "send" && len(rest) == 2:
		return d.send(ctx, rest[0], rest[1])
	case command == "receive" && len(rest) == 1:
		return d.receive(ctx, rest[0])
	case command == "accept" && len(rest) == 1:
		return errors.Join(d.account.Accept(ctx, rest[0]), d.account.Settle(ctx))
	}
	return errUsage
}

// logIn resumes the login of the last run, or asks for the password.
func logIn(ctx context.Context, in *reseal.Installation, handle string, stdin io.Reader, stdout io.Writer) (*reseal.Account, error) {
	_, err := in.Resume(ctx)
	if a, ok := in.Account(handle); ok {
		return a, nil
	}
	if err != nil && !errors.Is(err, reseal.ErrSessionEnded) {
		return nil, err
	}
	password, err := ask(stdin, stdout, "Password of "+handle+": ")
	if err != nil {
		return nil, err
	}
	a, _, err := in.LogIn(ctx, handle, password)
	return a, err
}

func ask(stdin io.Reader, stdout io.Writer, what string) ([]byte, error) {
	fmt.Fprint(stdout, what)
	line, err := bufio.NewReader(stdin).ReadString('\n')
	if err != nil && line == "" {
		return nil, err
	}
	fmt.Fprintln(stdout)
	return []byte(strings.TrimRight(line, "\r\n")), nil
}

// advice is an error as the user reads it: what to do, where that is known.
func advice(err error) string {
	var weak *reseal.WeakPasswordError
	var rate *reseal.RateError
	switch {
	case errors.As(err, &weak):
		return weak.Reason + ": " + strings.Join(weak.Suggestions, " ")
	case errors.As(err, &rate):
		return fmt.Sprintf("too many tries; wait %v", rate.After)
	case errors.Is(err, reseal.ErrOffline):
		return "no server answers: is the network there?"
	case errors.Is(err, reseal.ErrAlarm):
		return "the keys of that account are not the ones you know: ask the person before you send anything"
	case errors.Is(err, reseal.ErrBusy):
		return "another photodrop runs in this folder"
	}
	return err.Error()
}
