package server_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/reseal/reseal/api/mux"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/internal/acmetest"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/certs"
)

// secure is what a server needs to speak TLS on this machine, and what a client
// needs to trust it.
func secure(t *testing.T) (of, with *tls.Config) {
	t.Helper()
	a, err := acmetest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	cert, key, err := a.Pair(time.Hour, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")}
	for i, b := range [][]byte{cert, key} {
		if err := os.WriteFile(names[i], b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := certs.NewFiles(names[0], names[1], certs.FilesOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return certs.Config(f), &tls.Config{RootCAs: a.Roots(), ServerName: "127.0.0.1"}
}

func secureClient(c *tls.Config, h2 bool) *http.Client {
	p := new(http.Protocols)
	p.SetHTTP1(!h2)
	p.SetHTTP2(h2)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: c.Clone(), Protocols: p}, Timeout: time.Minute}
}

// One listener has everything over TLS as well; without TLS it has nothing.
func TestTLS(t *testing.T) {
	of, with := secure(t)
	s := run(t, func(c *server.Config) { c.TLS = of })
	url := "https" + strings.TrimPrefix(s.url, "http")
	both := &http.Client{Transport: &http.Transport{TLSClientConfig: with.Clone(), ForceAttemptHTTP2: true}, Timeout: time.Minute}
	ws, err := mux.Dial(context.Background(), url, mux.DialOptions{HTTPClient: both})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	for name, tr := range map[string]connect.Transport{
		"http/1.1":  connecthttp.NewTransport(secureClient(with, false), url),
		"http/2":    connecthttp.NewTransport(secureClient(with, true), url),
		"grpc":      connecthttp.NewTransport(secureClient(with, true), url, connecthttp.WithGRPC()),
		"websocket": ws,
	} {
		got, err := resealv1connect.NewAccountServiceClient(connect.NewClient(tr)).ServerInfo(t.Context(), &resealv1.ServerInfoRequest{})
		if err != nil || got.Version != "test" {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	resp, err := both.Get(url + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || resp.ProtoMajor != 2 || resp.TLS.Version != tls.VersionTLS13 || resp.TLS.CurveID != tls.X25519MLKEM768 {
		t.Errorf("%s over %s, TLS %x, %v", resp.Status, resp.Proto, resp.TLS.Version, resp.TLS.CurveID)
	}
	if resp, err := client(false).Get(s.url + "/"); err == nil {
		resp.Body.Close()
		if resp.StatusCode == 200 {
			t.Error("plain HTTP on the listener with TLS")
		}
	}
	if resp, err := client(true).Get(s.url + "/"); err == nil {
		resp.Body.Close()
		t.Error("plain HTTP/2 on the listener with TLS")
	}
	// Too much of a header, over HTTP/2.
	req, _ := http.NewRequest("GET", url+"/", nil)
	req.Header.Set("X-Long", strings.Repeat("x", 64<<10))
	if resp, err := secureClient(with, true).Do(req); err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("long headers over HTTP/2: %s", resp.Status)
		}
	}
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// settings is an empty SETTINGS frame, headers the head of a HEADERS frame on
// stream 1 with so many bytes (RFC 9113, sections 6.5 and 6.2).
const settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"

func headers(flags byte, block string) string {
	return string([]byte{0, 0, byte(len(block)), 1, flags, 0, 0, 0, 1}) + block
}

// post is the block of a POST to a call, out of the static table and literals
// (RFC 7541).
const post = "\x83\x86\x04\x23/reseal.v1.AccountService/ServerInfo\x01\x01x\x0f\x10\x11application/proto"

// drip sends a byte now and then, for ever: each resets whatever counts only
// silence.
func drip(c net.Conn) {
	for {
		if _, err := c.Write([]byte("x")); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// say sends a text, and is silent then.
func say(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

// sayThenDrip sends a text, and then a byte now and then.
func sayThenDrip(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		drip(c)
	}
}

const postHead = "POST /reseal.v1.AccountService/ServerInfo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: 900000\r\n\r\n"

// TestSlowClients: who holds a connection without using it loses it, whatever
// he says meanwhile, on the listener with TLS and on the plain one; others are
// served all the while.
func TestSlowClients(t *testing.T) {
	const short = 300 * time.Millisecond
	type attack struct {
		alpn   string // "" for none of TLS: what is said goes out as it is
		attack func(net.Conn)
	}
	both := map[string]attack{
		"head that never ends":      {"http/1.1", sayThenDrip("GET / HTTP/1.1\r\nX-A: ")},
		"head that stops":           {"http/1.1", say("GET / HTTP/1.1\r\nHost")},
		"nothing":                   {"http/1.1", say("")},
		"body that never ends":      {"http/1.1", sayThenDrip(postHead)},
		"body that stops":           {"http/1.1", say(postHead)},
		"idle after an answer":      {"http/1.1", say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
		"HTTP/2 after the preface":  {"h2", say(preface)},
		"HTTP/2 idle":               {"h2", say(preface + settings)},
		"HTTP/2 half a frame":       {"h2", say(preface + settings + "\x00\x10\x00\x00")},
		"HTTP/2 frame byte by byte": {"h2", sayThenDrip(preface + settings + "\x00\x40\x00\x00\x00\x00\x00\x00\x01")},
		"HTTP/2 headers without an end": {
			"h2", say(preface + settings + headers(0, post)),
		},
		"HTTP/2 body that never comes": {"h2", say(preface + settings + headers(4, post))},
	}
	onlyTLS := map[string]attack{
		"no handshake":           {"", say("")},
		"half a handshake":       {"", say("\x16\x03\x01\x02\x00\x01")},
		"handshake byte by byte": {"", sayThenDrip("\x16\x03\x01\x40\x00\x01\x00\x3f\xfc")},
	}
	of, with := secure(t)
	for name, c := range map[string]*tls.Config{"TLS": of, "plain": nil} {
		t.Run(name, func(t *testing.T) {
			w := tw.New(t, func(cfg *server.Config) { cfg.TLS = c })
			server.SetTimes(w.Server, short)
			server.SetConnTimes(w.Server, short)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(ctx)
			done := make(chan error, 1)
			go func() { done <- w.Server.Serve(ctx, l) }()
			t.Cleanup(func() {
				cancel()
				<-done
			})
			run := func(name string, a attack) {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					conn, err := net.Dial("tcp", l.Addr().String())
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close()
					if c != nil && a.alpn != "" {
						cfg := with.Clone()
						cfg.NextProtos = []string{a.alpn}
						conn = tls.Client(conn, cfg)
					}
					go a.attack(conn)
					_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
					if _, err := io.Copy(io.Discard, conn); os.IsTimeout(err) {
						t.Error("still connected")
					}
				})
			}
			for name, a := range both {
				run(name, a)
			}
			if c != nil {
				for name, a := range onlyTLS {
					run(name, a)
				}
			}
			run("somebody who behaves", attack{"", func(conn net.Conn) {
				defer conn.Close()
				hc, url := client(false), "http://"+l.Addr().String()
				if c != nil {
					hc, url = secureClient(with, false), "https://"+l.Addr().String()
				}
				for range 5 {
					resp, err := hc.Get(url + "/")
					if err != nil || resp.StatusCode != 200 {
						t.Errorf("not served: %v", err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}})
		})
	}
}
