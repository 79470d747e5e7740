package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/reseal/reseal/internal/bench/presealed"
	"github.com/reseal/reseal/internal/bench/process"
)

// host is a server under measurement.
type host struct {
	url string
	pid int // 0: not known
	// metrics is the host and port of its metrics, empty where there are none.
	metrics string
	http    *http.Client
	stop    func() error // nil for one that was running before
}

// host is the server that was given, or one that is started now and stopped at
// the end of the figure.
func (s *stage) host(ctx context.Context) (*host, error) {
	if s.o.Server != "" {
		return &host{url: s.o.Server, pid: s.o.PID, http: s.client(nil)}, nil
	}
	return s.serve(ctx, nil)
}

// client makes requests to a server whose certificate these roots vouch for; nil
// is the system's.
func (s *stage) client(roots *x509.CertPool) *http.Client {
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots}
	tr.MaxIdleConnsPerHost = 64
	s.stops = append(s.stops, func() error { tr.CloseIdleConnections(); return nil })
	return &http.Client{Transport: tr}
}

// serve starts a server over the figure's data, with TLS where it has a
// certificate, and with more flags.
func (s *stage) serve(ctx context.Context, c *certificate, more ...string) (*host, error) {
	args := append([]string{"serve", "--json", "--data", filepath.Join(s.dir, "server"), "--listen", "127.0.0.1:0", "--metrics", "off"}, s.o.ServerArgs...)
	var roots *x509.CertPool
	if c != nil {
		args, roots = append(args, "--tls-cert", c.chain, "--tls-key", c.key), c.roots
	}
	p, err := process.Start(ctx, s.command(append(args, more...)...), s.core, filepath.Join(s.dir, "server.log"))
	if err != nil {
		return nil, err
	}
	h := &host{url: p.URL, pid: p.PID(), metrics: p.Metrics, http: s.client(roots), stop: sync.OnceValue(p.Stop)}
	s.stops = append(s.stops, h.stop)
	return h, nil
}

// command is a command of this program. Settings of whoever measures are not
// those of what is measured.
func (s *stage) command(args ...string) *exec.Cmd {
	cmd := s.o.Command(args...)
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = slices.DeleteFunc(slices.Clone(cmd.Env), func(v string) bool {
		return strings.HasPrefix(v, "RESEAL_") && !strings.HasPrefix(v, "RESEAL_TEST_")
	})
	return cmd
}

// online is a connection for calls without a session; it ends with the figure.
func (s *stage) online(ctx context.Context, h *host) (*presealed.Host, error) {
	desk, err := presealed.Dial(ctx, h.url, h.http)
	if err == nil {
		s.stops = append(s.stops, func() error { desk.Close(); return nil })
	}
	return desk, err
}

// usage is a moment with what was used up to it.
type usage struct {
	at             time.Time
	server, client time.Duration // server is 0 where it is not known
}

func (h *host) usage() usage {
	u := usage{at: time.Now()}
	if h.pid != 0 {
		for _, pid := range process.Tree(h.pid) { // some rivals have several
			if cpu, err := process.CPU(pid); err == nil {
				u.server += cpu
			}
		}
	}
	u.client, _ = process.CPU(os.Getpid())
	return u
}

// memory is what the server holds, bytes.
func (h *host) memory() (sum uint64, err error) {
	for _, pid := range process.Tree(h.pid) {
		n, err := process.Memory(pid)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// span is what was used between two moments.
type span struct {
	long, server, client time.Duration
}

func (u usage) since(from usage) span {
	return span{u.at.Sub(from.at), u.server - from.server, u.client - from.client}
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
