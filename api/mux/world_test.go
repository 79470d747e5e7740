//go:build !js

package mux_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/reseal/reseal/api/mux"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The procedures of the test service. Strings go in and come out.
const (
	echo    = "/test.v1.Test/Echo"    // answers what it got; header and trailer "seen" have the authorization
	fail    = "/test.v1.Test/Fail"    // answers by the error set in world.err
	count   = "/test.v1.Test/Count"   // streams 1 to n, n from the request
	blobs   = "/test.v1.Test/Blobs"   // streams n times 8 KiB
	hang    = "/test.v1.Test/Hang"    // unary, until its context ends
	forever = "/test.v1.Test/Forever" // streams one message, then nothing until its context ends
	slow    = "/test.v1.Test/Slow"    // unary, until world.release is closed
	panics  = "/test.v1.Test/Panics"
	upload  = "/test.v1.Test/Upload" // client streaming
)

func spec(procedure string) connect.Spec {
	s := connect.Spec{Procedure: procedure}
	switch procedure {
	case count, blobs, forever:
		s.StreamType = connect.StreamTypeServer
	case upload:
		s.StreamType = connect.StreamTypeClient
	}
	return s
}

// world is a real server on loopback with the test service.
type world struct {
	t       testing.TB
	handler *mux.Handler
	http    *httptest.Server
	url     string
	release chan struct{}

	mu      sync.Mutex
	err     error
	ended   []error      // contexts of hang and forever, as their handlers saw them end
	sends   int          // messages that blobs has sent
	reasons []mux.Reason // why connections closed
}

func newWorld(t testing.TB, o mux.Options) *world {
	w := &world{t: t, release: make(chan struct{})}
	server := connect.NewServer()
	unary := func(f func(ctx context.Context, in string) (string, error)) connect.ServerFunc {
		return func(ctx context.Context, _ connect.Spec, s connect.ServerStream) error {
			var in wrapperspb.StringValue
			if err := s.Receive(&in); err != nil {
				return err
			}
			out, err := f(ctx, in.Value)
			if err != nil {
				return err
			}
			return s.Send(wrapperspb.String(out))
		}
	}
	stream := func(f func(ctx context.Context, n int64, send func(string) error) error) connect.ServerFunc {
		return func(ctx context.Context, _ connect.Spec, s connect.ServerStream) error {
			var in wrapperspb.Int64Value
			if err := s.Receive(&in); err != nil {
				return err
			}
			return f(ctx, in.Value, func(v string) error { return s.Send(wrapperspb.String(v)) })
		}
	}
	register := func(p string, f connect.ServerFunc) { server.Register(connect.Method{Spec: spec(p), Handler: f}) }
	register(echo, unary(func(ctx context.Context, in string) (string, error) {
		info, _ := connect.CallInfoForServerContext(ctx)
		info.ResponseHeader().Set("seen", info.RequestHeader().Get("authorization"))
		info.ResponseTrailer().Add("trail", "one")
		info.ResponseTrailer().Add("trail", "two")
		return in, nil
	}))
	register(fail, unary(func(context.Context, string) (string, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return "", w.err
	}))
	register(count, stream(func(ctx context.Context, n int64, send func(string) error) error {
		info, _ := connect.CallInfoForServerContext(ctx)
		info.ResponseHeader().Set("seen", "count")
		for i := range n {
			if err := send(string(rune('a' + i%26))); err != nil {
				return err
			}
		}
		info.ResponseTrailer().Set("trail", "end")
		return nil
	}))
	big := string(make([]byte, 8<<10))
	register(blobs, stream(func(_ context.Context, n int64, send func(string) error) error {
		for range n {
			if err := send(big); err != nil {
				return err
			}
			w.mu.Lock()
			w.sends++
			w.mu.Unlock()
		}
		return nil
	}))
	wait := func(ctx context.Context) error {
		<-ctx.Done()
		w.mu.Lock()
		w.ended = append(w.ended, ctx.Err())
		w.mu.Unlock()
		return ctx.Err()
	}
	register(hang, unary(func(ctx context.Context, _ string) (string, error) { return "", wait(ctx) }))
	register(slow, unary(func(context.Context, string) (string, error) { <-w.release; return "late", nil }))
	register(forever, stream(func(ctx context.Context, _ int64, send func(string) error) error {
		_ = send("first") // fails when the call was cancelled before
		return wait(ctx)
	}))
	register(panics, unary(func(context.Context, string) (string, error) { panic("secret of a client") }))
	register(upload, unary(func(context.Context, string) (string, error) { return "", nil }))

	closed := o.Closed
	o.Closed = func(r mux.Reason) {
		w.mu.Lock()
		w.reasons = append(w.reasons, r)
		w.mu.Unlock()
		if closed != nil {
			closed(r)
		}
	}
	w.handler = mux.NewHandler(server, o)
	routes := http.NewServeMux()
	routes.Handle("GET "+mux.Path, w.handler)
	w.http = httptest.NewServer(routes)
	w.url = w.http.URL
	t.Cleanup(w.stop)
	return w
}

func (w *world) stop() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = w.handler.Drain(ctx)
	w.http.Close()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func (w *world) dial(o mux.DialOptions) *mux.Conn {
	w.t.Helper()
	c, err := mux.Dial(w.t.Context(), w.url, o)
	if err != nil {
		w.t.Fatalf("dial: %v", err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

// reason waits for a connection to have closed and says why.
func (w *world) reason() mux.Reason {
	w.t.Helper()
	var r mux.Reason
	w.eventually("a connection closes", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.reasons) > 0 {
			r = w.reasons[0]
		}
		return len(w.reasons) > 0
	})
	return r
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	eventually(w.t, what, ok)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func (w *world) endedBy() []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]error(nil), w.ended...)
}

func callEcho(ctx context.Context, c connect.Transport, in string) (string, error) {
	return call(ctx, c, echo, in)
}

func call(ctx context.Context, c connect.Transport, procedure, in string) (string, error) {
	var out wrapperspb.StringValue
	err := connect.NewClient(c).CallUnary(ctx, spec(procedure), wrapperspb.String(in), &out)
	return out.Value, err
}

func open(t testing.TB, ctx context.Context, c connect.Transport, procedure string, n int64) connect.ClientStream {
	t.Helper()
	s, err := connect.NewClient(c).CallServerStream(ctx, spec(procedure), wrapperspb.Int64(n))
	if err != nil {
		t.Fatalf("open %s: %v", procedure, err)
	}
	return s
}

func receive(s connect.ClientStream) (string, error) {
	var out wrapperspb.StringValue
	err := s.Receive(&out)
	return out.Value, err
}

func drainAll(s connect.ClientStream) (n int, err error) {
	for {
		if _, err := receive(s); err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
		n++
	}
}

// tlsWorld serves w's handler by TLS; the client trusts its certificate.
func tlsWorld(t *testing.T, w *world) (url string, client *http.Client) {
	s := httptest.NewUnstartedServer(w.http.Config.Handler)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return s.URL, &http.Client{Transport: transport}
}

// listen serves conns by hand: for servers that are none.
func listen(t *testing.T, serve func(net.Conn)) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); serve(c) }()
		}
	}()
	return l.Addr().String()
}
