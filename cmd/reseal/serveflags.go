package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/limits"
)

// serveFlags are what a server is told by its operator.
type serveFlags struct {
	data, key, listen, metrics string
	limits                     []string
	rates                      limits.Config
	quotas                     []string
	kept                       quota.Limits
	signup                     string
	strangers, calls           int
	sweep                      time.Duration
	metricsSet                 bool
	clock                      duration
	tls                        tlsFlags
	// begin is what the certificate needs when the server listens.
	begin func(context.Context)
}

// tlsFlags say where the certificate comes from; with none, there is no TLS.
type tlsFlags struct {
	cert, key        string
	domains          []string
	email, directory string
}

func (f *tlsFlags) on() bool { return f.cert != "" || len(f.domains) > 0 }

// signups are the values of --signup.
var signups = map[string]resealv1.Signup{
	"open": resealv1.Signup_SIGNUP_OPEN, "invite": resealv1.Signup_SIGNUP_INVITE, "closed": resealv1.Signup_SIGNUP_CLOSED,
}

func newServe(c *cli) *cobra.Command {
	var f serveFlags
	var check bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server",
		Long: `Runs a server with an embedded store. It cannot read what passes through it.

DATA holds the records ("store") and the encrypted files ("blobs"). What every
login needs besides lies in a key file of its own beside DATA, so that a copy of
the one is worth nothing without the other: keep a backup of both, apart.

Off this machine it needs TLS: a certificate in files, which are read again when
they change, or one from an authority by ACME, which must reach the server at
port 443 of the domain.

What no flag says is taken from the environment (--tls-cert is RESEAL_TLS_CERT), and
what is not there either from a config file: lines of "tls-cert = FILE".

When it takes clients it prints one line. SIGTERM or an interrupt lets what is
under way finish; a second one ends it at once. Metrics and health have an address
of their own: /metrics and /healthz.`,
		Example: "  reseal serve\n  reseal serve --data /srv/reseal --listen 127.0.0.1:0 --json\n" +
			"  reseal serve --listen :443 --acme-domain chat.example.org\n" +
			"  reseal serve --listen :8470 --tls-cert chain.pem --tls-key key.pem",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fl := cmd.Flags()
			if check {
				return c.checkServe(cmd.Context(), fl, &f)
			}
			if err := c.configure(fl); err != nil {
				return err
			}
			f.metricsSet = fl.Changed("metrics")
			return c.serve(cmd.Context(), f)
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().String(configName, "", "config `FILE`: lines of \"name = value\" with the names of these flags")
	cmd.Flags().BoolVar(&check, "check", false, "start nothing: say what is wrong with the settings, the data folder, the certificate")
	return cmd
}

func (f *serveFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.data, "data", "", "data `DIR` (default ~/.reseal-server)")
	fl.StringVar(&f.key, "key", "", "key `FILE` (default DATA.key)")
	fl.StringVar(&f.listen, "listen", defaultListen, "`ADDR` for clients; port 0 picks a free one")
	fl.StringVar(&f.metrics, "metrics", defaultMetrics, "`ADDR` for /metrics and /healthz, or \"off\"")
	fl.StringArrayVar(&f.limits, "limit", nil, "`KIND=RATE/BURST`: change one limit; KIND=off removes it; may be repeated")
	fl.StringArrayVar(&f.quotas, "quota", nil, "`NAME=N`: how much is kept for one account; NAME=off is no quota; may be repeated")
	fl.IntVar(&f.strangers, "strangers", server.DefaultStrangers, "how many people who never answered it one account may write to in a day, `N`; 0 is no limit")
	fl.IntVar(&f.calls, "max-calls", server.DefaultMaxCalls, "how many calls run at once, `N`; further ones are refused as \"overload\", those without a session at half of it")
	fl.DurationVar(&f.sweep, "sweep-every", time.Minute, "remove what has expired every `D`")
	fl.StringVar(&f.signup, "signup", "open", "who may make an account: \"open\", \"invite\" (see \"reseal admin invite\") or \"closed\"")
	fl.StringVar(&f.tls.cert, "tls-cert", "", "certificate chain, a PEM `FILE`")
	fl.StringVar(&f.tls.key, "tls-key", "", "its key, a PEM `FILE`")
	fl.StringSliceVar(&f.tls.domains, "acme-domain", nil, "`DOMAIN` to have certified; this agrees to the authority's terms")
	fl.StringVar(&f.tls.email, "acme-email", "", "`ADDRESS` for the authority's warnings")
	fl.StringVar(&f.tls.directory, "acme-directory", "", "`URL` of the authority (default Let's Encrypt)")
	fl.Var(&f.clock, "clock-offset", "let the clock be ahead by `D`, to see what tomorrow brings; for demonstrations")
}

