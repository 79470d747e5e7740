//go:build !js

package mux

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/coder/websocket"
)

// Options configure the server half. The zero value is ready to use; every
// limit that is 0 has the default named.
type Options struct {
	// Admit decides on a connection by its HELLO, before any call. The context
	// that it returns must be derived from the one it gets; it is the parent
	// of every call's context, so values set here are seen by handlers. When
	// it is cancelled the connection ends; a *connect.Error as its cause is
	// told to the client. A *connect.Error returned refuses the connection
	// with it; any other error becomes CodeInternal without text. nil admits
	// everybody. It is called from many goroutines.
	Admit func(ctx context.Context, peer Peer) (context.Context, error)
	// Answer answers what a client asks before it says HELLO, 1 to MaxAsk bytes
	// each; an error refuses the connection. nil answers nobody. It is called
	// from many goroutines, for strangers: it must be cheap.
	Answer func(question []byte) ([]byte, error)
	// PeerAddr names the client's address, for a server behind a proxy that it
	// trusts. Default: the request's RemoteAddr.
	PeerAddr func(*http.Request) string
	// Origins are host patterns that browsers' pages may connect from, besides
	// the server's own host (path.Match).
	Origins []string
	// Version is told to clients in WELCOME, at most 255 printable ASCII
	// characters.
	Version string
	// Draining is the error of calls refused or ended by Drain. Default:
	// CodeUnavailable, "server is going away".
	Draining *connect.Error

	MaxMessage   int           // bytes of one message, both ways; 1 MiB
	MaxCalls     int           // calls at once on a connection, at most 65,535; 64
	MaxHeld      int           // bytes of requests of running calls on a connection; 8 MiB
	MaxConns     int           // connections at once; 65,536
	HelloTimeout time.Duration // from accept to WELCOME; 10 s
	IdleTimeout  time.Duration // silence of a client; 75 s
	WriteTimeout time.Duration // one write to a client; 30 s

	// Now is the wall clock told to clients. Default: time.Now.
	Now func() time.Time
	// Closed is told why each admitted connection ended, for counters. It is
	// called once for each, from many goroutines.
	Closed func(Reason)
	// Log gets panics of handlers (procedure and stack, no message, no
	// header). Default: discarded.
	Log *slog.Logger
}

// Peer is who wants to connect.
type Peer struct {
	// Addr is the client's address as PeerAddr has it.
	Addr string
	// Header is what HELLO brought. It holds the session token: never log it.
	Header *connect.Header
}

// Reason is why a connection ended, as the server saw it.
type Reason string

// The reasons. They travel as the reason of the WebSocket close frame where
// one can still be sent.
const (
	ReasonClient      Reason = "closed by client"
	ReasonLost        Reason = "connection lost"
	ReasonProtocol    Reason = "protocol violation"
	ReasonTooLarge    Reason = "message too large"
	ReasonSlowReader  Reason = "slow reader"
	ReasonIdle        Reason = "idle"
	ReasonHelloLate   Reason = "no hello in time"
	ReasonRefused     Reason = "refused"
	ReasonSession     Reason = "session ended"
	ReasonGoingAway   Reason = "server is going away"
	ReasonInternal    Reason = "internal error"
	ReasonSubprotocol Reason = "subprotocol missing"
	ReasonAsk         Reason = "no answer to that"
)

// Handler is the server half. Create it by NewHandler; mount it at Path. It is
// safe for concurrent use. ServeHTTP returns right after the WebSocket was
// accepted, so an idle connection keeps no HTTP buffers or goroutine stack
// alive: it costs one goroutine that reads.
type Handler struct {
	server *connect.Server
	o      Options
	// methods is by procedure, read only.
	methods map[string]connect.Spec

	wg sync.WaitGroup // one for each connection in conns

	mu       sync.Mutex
	conns    map[*serverConn]struct{}
	draining bool
	stop     chan struct{} // ends the sweeper; nil: none runs
}

