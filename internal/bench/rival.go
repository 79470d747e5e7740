package bench

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/reseal/reseal/internal/bench/process"
)

// Rival is another server that is put through the same work: the same load from
// the same process, on the same cores. Its users are numbers, and it is told
// nothing else of them.
type Rival interface {
	// Name begins the names of its figures: "floor" has floor-flood.
	Name() string
	// Figures are the names of those here that it can be measured for: of flood,
	// rate, idle, idle-tls, drain and blob.
	Figures() []string
	// Command starts the server with files in a folder. It prints an object with
	// its url as its first line, and may take connections a little later. With chain
	// and key, PEM files, it takes TLS 1.3.
	Command(folder, chain, key string) *exec.Cmd
	// Connect connects a user; arrived gets what comes for him. roots vouch for
	// the server's certificate, nil where there is no TLS.
	Connect(ctx context.Context, url string, roots *x509.CertPool, user int, arrived func([]byte)) (RivalClient, error)
}

// RivalClient is a connected user of a rival. It must be safe for concurrent use.
type RivalClient interface {
	// Send hands a message over. That it was stored durably and delivered is told
	// by its arrival.
	Send(to int, body []byte) error
	Close() error
}

// preparing is a rival whose users need something before they connect: accounts,
// say. What it stored is there when its server is started again over its folder.
type preparing interface {
	Prepare(ctx context.Context, url string, users int) error
}

// filing is a rival that has another server for files. Files are taken by PUT and
// GET at its url, a slash, and a name.
type filing interface {
	FilesCommand(folder string) *exec.Cmd
}

// rivalFigures are the figures of a rival: those of the same names here, for what
// it can do.
func rivalFigures(r Rival) (all []Figure) {
	for _, f := range []Figure{
		{Name: "flood", Values: []Meaning{perSecond, perCPU, inFlood}, run: func(ctx context.Context, s *stage) error {
			return s.rivalMessages(ctx, r, (*load).flood)
		}},
		{Name: "rate", Values: []Meaning{fromDue, perCPU, perSecond}, run: func(ctx context.Context, s *stage) error {
			return s.rivalMessages(ctx, r, func(l *load, ctx context.Context) error { return l.rate(ctx, s.rate) })
		}},
		{Name: "idle", Values: []Meaning{perUser, forNone}, run: func(ctx context.Context, s *stage) error {
			return s.rivalIdle(ctx, r, new(certificate))
		}},
		{Name: "idle-tls", Values: []Meaning{perUser, forNone}, run: func(ctx context.Context, s *stage) error {
			c, err := s.certify()
			if err != nil {
				return err
			}
			return s.rivalIdle(ctx, r, c)
		}},
		{Name: "drain", Values: []Meaning{drained, drainCost, takenCPU}, run: func(ctx context.Context, s *stage) error {
			return s.rivalDrain(ctx, r)
		}},
		{Name: "blob", Values: []Meaning{putRate, putCost, putTime, getRate, getCost, getTime}, run: func(ctx context.Context, s *stage) error {
			return s.rivalBlob(ctx, r)
		}},
	} {
		if slices.Contains(r.Figures(), f.Name) {
			f.Definition = "As " + f.Name + ", of " + r.Name() + "."
			f.Name, f.own = r.Name()+"-"+f.Name, true
			all = append(all, f)
		}
	}
	return all
}

// rival starts a rival's server, as serve does ours.
func (s *stage) rival(ctx context.Context, cmd *exec.Cmd) (*host, error) {
	p, err := process.Start(ctx, cmd, s.core, filepath.Join(s.dir, "server.log"))
	if err != nil {
		return nil, err
	}
	h := &host{url: p.URL, pid: p.PID(), http: s.client(nil), stop: sync.OnceValue(func() error {
		// Not every server calls it success when it was asked to end.
		if err := p.Stop(); err != nil && !isExit(err) {
			return err
		}
		return nil
	})}
	s.stops = append(s.stops, h.stop)
	return h, s.listening(ctx, h.url)
}

func isExit(err error) bool {
	_, ok := errors.AsType[*exec.ExitError](err)
	return ok
}

// listening waits until a server takes connections.
func (s *stage) listening(ctx context.Context, at string) error {
	u, err := url.Parse(at)
	if err != nil {
		return err
	}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
		if err == nil {
			return c.Close()
		}
		if ctx.Err() != nil || time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "server.log"))
			return fmt.Errorf("the server does not take connections: %w: %s", err, bytes.TrimSpace(log))
		}
	}
}

// prepared starts a rival's server with what n users need.
func (s *stage) prepared(ctx context.Context, r Rival, n int) (*host, error) {
	h, err := s.rival(ctx, r.Command(s.dir, "", ""))
	if p, ok := r.(preparing); ok && err == nil {
		err = p.Prepare(ctx, h.url, n)
	}
	return h, err
}