// complete fills in what was not said, and refuses what must not be.
func (f *serveFlags) complete(c *cli) error {
	var err error
	if f.data, err = c.dataFolder(f.data); err != nil {
		return err
	}
	if f.key == "" {
		f.key = f.data + ".key"
	}
	f.key = c.path(f.key)
	if filepath.Dir(f.key) == filepath.Join(f.data, "store") {
		return usagef("give a --key elsewhere", "the key file must lie apart from the store")
	}
	f.rates = limits.Default()
	for _, text := range f.limits {
		if err := f.rates.Set(text); err != nil {
			return usagef("see the table in docs/operators.md", "--limit: %v", err)
		}
	}
	f.kept = quota.Default()
	for _, text := range f.quotas {
		if err := f.kept.Set(text); err != nil {
			return usagef("see the table in docs/operators.md", "--quota: %v", err)
		}
	}
	if f.strangers < 0 || f.strangers > server.MaxStrangers {
		return usagef(fmt.Sprintf("0 to %d", server.MaxStrangers), "--strangers: no such number: %d", f.strangers)
	}
	if f.calls < 0 {
		return usagef("1 or more; 0 is the default", "--max-calls: no such number: %d", f.calls)
	}
	if f.sweep < 0 {
		return usagef("as in 1m; 0 is the default", "--sweep-every: no such pause: %v", f.sweep)
	}
	if f.strangers == 0 {
		f.strangers = -1 // as server.Config has it
	}
	if signups[f.signup] == resealv1.Signup_SIGNUP_UNSPECIFIED {
		return usagef("open, invite or closed", "--signup: no such way: %q", f.signup)
	}
	if err := f.tls.complete(c); err != nil {
		return err
	}
	if _, port, err := net.SplitHostPort(f.listen); !f.metricsSet && err == nil && port == "0" {
		f.metrics = "127.0.0.1:0" // several servers of one machine, tests say
	}
	if err := f.address(c, "--listen", f.listen, f.tls.on(), "give it a certificate (--tls-cert or --acme-domain)"); err != nil {
		return err
	}
	if f.metrics == "off" {
		return nil
	}
	return f.address(c, "--metrics", f.metrics, false, "have it on 127.0.0.1")
}

// dataFolder is the data folder that an operator means.
func (c *cli) dataFolder(said string) (string, error) {
	if said == "" {
		user, err := os.UserHomeDir()
		if err != nil {
			return "", usagef("say --data DIR", "no home folder")
		}
		said = filepath.Join(user, ".reseal-server")
	}
	return filepath.Clean(c.path(said)), nil
}

// address checks where a listener is: without TLS, off this machine only if that
// was said twice.
func (f *serveFlags) address(c *cli, flag, addr string, secure bool, instead string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return usagef("give it as in 127.0.0.1:8470", "%s: not an address: %q", flag, addr)
	}
	if !secure && c.plain < 2 && !loopback(host) {
		return plainRefused(c.plain, instead, flag+" "+addr)
	}
	return nil
}

func (f *tlsFlags) complete(c *cli) error {
	switch {
	case (f.cert == "") != (f.key == ""):
		return usagef("give both", "--tls-cert and --tls-key belong together")
	case f.cert != "" && len(f.domains) > 0:
		return usagef("give one of them", "--tls-cert and --acme-domain are two ways to a certificate")
	case len(f.domains) == 0 && (f.email != "" || f.directory != ""):
		return usagef("say --acme-domain DOMAIN", "--acme-email and --acme-directory are nothing without a domain")
	}
	if f.cert != "" {
		f.cert, f.key = c.path(f.cert), c.path(f.key)
	}
	return nil
}
