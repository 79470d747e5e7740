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

	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/backup"
	"github.com/reseal/reseal/server/certs"
	"github.com/reseal/reseal/store/pebble"
)

const (
	defaultListen  = "127.0.0.1:8470"
	defaultMetrics = "127.0.0.1:8471"
	// drainTimeout is how long what is under way may take at the end.
	drainTimeout = 20 * time.Second
)

func (c *cli) serve(ctx context.Context, f serveFlags) (err error) {
	if err := f.complete(c); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(c.stderr, nil))
	now := func() time.Time { return time.Now().Add(time.Duration(f.clock)) }
	if err := errors.Join(backup.Check(f.data), os.MkdirAll(f.data, 0o700)); err != nil {
		return err
	}
	st, err := pebble.Open(filepath.Join(f.data, "store"), server.Schema(), pebble.Options{Logger: log, Clock: now, SweepEvery: f.sweep})
	if err != nil {
		return fmt.Errorf("%s: %w", f.data, err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	setup, err := server.LoadKeyFile(ctx, st, f.key, rand.Reader)
	if err != nil {
		return err
	}
	config := server.Config{
		Limits: &f.rates, Quotas: &f.kept, Store: st, BlobFolder: filepath.Join(f.data, "blobs"), Setup: setup, Log: log, Now: now, Version: version(), Signup: signups[f.signup],
		Strangers: f.strangers, MaxCalls: f.calls,
	}
	source, err := f.source(log)
	if err != nil {
		return err
	}
	if source != nil {
		config.TLS, config.CertificateEnd = certs.Config(source), source.NotAfter
	}
	s, err := server.New(config)
	if err != nil {
		return err
	}
	if a, ok := source.(*certs.ACME); ok {
		f.begin = a.Begin
	}
	return c.serveClients(ctx, s, st, log, f)
}

// serveClients runs until the context ends and what is under way has finished,
// or the store has failed.
func (c *cli) serveClients(ctx context.Context, s *server.Server, st *pebble.Store, log *slog.Logger, f serveFlags) error {
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
	if sock, err := listenAdmin(f.data); err != nil {
		// A file system without sockets: clients are served all the same.
		log.Warn("server: no commands of the operator", "error", err)
	} else {
		go func() { _ = s.ServeAdmin(running, sock) }() // ends with running
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(running, l) }()
	if err := c.listening(l.Addr().String(), f.url(l.Addr().String()), metricsAddr); err != nil {
		cut()
		return errors.Join(err, <-served)
	}
	if f.begin != nil {
		go f.begin(running)
	}
	go tidy(running)
	select {
	case err = <-served:
	case err = <-metrics:
		cut()
		err = errors.Join(err, <-served)
	case <-st.Failed():
		cut()
		err = <-served // why, the store's Close says
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
func (c *cli) listening(addr, url, metrics string) error {
	if c.json {
		return c.object(struct {
			Event   string `json:"event"`
			Address string `json:"address"`
			URL     string `json:"url"`
			Metrics string `json:"metrics,omitempty"`
		}{"listening", addr, url, metrics})
	}
	return c.printf("reseal: serving at %s\n", url)
}

// source is where the certificate comes from; nil without TLS.
func (f *serveFlags) source(log *slog.Logger) (certs.Source, error) {
	if f.tls.cert != "" {
		return certs.NewFiles(f.tls.cert, f.tls.key, certs.FilesOptions{Log: log})
	}
	if len(f.tls.domains) == 0 {
		return nil, nil
	}
	return certs.NewACME(certs.ACMEOptions{
		Domains: f.tls.domains, Folder: filepath.Join(f.data, "acme"), Directory: f.tls.directory, Email: f.tls.email, Log: log,
	})
}

// url is where clients find the server: at a name that is certified, if there is
// one.
func (f *serveFlags) url(addr string) string {
	if !f.tls.on() {
		return "http://" + addr
	}
	if len(f.tls.domains) > 0 {
		_, port, err := net.SplitHostPort(addr)
		if addr = f.tls.domains[0]; err == nil && port != "443" {
			addr = net.JoinHostPort(addr, port)
		}
	}
	return "https://" + addr
}
