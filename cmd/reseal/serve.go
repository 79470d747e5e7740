package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/limits"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/pebble"
)

const (
	defaultListen  = "127.0.0.1:8470"
	defaultMetrics = "127.0.0.1:8471"
	// drainTimeout is how long what is under way may take at the end.
	drainTimeout = 20 * time.Second
)

type serveFlags struct {
	data, key, listen, metrics string
	metricsSet, closed         bool
	limits                     []string
	rates                      limits.Config
	clock                      duration
}

func newServe(c *cli) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server",
		Long: `Runs a server with an embedded store. It cannot read what passes through it.

DATA holds the records ("store") and the encrypted files ("blobs"). What every
login needs besides lies in a key file of its own beside DATA, so that a copy of
the one is worth nothing without the other: keep a backup of both, apart.

When it takes clients it prints one line. SIGTERM or an interrupt lets what is
under way finish; a second one ends it at once. Metrics and health have an address
of their own: /metrics and /healthz.`,
		Example: "  reseal serve\n  reseal serve --data /srv/reseal --listen 127.0.0.1:0 --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.metricsSet = cmd.Flags().Changed("metrics")
			return c.serve(cmd.Context(), f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.data, "data", "", "data `DIR` (default ~/.reseal-server)")
	fl.StringVar(&f.key, "key", "", "key `FILE` (default DATA.key)")
	fl.StringVar(&f.listen, "listen", defaultListen, "`ADDR` for clients; port 0 picks a free one")
	fl.StringVar(&f.metrics, "metrics", defaultMetrics, "`ADDR` for /metrics and /healthz, or \"off\"")
	fl.StringArrayVar(&f.limits, "limit", nil, "`KIND=RATE/BURST`: change one limit; KIND=off removes it; may be repeated")
	fl.BoolVar(&f.closed, "no-signup", false, "take no new accounts")
	fl.Var(&f.clock, "clock-offset", "let the clock be ahead by `D`, to see what tomorrow brings; for demonstrations")
	return cmd
}

// complete fills in what was not said, and refuses what must not be.
func (f *serveFlags) complete(c *cli) error {
	if f.data == "" {
		user, err := os.UserHomeDir()
		if err != nil {
			return usagef("say --data DIR", "no home folder")
		}
		f.data = filepath.Join(user, ".reseal-server")
	}
	f.data = filepath.Clean(c.path(f.data))
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
	if _, port, err := net.SplitHostPort(f.listen); !f.metricsSet && err == nil && port == "0" {
		f.metrics = "127.0.0.1:0" // several servers of one machine, tests say
	}
	for flag, addr := range map[string]string{"--listen": f.listen, "--metrics": f.metrics} {
		if flag == "--metrics" && addr == "off" {
			continue
		}
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return usagef("give it as in 127.0.0.1:8470", "%s: not an address: %q", flag, addr)
		}
		if !loopback(host) {
			return usagef("let a proxy on this machine bring TLS, and forward to 127.0.0.1", "%s: plain http is for this machine only: %q", flag, addr)
		}
	}
	return nil
}

func (c *cli) serve(ctx context.Context, f serveFlags) (err error) {
	if err := f.complete(c); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(c.stderr, nil))
	now := func() time.Time { return time.Now().Add(time.Duration(f.clock)) }
	if err := os.MkdirAll(f.data, 0o700); err != nil {
		return err
	}
	st, err := pebble.Open(filepath.Join(f.data, "store"), server.Schema(), pebble.Options{Logger: log, Clock: now})
	if err != nil {
		return fmt.Errorf("%s: %w", f.data, err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	setup, err := server.LoadKeyFile(ctx, st, f.key, rand.Reader)
	if err != nil {
		return err
	}
	s, err := server.New(server.Config{
		Store: st, BlobFolder: filepath.Join(f.data, "blobs"), Setup: setup, Log: log, Now: now, Version: version(), SignupClosed: f.closed,
		Limits: &f.rates,
	})
	if err != nil {
		return err
	}
	return c.serveClients(ctx, s, st, f)
}

// serveClients runs until the context ends and what is under way has finished,
// or the store has failed.
func (c *cli) serveClients(ctx context.Context, s *server.Server, st *pebble.Store, f serveFlags) error {
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return err
	}
	running, cut := context.WithCancel(context.Background())
	defer cut()
	metrics := make(chan error, 1)
	metricsAddr := ""
	if f.metrics != "off" {
		m, err := net.Listen("tcp", f.metrics)
		if err != nil {
			return errors.Join(err, l.Close())
		}
		metricsAddr = m.Addr().String()
		go func() { metrics <- s.ServeMetrics(running, m) }()
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(running, l) }()
	if err := c.listening(l.Addr().String(), metricsAddr); err != nil {
		cut()
		return errors.Join(err, <-served)
	}
	select {
	case err = <-served:
	case err = <-metrics:
		cut()
		err = errors.Join(err, <-served)
	case <-st.Failed():
		cut()
		err = errors.Join(store.ErrFailed, <-served)
	case <-ctx.Done():
		// What is cut after the timeout is repeated by its client.
		drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
		defer cancel()
		_ = s.Drain(drain)
		err = <-served
	}
	return err
}

// listening is the one line that says that clients can come.
func (c *cli) listening(addr, metrics string) error {
	if c.json {
		return c.object(struct {
			Event   string `json:"event"`
			Address string `json:"address"`
			URL     string `json:"url"`
			Metrics string `json:"metrics,omitempty"`
		}{"listening", addr, "http://" + addr, metrics})
	}
	return c.printf("reseal: serving at http://%s\n", addr)
}
