//go:build !js

package mux_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/coder/websocket"
	"github.com/reseal/reseal/api/mux"
)

func TestDialNamesWhatIsWrong(t *testing.T) {
	serve := func(f http.HandlerFunc) string {
		s := httptest.NewServer(f)
		t.Cleanup(s.Close)
		return s.URL
	}
	accept := func(protocols []string, then func(*websocket.Conn)) string {
		return serve(func(w http.ResponseWriter, r *http.Request) {
			ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: protocols})
			if err == nil {
				then(ws)
				_ = ws.CloseNow()
			}
		})
	}
	ours := []string{mux.Subprotocol}
	free := listen(t, func(net.Conn) {})
	real := newWorld(t, mux.Options{})
	tlsURL, _ := tlsWorld(t, real)
	for _, tt := range []struct {
		name, url string
		want      error
	}{
		{"nobody", "ws://127.0.0.1:1", mux.ErrUnreachable},
		{"hangs up", "ws://" + free, mux.ErrUnreachable},
		{"speaks no http", "ws://" + listen(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1)) // speaking first, it would count as hanging up
			_, _ = io.WriteString(c, "500 what?\r\n")
			_, _ = io.Copy(io.Discard, c)
		}), mux.ErrNotReseal},
		{"web page", serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }), mux.ErrNotReseal},
		{"not found", serve(http.NotFound), mux.ErrNotReseal},
		{"proxy without a server", serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }), mux.ErrUnreachable},
		{"redirect", serve(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, real.url+mux.Path, http.StatusTemporaryRedirect)
		}), mux.ErrNotReseal},
		{"other websocket", accept(nil, func(*websocket.Conn) {}), mux.ErrNotReseal},
		{"welcome is noise", accept(ours, func(ws *websocket.Conn) {
			_, _, _ = ws.Read(context.Background())
			_ = ws.Write(context.Background(), websocket.MessageBinary, []byte("hello, who are you?"))
		}), mux.ErrNotReseal},
		{"welcome is text", accept(ours, func(ws *websocket.Conn) {
			_ = ws.Write(context.Background(), websocket.MessageText, []byte("hi"))
		}), mux.ErrNotReseal},
		{"call limit 0", accept(ours, func(ws *websocket.Conn) {
			_ = ws.Write(context.Background(), websocket.MessageBinary, encode(0x81, 0, append(make([]byte, 8), 0, 1, 0, 0, 0, 0, 0)))
		}), mux.ErrNotReseal},
		{"untrusted certificate", tlsURL, mux.ErrNotReseal},
		{"tls to a plain server", strings.Replace(real.url, "http:", "wss:", 1), mux.ErrNotReseal},
		{"plain to another machine", "ws://192.0.2.1", mux.ErrPlain},
		{"plain to a name", "http://reseal.example", mux.ErrPlain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c, err := mux.Dial(ctx, tt.url, mux.DialOptions{})
			if c != nil || !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
		})
	}
	for _, url := range []string{"", "127.0.0.1:1", "ftp://127.0.0.1", "ws://u:p@127.0.0.1", "ws://127.0.0.1/?token=x", "ws://127.0.0.1/#x"} {
		if _, err := mux.Dial(t.Context(), url, mux.DialOptions{}); err == nil || errors.Is(err, mux.ErrUnreachable) {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestDialIsBoundedByItsContext(t *testing.T) {
	quiet := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := mux.Dial(ctx, "ws://"+quiet, mux.DialOptions{}); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, mux.ErrUnreachable) {
		t.Errorf("error = %v", err)
	}
}

func TestOverTLS(t *testing.T) {
	w := newWorld(t, mux.Options{})
	url, client := tlsWorld(t, w)
	// HTTP/2 is on: the handshake must fall back to HTTP/1.1 by itself.
	c, err := mux.Dial(t.Context(), url, mux.DialOptions{HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if out, err := callEcho(t.Context(), c, "sealed"); err != nil || out != "sealed" {
		t.Errorf("echo = %q, %v", out, err)
	}
}

// proxy forwards to a server and can die, or go silent, at any time.
func proxy(t *testing.T, to string, tamper func(down net.Conn, up net.Conn)) string {
	return listen(t, func(down net.Conn) {
		up, err := net.Dial("tcp", strings.TrimPrefix(to, "http://"))
		if err != nil {
			return
		}
		defer up.Close()
		tamper(down, up)
	})
}

func TestServerDiesUnderCalls(t *testing.T) {
	w := newWorld(t, mux.Options{})
	kill := make(chan struct{})
	c, err := mux.Dial(t.Context(), "ws://"+proxy(t, w.url, func(down, up net.Conn) {
		go func() { _, _ = io.Copy(up, down) }()
		go func() { _, _ = io.Copy(down, up) }()
		<-kill
	}), mux.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stream := open(t, t.Context(), c, forever, 0)
	if _, err := receive(stream); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { close(kill) })
	if _, err := call(t.Context(), c, hang, ""); connect.CodeOf(err) != connect.CodeUnavailable || !errors.Is(err, mux.ErrLost) {
		t.Errorf("unary = %v", err)
	}
	if _, err := receive(stream); connect.CodeOf(err) != connect.CodeUnavailable || errors.Is(err, io.EOF) {
		t.Errorf("stream = %v, which must not look complete", err)
	}
	<-c.Done()
	if !errors.Is(c.Err(), mux.ErrLost) {
		t.Errorf("connection = %v", c.Err())
	}
	if _, err := callEcho(t.Context(), c, ""); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("call afterwards = %v", err)
	}
	w.eventually("the server notices", func() bool { return len(w.endedBy()) == 2 && w.handler.Conns() == 0 })
}

func TestSilentServerIsNoticed(t *testing.T) {
	w := newWorld(t, mux.Options{})
	c, err := mux.Dial(t.Context(), "ws://"+proxy(t, w.url, func(down, up net.Conn) {
		go func() { _, _ = io.Copy(up, down) }()
		// Handshake, then WELCOME, then nothing more.
		r := bufio.NewReader(up)
		for {
			line, err := r.ReadString('\n')
			_, _ = io.WriteString(down, line)
			if err != nil || line == "\r\n" {
				break
			}
		}
		b := make([]byte, 1000)
		n, _ := r.Read(b)
		_, _ = down.Write(b[:n])
		_, _ = io.Copy(io.Discard, r)
	}), mux.DialOptions{PingEvery: 20 * time.Millisecond, PingTimeout: 40 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := call(t.Context(), c, hang, ""); !errors.Is(err, mux.ErrSilent) {
		t.Errorf("call = %v", err)
	}
}

// A server that breaks the protocol ends its connection, not the client.
func TestLyingServer(t *testing.T) {
	welcome := encode(0x81, 0, append(make([]byte, 8), 0, 16, 0, 0, 0, 16, 0))
	for _, tt := range []struct {
		name string
		send []byte
	}{
		{"noise", []byte("no frame at all")},
		{"frame of the client", encode(0x02, 1, make([]byte, 20))},
		{"message for no call", encode(0x83, 9, nil)},
		{"end for no call", encode(0x84, 9, make([]byte, 6))},
		{"two answers", append(encode(0x83, 1, nil), encode(0x83, 1, nil)...)},
		{"headers behind the message", append(encode(0x83, 1, nil), encode(0x82, 1, []byte{0, 0})...)},
		{"malformed end", encode(0x84, 1, []byte{0, 0, 1, 'x', 0, 0, 0})},
		{"code out of range", encode(0x84, 1, []byte{17, 0, 0, 0, 0, 0})},
		{"second welcome", welcome},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{mux.Subprotocol}})
				if err != nil {
					return
				}
				defer ws.CloseNow()
				_, _, _ = ws.Read(r.Context())
				_ = ws.Write(r.Context(), websocket.MessageBinary, welcome)
				_, _, _ = ws.Read(r.Context()) // the call
				_ = ws.Write(r.Context(), websocket.MessageBinary, tt.send)
				_, _, _ = ws.Read(r.Context())
			}))
			defer s.Close()
			c, err := mux.Dial(t.Context(), s.URL, mux.DialOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := callEcho(t.Context(), c, ""); connect.CodeOf(err) != connect.CodeUnavailable || !errors.Is(err, mux.ErrViolation) {
				t.Errorf("call = %v", err)
			}
			<-c.Done() // the whole connection, and not the call alone
			if !errors.Is(c.Err(), mux.ErrViolation) {
				t.Errorf("connection = %v", c.Err())
			}
		})
	}
	// Streams have more ways: more than the window.
	t.Run("over the window", func(t *testing.T) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{mux.Subprotocol}})
			if err != nil {
				return
			}
			defer ws.CloseNow()
			_, _, _ = ws.Read(r.Context())
			_ = ws.Write(r.Context(), websocket.MessageBinary, welcome)
			_, _, _ = ws.Read(r.Context())
			for range 5000 { // empty messages count too
				_ = ws.Write(r.Context(), websocket.MessageBinary, encode(0x83, 1, nil))
			}
			_, _, _ = ws.Read(r.Context())
		}))
		defer s.Close()
		c, err := mux.Dial(t.Context(), s.URL, mux.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open(t, t.Context(), c, forever, 0)
		<-c.Done()
		if !errors.Is(c.Err(), mux.ErrViolation) {
			t.Errorf("connection = %v", c.Err())
		}
	})
}