// NewHandler serves the methods that server has at this time; register all
// before.
func NewHandler(server *connect.Server, o Options) *Handler {
	if o.PeerAddr == nil {
		o.PeerAddr = func(r *http.Request) string { return r.RemoteAddr }
	}
	if o.Draining == nil {
		o.Draining = connect.NewError(connect.CodeUnavailable, string(ReasonGoingAway))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Closed == nil {
		o.Closed = func(Reason) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if len(o.Version) > 255 || !validValue(o.Version) {
		panic("mux: internal error: Options.Version is not 255 printable ASCII characters")
	}
	o.MaxMessage = orDefault(o.MaxMessage, MaxMessage)
	o.MaxCalls = min(orDefault(o.MaxCalls, 64), 65535)
	o.MaxHeld = orDefault(o.MaxHeld, 8<<20)
	o.MaxConns = orDefault(o.MaxConns, 65536)
	o.HelloTimeout = orDefault(o.HelloTimeout, 10*time.Second)
	o.IdleTimeout = orDefault(o.IdleTimeout, 75*time.Second)
	o.WriteTimeout = orDefault(o.WriteTimeout, 30*time.Second)
	h := &Handler{server: server, o: o, methods: map[string]connect.Spec{}, conns: map[*serverConn]struct{}{}}
	for spec := range server.Specs() {
		h.methods[spec.Procedure] = spec
	}
	return h
}

// ServeHTTP accepts one WebSocket. Without the subprotocol, and for a question
// that has no answer, it answers 400, while draining or full 503.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !offers(r, Subprotocol) {
		http.Error(w, string(ReasonSubprotocol), http.StatusBadRequest)
		return
	}
	answer, err := h.answer(r)
	if err != nil {
		http.Error(w, string(ReasonAsk), http.StatusBadRequest)
		return
	}
	c := newServerConn(h, h.o.PeerAddr(r))
	c.answer = answer
	if !h.add(c) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "no connection to be had", http.StatusServiceUnavailable)
		return
	}
	ws, err := websocket.Accept(lean{w}, r, &websocket.AcceptOptions{
		Subprotocols: []string{Subprotocol}, OriginPatterns: h.o.Origins,
		// Off: see the package documentation on compression.
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil { // Accept has answered
		h.remove(c)
		return
	}
	c.start(ws)
}

// answer is nil where nothing is asked.
func (h *Handler) answer(r *http.Request) ([]byte, error) {
	question, err := asked(r.URL.Query())
	if err != nil || question == nil {
		return nil, err
	}
	if h.o.Answer == nil {
		return nil, ErrFrame
	}
	return h.o.Answer(question)
}

func offers(r *http.Request, want string) bool {
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		if slices.ContainsFunc(strings.Split(line, ","), func(s string) bool { return strings.TrimSpace(s) == want }) {
			return true
		}
	}
	return false
}

func (h *Handler) add(c *serverConn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining || len(h.conns) >= h.o.MaxConns {
		return false
	}
	h.conns[c] = struct{}{}
	h.wg.Add(1)
	if h.stop == nil {
		h.stop = make(chan struct{})
		go h.sweep(h.stop)
	}
	return true
}

func (h *Handler) remove(c *serverConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c)
	if len(h.conns) == 0 && h.stop != nil {
		close(h.stop)
		h.stop = nil
	}
	h.wg.Done()
}

// Conns is the number of connections now.
func (h *Handler) Conns() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns)
}

// Drain refuses new connections and calls, sends GOAWAY to all clients, ends
// streams with Options.Draining and waits for unary calls to end; each
// connection closes when its last call has ended. When ctx is done before,
// what is left is cut and ctx's error returned. The handler cannot be used
// again.
func (h *Handler) Drain(ctx context.Context) error {
	h.mu.Lock()
	h.draining = true
	conns := h.all()
	h.mu.Unlock()
	for _, c := range conns {
		// A goroutine each: one client that does not read must not keep the
		// others from hearing.
		go c.drain()
	}
	done := make(chan struct{})
	go func() {
		h.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	h.mu.Lock()
	conns = h.all()
	h.mu.Unlock()
	for _, c := range conns {
		c.cut(ReasonGoingAway, h.o.Draining)
	}
	return ctx.Err()
}

// all needs h.mu.
func (h *Handler) all() []*serverConn {
	conns := make([]*serverConn, 0, len(h.conns))
	for c := range h.conns {
		conns = append(conns, c)
	}
	return conns
}

// sweep is the one timer of all connections.
func (h *Handler) sweep(stop chan struct{}) {
	tick := min(h.o.HelloTimeout, h.o.IdleTimeout, h.o.WriteTimeout) / 4
	ticker := time.NewTicker(max(tick, 5*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		h.mu.Lock()
		conns := h.all()
		h.mu.Unlock()
		at := now()
		for _, c := range conns {
			c.check(at)
		}
	}
}
