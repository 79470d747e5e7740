package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/reseal/reseal/internal/bench"
	"github.com/reseal/reseal/internal/bench/floor"
)

// floorRival is the floor in a process of its own: this program again.
type floorRival struct{}

func (floorRival) Name() string { return "floor" }

func (floorRival) Figures() []string {
	return []string{"flood", "rate", "idle", "idle-tls", "drain", "blob"}
}

func (floorRival) Command(folder, chain, key string) *exec.Cmd {
	return self("floor", "-log", filepath.Join(folder, "floor.log"), "-chain", chain, "-key", key)
}

func (floorRival) FilesCommand(folder string) *exec.Cmd { return self("floor", "-files", folder) }

func self(args ...string) *exec.Cmd {
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	return exec.Command(path, args...)
}

func (floorRival) Connect(ctx context.Context, at string, roots *x509.CertPool, user int, arrived func([]byte)) (bench.RivalClient, error) {
	u, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	var d interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = &net.Dialer{Timeout: 30 * time.Second}
	if roots != nil {
		d = &tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots}}
	}
	c, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	return floor.Connect(c, user, arrived)
}

// serveFloor is the floor's process, until SIGTERM.
func serveFloor(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("floor", flag.ContinueOnError)
	log := f.String("log", "", "take messages, with the log in `FILE`")
	files := f.String("files", "", "take files into `DIR`")
	chain := f.String("chain", "", "certificate chain, a PEM `FILE`")
	key := f.String("key", "", "its key, a PEM `FILE`")
	if err := f.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, closing(l))
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"url": "http://" + l.Addr().String()}); err != nil {
		return err
	}
	if *files != "" {
		s := &http.Server{Handler: floor.Files(*files), ReadHeaderTimeout: time.Minute}
		if err := s.Serve(l); ctx.Err() == nil {
			return err
		}
		return nil
	}
	if *log == "" {
		return fmt.Errorf("give -log or -files")
	}
	s, err := floor.New(*log)
	if err != nil {
		return err
	}
	if *chain != "" {
		pair, err := tls.LoadX509KeyPair(*chain, *key)
		if err != nil {
			return err
		}
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}})
	}
	if err = s.Serve(l); ctx.Err() != nil {
		err = nil
	}
	return errors.Join(err, s.Close())
}

// closing ends a listener; under TLS it is the one below that is closed.
func closing(l net.Listener) func() { return func() { _ = l.Close() } }
