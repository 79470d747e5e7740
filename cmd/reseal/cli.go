package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client/keyring"
)

// cli is one command: its surroundings, its arguments, its global flags.
type cli struct {
	*env
	args   []string
	home   string
	server string
	// serverSaid: the server was named, by the flag or the environment.
	serverSaid bool
	as         string
	json       bool
	// plain is how often plain http to other machines was asked for: once is
	// told what that means, twice is done.
	plain int
	// ring keeps what opens session records; nil for none.
	ring     reseal.Keyring
	ringName string
	wait     duration
	waitSet  bool
	// ran: the arguments were right, so what fails now is no wrong use.
	ran bool
	// repeat tells whether the command may be run again when the process that
	// ran it died in the middle.
	repeat  repeatable
	attempt attempt
	// again: it was begun before, in another process.
	again bool
}

// commands are the makers of all commands, in the order of the help text. A new
// command is a file with its maker, and a line here.
func commands() []func(*cli) *cobra.Command {
	return []func(*cli) *cobra.Command{
		newServe,
		newSignup, newLogin, newLogout, newStatus,
		newSend, newInbox, newOpen, newUnsend, newWatch, newAgent,
		newDevices, newContacts,
		newPasswd, newRecover, newRotate, newReset, newCloseAccount,
		newDoctor, newDemo, newBench, newAdmin,
		newNames, newErrorsHelp,
	}
}

// run runs one command and returns its exit code. It is safe to run many at
// once.
func run(ctx context.Context, e *env, args []string) int {
	c := &cli{env: e, args: args}
	root := c.tree()
	root.SetArgs(append([]string{}, args...)) // nil would be those of this process
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	var code exitCode
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &code):
		return int(code)
	}
	if !c.ran {
		if _, ok := errors.AsType[*usageError](err); !ok {
			about := strings.TrimPrefix(cmd.CommandPath(), "reseal")
			err = usagef(`try "reseal help`+about+`"`, "%s", err.Error())
		}
		c.json = c.json || slices.Contains(args, "--json")
	}
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		err = cause
	}
	return c.fail(err)
}

// exitCode is the outcome of a command that has told about it already.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// tree makes the commands anew for each run: cobra keeps the values of flags in
// them.
func (c *cli) tree() *cobra.Command {
	root := &cobra.Command{
		Use:   "reseal",
		Short: "End-to-end encrypted messages and files that find you on every device",
		Long: `Reseal sends text and files to people, encrypted from end to end. Log in anywhere,
and what waits for you opens.

Start a server with "reseal serve", then, in other terminals:
"reseal signup ana", "reseal send ben photo.jpg", "reseal inbox", "reseal open ID".`,
		Version:           version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: c.prepare,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef(`try "reseal help"`, "unknown command %q", args[0])
			}
			return cmd.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.SetVersionTemplate("reseal {{.Version}}\n")
	f := root.PersistentFlags()
	f.StringVar(&c.home, "home", "", "folder of this installation (RESEAL_HOME, default ~/.reseal)")
	f.StringVar(&c.server, "server", "", "server `URL` to log in or sign up at; who is logged in stays with theirs (RESEAL_SERVER, default "+reseal.DefaultServer+")")
	f.StringVar(&c.as, "as", "", "`HANDLE` of the account to use where several are logged in")
	f.BoolVar(&c.json, "json", false, "write one JSON object a line")
	f.CountVar(&c.plain, "plain-http", "twice: allow http without TLS to and from other machines (RESEAL_PLAIN_HTTP=2)")
	f.Var(&c.wait, "wait", "how long to wait for messages to become ready, as in 10s")
	for _, command := range commands() {
		root.AddCommand(command(c))
	}
	return root
}

// prepare runs when the arguments are known to be right, before each command.
func (c *cli) prepare(cmd *cobra.Command, _ []string) (err error) {
	c.waitSet = cmd.Flags().Changed("wait")
	if c.home == "" {
		c.home = c.getenv("RESEAL_HOME")
	}
	if c.home == "" {
		c.home = defaultHome(c.getenv)
	}
	c.home = c.path(c.home)
	if c.server == "" {
		c.server = c.getenv("RESEAL_SERVER")
	}
	c.serverSaid = c.server != ""
	if !c.serverSaid {
		c.server = reseal.DefaultServer
	}
	if v := c.getenv("RESEAL_PLAIN_HTTP"); v != "" && !cmd.Flags().Changed("plain-http") {
		n, err := strconv.ParseUint(v, 10, 8)
		if err != nil {
			return usagef("it takes 0, 1 or 2", "RESEAL_PLAIN_HTTP: not a number: %q", v)
		}
		c.plain = int(n)
	}
	if c.ring, c.ringName, err = keyring.Choose(c.getenv("RESEAL_KEYRING")); err != nil {
		return usagef("it takes auto, file, or on Linux kernel", "RESEAL_KEYRING: %v", err)
	}
	switch cmd.Annotations[repeatKey] {
	case "always":
		c.repeat = always
	case "unseen":
		c.repeat = unseen
	case "keyed":
		c.repeat = keyed
		if err := c.bearKey(); err != nil {
			return err
		}
	}
	if err := checkServer(c.server, c.plain); err != nil {
		return err
	}
	c.ran = true
	return nil
}

// defaultHome is ~/.reseal, or where the XDG rules say if it is not there yet.
func defaultHome(getenv func(string) string) string {
	user, err := os.UserHomeDir()
	if err != nil {
		user = "."
	}
	home := filepath.Join(user, ".reseal")
	if xdg := getenv("XDG_DATA_HOME"); filepath.IsAbs(xdg) {
		if _, err := os.Stat(home); err != nil {
			return filepath.Join(xdg, "reseal")
		}
	}
	return home
}

// checkServer takes https URLs, and http where nobody can listen in between.
func checkServer(s string, plain int) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return usagef("give it as in https://reseal.example", "not a server's URL: %q", s)
	}
	if u.Scheme == "http" && plain < 2 && !loopback(u.Hostname()) {
		return plainRefused(plain, "use https", fmt.Sprintf("%q", s))
	}
	return nil
}

// plainRefused refuses http off this machine as long as it was not said twice.
func plainRefused(said int, instead, what string) error {
	if said == 1 {
		return usagef("if you want that, say --plain-http twice; else "+instead,
			"plain http shows everybody on the way who talks to whom, and lets him act as who is logged in: %s", what)
	}
	return usagef(instead+`, or see "reseal help" for --plain-http`, "plain http is for this machine only: %s", what)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// patience is how long a command waits for keys: as said by --wait, or else as
// its own work needs.
func (c *cli) patience(own time.Duration) time.Duration {
	if c.waitSet {
		return time.Duration(c.wait)
	}
	return own
}
