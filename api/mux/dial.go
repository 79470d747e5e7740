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
	ws, err := dialWebSocket(ctx, target, o)
	if err != nil {
		return nil, err
	}
	c := newConn(ws, o)
	rest, err := c.hello(ctx, fields)
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

// hello exchanges HELLO and WELCOME and returns what came behind it.
func (c *Conn) hello(ctx context.Context, fields []field) (rest []byte, err error) {
	c.ws.SetReadLimit(int64(c.o.MaxMessage) + maxBatch)
	b, at := beginFrame(nil, frameHello, 0)
	b = endFrame(appendFields(b, fields), at)
	sent := now()
	if err := c.ws.Write(ctx, websocket.MessageBinary, b); err != nil {
		return nil, dialError(ctx, ErrUnreachable, err)
	}
	m, err := c.message(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil, errors.Is(err, ErrLost):
		return nil, dialError(ctx, ErrUnreachable, err)
	case errors.Is(err, ErrGoingAway):
		return nil, dialError(ctx, ErrUnreachable, err)
	default:
		return nil, fmt.Errorf("%w: %v", ErrNotReseal, err)
	}
	f, rest, err := nextFrame(m, c.o.MaxMessage)
	if err == nil && f.typ == frameEnd && f.call == 0 {
		e, err := parseEnd(f.payload)
		if err == nil && e.err != nil {
			return nil, e.err
		}
	}
	if err != nil || f.typ != frameWelcome {
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
