package server_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/reseal/reseal/api/mux"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/bus/local"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/mailbox"
)

// valve is a client's network that can stop to read.
type valve struct {
	mu   sync.Mutex
	open chan struct{} // closed: reads go on
}

func newValve() *valve {
	v := &valve{open: make(chan struct{})}
	close(v.open)
	return v
}

func (v *valve) shut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open = make(chan struct{})
}

func (v *valve) reopen() {
	v.mu.Lock()
	defer v.mu.Unlock()
	close(v.open)
}

type valved struct {
	net.Conn
	v *valve
}

func (c valved) Read(b []byte) (int, error) {
	c.v.mu.Lock()
	open := c.v.open
	c.v.mu.Unlock()
	<-open
	return c.Conn.Read(b)
}

func (v *valve) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
		return valved{c, v}, nil
	}}}
}

// transports are the ways to have an event stream, over a client.
var transports = map[string]func(t *testing.T, c *http.Client, url string) connect.Transport{
	"http": func(_ *testing.T, c *http.Client, url string) connect.Transport {
		return connecthttp.NewTransport(c, url)
	},
	"websocket": func(t *testing.T, c *http.Client, url string) connect.Transport {
		return tw.Must[*mux.Conn](t)(mux.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+mux.Path, mux.DialOptions{HTTPClient: c}))
	},
}

// metric reads one line of the server's metrics.
func metric(t *testing.T, s *server.Server, name string) string {
	t.Helper()
	r := httptest.NewRecorder()
	s.OperatorHandler().ServeHTTP(r, httptest.NewRequest("GET", "/metrics", nil))
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func isAccount(ev *resealv1.EventsResponse) bool { return ev.GetAccount() != nil }

// A client that does not read its event stream stalls nobody else of the same
// account and topics, and is cut off when one answer is not taken in its time.
func TestSlowReaderIsCut(t *testing.T) {
	for name, dial := range transports {
		t.Run(name, func(t *testing.T) {
			b := new(local.Bus)
			w := tw.New(t, func(c *server.Config) { c.Bus = b })
			server.SetTimes(w.Server, time.Second)
			url := serve(t, w.Server)
			bob := w.Account("bob")
			tablet := bob.Account.Join()
			v := newValve()
			bob.C = tw.ClientOver(dial(t, v.client(), url), bob.Token())
			tablet.C = tw.ClientOver(dial(t, new(http.Client), url), tablet.Token())
			slow, _ := bob.Events()
			other, _ := tablet.Events()
			v.shut()
			cut := func() bool {
				ended := metric(t, w.Server, fmt.Sprintf("reseal_stream_ends_total{reason=%q}", mux.ReasonSlowReader))
				return metric(t, w.Server, "reseal_event_streams") == "1" && (name != "websocket" || ended == "1")
			}
			for n := 0; !cut(); n++ {
				if n == 1000 {
					t.Fatal("the slow reader is not cut")
				}
				for range 100 { // each is taken before the next one comes
					b.Publish(mailbox.DirectoryTopic(bob.Account.ID), nil)
					other.Until(isAccount)
				}
			}
			v.reopen()
			if err := slow.End(); err == nil {
				t.Error("the stream ended in good order")
			}
		})
	}
}

// What waits for a slow reader is bounded: past that it is told to read its days
// again, and gets the rest no more.
func TestSlowReaderIsToldToResync(t *testing.T) {
	for name, dial := range transports {
		t.Run(name, func(t *testing.T) {
			b := new(local.Bus)
			w := tw.New(t, func(c *server.Config) { c.Bus = b })
			url := serve(t, w.Server)
			bob := w.Account("bob")
			v := newValve()
			bob.C = tw.ClientOver(dial(t, v.client(), url), bob.Token())
			s, _ := bob.Events()
			v.shut()
			const hints = 50_000
			for range hints {
				b.Publish(mailbox.DirectoryTopic(bob.Account.ID), nil)
			}
			v.reopen()
			got := 0
			s.Until(func(ev *resealv1.EventsResponse) bool {
				if isAccount(ev) {
					got++
				}
				return ev.GetResync()
			})
			if got >= hints/2 {
				t.Errorf("%d of %d hints were kept", got, hints)
			}
		})
	}
}

// narrow gives the system little to keep for a client that does not read.
type narrow struct{ net.Listener }

func (l narrow) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		_ = c.(*net.TCPConn).SetWriteBuffer(8 << 10)
	}
	return c, err
}

// serve lets a server listen on loopback until the test ends.
func serve(t *testing.T, s *server.Server) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(c, narrow{l})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return "http://" + l.Addr().String()
}
