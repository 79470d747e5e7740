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
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/reseal/reseal/internal/terminal"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/backup"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/pebble"
)

const (
	// soon is how long before its end a certificate should have been renewed.
	soon = 14 * 24 * time.Hour
	// minServerDisk is what a server keeps free before it refuses to store.
	minServerDisk = 256 << 20
)

// checkServe says what is wrong with a server that would be started like this.
// It changes nothing: what is not there yet is not made.
func (c *cli) checkServe(ctx context.Context, fl *pflag.FlagSet, flags *serveFlags) error {
	err := c.configure(fl)
	f := *flags
	if err == nil {
		f.metricsSet = fl.Changed("metrics")
		err = f.complete(c)
	}
	all := append([]finding{c.judge("settings", "they fit together", err)}, c.checkVariables(fl)...)
	if err == nil {
		all = append(all, good("quotas", f.kept.String()+" strangers="+strangers(f.strangers)))
		data, runs := c.checkData(ctx, f)
		all = append(append(all, data...), c.checkCertificate(ctx, f)...)
		all = append(all, c.checkAddress("listen", f.listen, runs))
		if f.metrics != "off" {
			all = append(all, c.checkAddress("metrics", f.metrics, runs))
		}
	}
	failed := false
	for _, g := range all {
		failed = failed || !g.OK
		if err := c.finding(g); err != nil {
			return err
		}
	}
	if failed {
		return errChecks
	}
	return nil
}

// strangers is the flag's value as --quota would have it.
func strangers(n int) string {
	if n < 0 {
		return "off"
	}
	return strconv.Itoa(n)
}

// judge is a finding that is good without an error.
func (c *cli) judge(check, detail string, err error) finding {
	if err != nil {
		return c.bad(check, err)
	}
	return good(check, detail)
}

// clientVariables are those that are not serve's.
var clientVariables = []string{
	"RESEAL_HOME", "RESEAL_SERVER", "RESEAL_PASSWORD", "RESEAL_NEW_PASSWORD", "RESEAL_RECOVERY_CODE", "RESEAL_INVITE", noColor,
	"RESEAL_CONFIG", "RESEAL_PLAIN_HTTP", "RESEAL_KEYRING",
}

// checkVariables finds names that nobody reads, which are most likely mistyped.
func (c *cli) checkVariables(fl *pflag.FlagSet) (all []finding) {
	known := slices.Clone(clientVariables)
	fl.VisitAll(func(f *pflag.Flag) { known = append(known, variable(f.Name)) })
	for _, v := range c.vars {
		name, _, _ := strings.Cut(v, "=")
		if !slices.Contains(known, name) {
			all = append(all, finding{"variables", false, name + " means nothing", "see \"reseal serve --help\" for the names"})
		}
	}
	return all
}

// checkData looks at the data folder, store and key file, and tells whether a
// server runs with them.
func (c *cli) checkData(ctx context.Context, f serveFlags) (all []finding, runs bool) {
	info, err := os.Stat(f.data)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return append(all, good("data", f.data+" will be made"), c.checkRoom(f.data)), false
	case err != nil:
		return append(all, c.bad("data", err)), false
	case !info.IsDir():
		return append(all, finding{"data", false, f.data + " is no folder", "give another --data"}), false
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		all = append(all, finding{"data", false, f.data + " is open to others", "chmod 700 it"})
	default:
		all = append(all, good("data", f.data))
	}
	all = append(all, c.checkRoom(f.data))
	if err := backup.Check(f.data); err != nil {
		return append(all, c.bad("data", err)), false
	}
	if _, err := os.Stat(filepath.Join(f.data, "store")); err != nil {
		return append(all, good("store", "will be made")), false
	}
	st, err := pebble.Open(filepath.Join(f.data, "store"), server.Schema(), pebble.Options{Logger: slog.New(slog.DiscardHandler), CheckAll: true})
	if errors.Is(err, store.ErrBusy) {
		return append(all, good("store", "in use by a server that runs")), true
	}
	if err != nil {
		return append(all, c.bad("store", err)), false
	}
	all = append(all, good("store", "opens, no file is damaged"))
	_, err = server.LoadKeyFile(ctx, st, f.key, rand.Reader)
	return append(all, c.judge("key file", f.key, errors.Join(err, st.Close()))), false
}

func (c *cli) checkRoom(folder string) finding {
	g := checkDisk(folder)
	if free, known := freeDisk(folder); known && free < 4*minServerDisk && g.OK {
		g.Detail, g.Hint = terminal.Size(free)+" free", "the server refuses to store below 256 MiB"
	}
	return g
}

// checkCertificate reads the certificate as the server would.
func (c *cli) checkCertificate(ctx context.Context, f serveFlags) (all []finding) {
	const check = "certificate"
	if f.tls.cert != "" {
		source, err := f.source(slog.New(slog.DiscardHandler))
		if err != nil {
			return []finding{c.bad(check, err)}
		}
		left := time.Until(source.NotAfter())
		g := good(check, "ends in "+terminal.Span(left))
		if left < soon {
			g.Hint = "renew it: the server reads it again by itself"
		}
		all = append(all, g)
		if info, err := os.Stat(f.tls.key); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o004 != 0 {
			all = append(all, finding{check, false, f.tls.key + " can be read by everybody", "chmod 600 it, or 640 for a group"})
		}
	}
	for _, domain := range f.tls.domains {
		g := good(check, domain+" by ACME")
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		if _, err := net.DefaultResolver.LookupHost(ctx, domain); err != nil {
			g = finding{check, false, domain + " has no address", "its authority must find this server by the DNS"}
		} else if _, port, _ := net.SplitHostPort(f.listen); port != "443" {
			g.Hint = "the authority connects to port 443: it must lead to " + f.listen
		}
		cancel()
		all = append(all, g)
	}
	return all
}

// checkAddress tries whether it can be listened at, unless the very server does.
func (c *cli) checkAddress(check, addr string, runs bool) finding {
	l, err := net.Listen("tcp", addr)
	switch {
	case runs && errors.Is(err, syscall.EADDRINUSE):
		return good(check, addr+", in use")
	case err != nil:
		return c.bad(check, fmt.Errorf("%s: %w", addr, err))
	}
	return c.judge(check, addr, l.Close())
}
