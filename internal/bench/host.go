package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/reseal/reseal/internal/bench/process"
)

// host is a server under measurement.
type host struct {
	url  string
	pid  int // 0: not known
	http *http.Client
}

// host is the server that was given, or one that is started now and stopped at
// the end of the figure.
func (s *stage) host(ctx context.Context) (*host, error) {
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS13}
	client := &http.Client{Transport: tr}
	s.stops = append(s.stops, func() error { client.CloseIdleConnections(); return nil })
	if s.o.Server != "" {
		return &host{s.o.Server, s.o.PID, client}, nil
	}
	s.hosts++
	data := filepath.Join(s.dir, fmt.Sprintf("server%d", s.hosts))
	p, err := s.serve(ctx, data)
	if err != nil {
		return nil, err
	}
	s.stops = append(s.stops, p.Stop)
	return &host{p.URL, p.PID(), client}, nil
}

func (s *stage) serve(ctx context.Context, data string, args ...string) (*process.Server, error) {
	all := append([]string{"serve", "--json", "--data", data, "--listen", "127.0.0.1:0", "--metrics", "off"}, s.o.ServerArgs...)
	cmd := s.o.Command(append(all, args...)...)
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	for i := 0; i < len(cmd.Env); { // settings of whoever runs this are not the server's
		if strings.HasPrefix(cmd.Env[i], "RESEAL_") && !strings.HasPrefix(cmd.Env[i], "RESEAL_TEST_") {
			cmd.Env = append(cmd.Env[:i:i], cmd.Env[i+1:]...)
			continue
		}
		i++
	}
	return process.Start(ctx, cmd, s.core, data+".log")
}

// usage is a moment with what was used up to it.
type usage struct {
	at             time.Time
	server, client time.Duration
	known          bool // what the server used
}

func (h *host) usage() usage {
	u := usage{at: time.Now()}
	if cpu, err := process.CPU(h.pid); h.pid != 0 && err == nil {
		u.server, u.known = cpu, true
	}
	u.client, _ = process.CPU(os.Getpid())
	return u
}

// span is what was used between two moments.
type span struct {
	long, server, client time.Duration
	known                bool
}

func (u usage) since(from usage) span {
	return span{u.at.Sub(from.at), u.server - from.server, u.client - from.client, u.known && from.known}
}

// around fills in how long a value was measured and how busy both sides were.
func (p span) around(v Value) Value {
	v.Seconds = p.long.Seconds()
	v.ServerCores, v.ClientCores = float64(p.server)/float64(p.long), float64(p.client)/float64(p.long)
	return v
}

// each are n of something in a span, a second.
func (p span) each(n int64) Value { return p.around(Value{Value: float64(n) / p.long.Seconds()}) }

// perThousand is the server's processor time for a thousand of n.
func (p span) perThousand(n int64) Value {
	return p.around(Value{Value: p.server.Seconds() * 1000 / float64(n)})
}
