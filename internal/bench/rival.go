package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/reseal/reseal/internal/bench/process"
	"github.com/reseal/reseal/message"
)

// Rival is another server that is put through the same work: the same load from
// the same process, on the same cores. Its users are numbers, and it is told
// nothing else of them.
type Rival interface {
	// Name begins the names of its figures: "floor" has floor-flood.
	Name() string
	// Command starts the server with files in a folder. It prints an object with
	// its url as its first line. With chain and key, PEM files, it takes TLS 1.3.
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

// filing is a rival that takes files, too: by PUT and GET at its url, a slash, and
// a name.
type filing interface {
	Rival
	FilesCommand(folder string) *exec.Cmd
}

// rivalFigures are the figures of a rival: those of the same names here, for what
// it can do.
func rivalFigures(r Rival) []Figure {
	like := func(name string, values []Meaning, run func(context.Context, *stage) error) Figure {
		return Figure{
			Name:       r.Name() + "-" + name,
			Definition: "As " + name + ", of " + r.Name() + ".",
			Values:     values, own: true, run: run,
		}
	}
	all := []Figure{
		like("flood", []Meaning{perSecond, perCPU, inFlood}, func(ctx context.Context, s *stage) error {
			return s.rivalMessages(ctx, r, (*load).flood)
		}),
		like("rate", []Meaning{fromDue, perCPU, perSecond}, func(ctx context.Context, s *stage) error {
			return s.rivalMessages(ctx, r, func(l *load, ctx context.Context) error { return l.rate(ctx, s.rate) })
		}),
		like("idle", []Meaning{perUser, forNone}, func(ctx context.Context, s *stage) error { return s.rivalIdle(ctx, r, nil) }),
		like("idle-tls", []Meaning{perUser, forNone}, func(ctx context.Context, s *stage) error {
			c, err := s.certify()
			if err != nil {
				return err
			}
			return s.rivalIdle(ctx, r, c)
		}),
	}
	if f, ok := r.(filing); ok {
		all = append(all, like("blob", []Meaning{putRate, putCost, putTime, getRate, getCost, getTime}, func(ctx context.Context, s *stage) error {
			return s.rivalBlob(ctx, f)
		}))
	}
	return all
}

// rival starts a rival's server, as serve does ours.
func (s *stage) rival(ctx context.Context, cmd *exec.Cmd) (*host, error) {
	p, err := process.Start(ctx, cmd, s.core, filepath.Join(s.dir, "server.log"))
	if err != nil {
		return nil, err
	}
	h := &host{url: p.URL, pid: p.PID(), http: s.client(nil), stop: sync.OnceValue(p.Stop)}
	s.stops = append(s.stops, h.stop)
	return h, nil
}

func (s *stage) rivalMessages(ctx context.Context, r Rival, drive func(*load, context.Context) error) error {
	return s.measured(ctx, func(ctx context.Context) (*host, *load, error) {
		h, err := s.rival(ctx, r.Command(s.dir, "", ""))
		if err != nil {
			return nil, nil, err
		}
		l := &load{senders: s.users}
		clients, err := s.rivalUsers(ctx, r, h, nil, s.users, func(body []byte) {
			if id, ok := numbered(body); ok {
				l.arrived(id)
			}
		})
		if err != nil {
			return nil, nil, err
		}
		filler := make([]byte, s.payload)
		_, _ = rand.Read(filler) // never fails
		var last atomic.Uint64
		l.send = func(_ context.Context, sender int, posted func(message.ID)) error {
			body := append([]byte(nil), filler...)
			binary.BigEndian.PutUint64(body, last.Add(1))
			id, _ := numbered(body)
			posted(id)
			return clients[sender].Send(sender^1, body)
		}
		return h, l, nil
	}, drive)
}

// numbered is the id of a message that begins with its number.
func numbered(body []byte) (id message.ID, ok bool) {
	return id, len(body) >= 8 && copy(id[:8], body) == 8
}

// rivalUsers connects users, and takes them offline at the end.
func (s *stage) rivalUsers(ctx context.Context, r Rival, h *host, roots *x509.CertPool, n int, arrived func([]byte)) ([]RivalClient, error) {
	clients := make([]RivalClient, n)
	s.stops = append(s.stops, func() error {
		return parallel(n, func(i int) error {
			if clients[i] == nil {
				return nil
			}
			return clients[i].Close()
		})
	})
	return clients, parallel(n, func(i int) (err error) {
		clients[i], err = r.Connect(ctx, h.url, roots, i, arrived)
		return err
	})
}

func (s *stage) rivalIdle(ctx context.Context, r Rival, c *certificate) error {
	var chain, key string
	var roots *x509.CertPool
	if c != nil {
		chain, key, roots = c.chain, c.key, c.roots
	}
	h, err := s.rival(ctx, r.Command(s.dir, chain, key))
	if err != nil {
		return err
	}
	return s.memory(ctx, h, func() error {
		_, err := s.rivalUsers(ctx, r, h, roots, s.idleUsers, func([]byte) {})
		return err
	})
}

// rivalBlob sends and gets as many bytes as blob does, in one request each.
func (s *stage) rivalBlob(ctx context.Context, r filing) error {
	h, err := s.rival(ctx, r.FilesCommand(s.dir))
	if err != nil {
		return err
	}
	sealed, result, err := sealBlob()
	if err != nil {
		return err
	}
	request := func(method string, i int, body []byte, want int) error {
		req, err := http.NewRequestWithContext(ctx, method, fmt.Sprint(h.url, "/", i), bytes.NewReader(body))
		if err != nil {
			return err
		}
		resp, err := h.http.Do(req)
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
		if resp.StatusCode != want || (method == http.MethodGet && uint64(n) != result.Length) {
			return fmt.Errorf("%s: %s, %d bytes", method, resp.Status, n)
		}
		return nil
	}
	return errors.Join(
		s.transfers(h, result.Length, putRate, putCost, putTime, func(i int) error {
			return request(http.MethodPut, i, sealed, http.StatusCreated)
		}),
		s.transfers(h, result.Length, getRate, getCost, getTime, func(i int) error {
			return request(http.MethodGet, i, nil, http.StatusOK)
		}),
	)
}
