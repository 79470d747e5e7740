package mux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/coder/websocket"
)

// DialOptions configure the client half. The zero value is ready to use.
type DialOptions struct {
	// Header goes into HELLO and so to every call; the session token among
	// them ("authorization").
	Header *connect.Header
	// HTTPClient does the handshake (not in browsers). It never follows a
	// redirect. Default: http.DefaultClient.
	HTTPClient *http.Client
	// Plain permits ws and http URLs to other machines, where everybody on the
	// way reads the session token. Loopback needs no leave.
	Plain bool
	// Ask draws a question to the server for each connection, 1 to MaxAsk
	// bytes, and what checks its answer. Nothing of Header is sent before check
	// was content; its error is Dial's, as it is. Default: nothing is asked.
	Ask func() (question []byte, check func(answer []byte) error, err error)

	MaxMessage  int           // bytes of one message from the server; 1 MiB
	PingEvery   time.Duration // 25 s; keep it well below the server's IdleTimeout
	PingTimeout time.Duration // 10 s

	// Now is the wall clock that Offset is about. Default: time.Now.
	Now func() time.Time
}

// Dial connects to the server at rawURL: scheme ws, wss, http or https, a
// host, and a path, [Path] if there is none. ctx bounds the connecting only.
// Errors wrap ErrUnreachable, ErrNotReseal, ErrPlain or ctx's error, or are
// the *connect.Error that the server refused HELLO with.
func Dial(ctx context.Context, rawURL string, o DialOptions) (*Conn, error) {
	target, err := target(rawURL, o.Plain)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.MaxMessage = orDefault(o.MaxMessage, MaxMessage)
	o.PingEvery = orDefault(o.PingEvery, 25*time.Second)
	o.PingTimeout = orDefault(o.PingTimeout, 10*time.Second)
	fields, err := fieldsOf(o.Header)
	if err != nil {
		return nil, err
	}
	check := func([]byte) error { return nil }
	if o.Ask != nil {
		var question []byte
		if question, check, err = o.Ask(); err != nil {
			return nil, err
		}
		target = asking(target, question)
	}
	ws, err := dialWebSocket(ctx, target, o)
	if err != nil {
		return nil, err
	}
	c := newConn(ws, o)
	c.ws.SetReadLimit(int64(o.MaxMessage) + maxBatch)
	var rest []byte
	if o.Ask != nil {
		rest, err = c.answer(ctx, check)
	}
	if err == nil {
		rest, err = c.hello(ctx, fields, rest)
	}
	if err != nil {
		c.fail(err)
		return nil, err
	}
	go c.read(rest)
	go c.keepAlive()
	return c, nil
}

// CheckURL tells what Dial would refuse a URL for before it connects: ErrPlain,
// or another error for one that is malformed.
func CheckURL(rawURL string, plain bool) error {
	_, err := target(rawURL, plain)
	return err
}

// target refuses what could leak a token: plain text over a network, and
// URLs with anything in them that only a secret would be.
func target(raw string, plain bool) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("mux: malformed server URL")
	}
	switch u.Scheme {
	case "http", "ws":
		if !plain && !loopback(u.Hostname()) {
			return "", ErrPlain
		}
		u.Scheme = "ws"
	case "https", "wss":
		u.Scheme = "wss"
	default:
		return "", errors.New("mux: server URL is not http, https, ws or wss")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = Path
	}
	return u.String(), nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// hello exchanges HELLO and WELCOME and returns what came behind it; rest is
// what came before.
func (c *Conn) hello(ctx context.Context, fields []field, rest []byte) ([]byte, error) {
	b, at := beginFrame(nil, frameHello, 0)
	b = endFrame(appendFields(b, fields), at)
	sent := now()
	if err := c.ws.Write(ctx, websocket.MessageBinary, b); err != nil {
		return nil, dialError(ctx, ErrUnreachable, err)
	}
	f, rest, err := c.first(ctx, rest)
	if err != nil {
		return nil, err
	}
	if f.typ != frameWelcome {
		return nil, fmt.Errorf("%w: no welcome", ErrNotReseal)
	}
	if c.welcome, err = parseWelcome(f.payload); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrNotReseal, err)
	}
	c.slots = make(chan struct{}, c.welcome.MaxCalls)
	c.learn(c.welcome.Time, time.Duration(now()-sent))
	return rest, nil
}

// dialError is kind with its cause; the caller's own context error goes with
// it, so that errors.Is finds either.
func dialError(ctx context.Context, kind, err error) error {
	if cerr := ctx.Err(); cerr != nil {
		return fmt.Errorf("%w: %w", kind, cerr)
	}
	return fmt.Errorf("%w: %v", kind, err) // never wrapping io.EOF, see message
}
