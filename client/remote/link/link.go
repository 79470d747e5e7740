package link

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/reseal/reseal/api/mux"
)

// Options configure a Link. URL is needed; the rest has defaults.
type Options struct {
	// URL is the server's, see mux.Dial.
	URL string
	// Token is the session's; zero before login.
	Token Token
	// FailFast makes calls fail at once while there is no connection.
	FailFast bool
	// OnState is told every change, in order, from the link's goroutine: it
	// must return soon and must not call Close.
	OnState func(State)

	// A try that failed is followed by another after rand * min(MaxBackoff,
	// MinBackoff * 2^n), n the number of failures before it. A connection that
	// lived for Stable starts the count anew.
	MinBackoff  time.Duration // 500 ms
	MaxBackoff  time.Duration // 1 min
	Stable      time.Duration // 10 s
	DialTimeout time.Duration // 15 s

	// Rand gives a number in [0, 1) for the jitter. It is called from one
	// goroutine. Default: math/rand/v2.
	Rand func() float64
	// Dial has the remaining settings of each connection. Its Header is sent
	// besides the token.
	Dial mux.DialOptions

	// connect is what tests put in the place of mux.Dial.
	connect func(context.Context, Token) (session, error)
}

// session is what a Link needs of a connection; *mux.Conn is one.
type session interface {
	connect.Transport
	Done() <-chan struct{}
	Err() error
	GoingAway() <-chan struct{}
	Welcome() mux.Welcome
	Offset() time.Duration
	Close() error
}

// Link keeps one connection alive. It is a [connect.Transport] and safe for
// concurrent use. Close it.
type Link struct {
	o      Options
	cancel context.CancelFunc
	done   chan struct{} // the goroutine has ended
	poke   chan struct{} // cap 1: try now

	// Of the link's goroutine.
	old []session // connections that go away

	mu      sync.Mutex
	token   Token
	fresh   bool // the token changed since the last try began
	current session
	state   State
	changed chan struct{} // closed and replaced when current or state changes
	offset  time.Duration
	known   bool
}

// Open starts a link; it does not wait for the connection.
func Open(o Options) (*Link, error) {
	if o.URL == "" && o.connect == nil {
		return nil, errors.New("link: no server URL")
	}
	if !o.Token.valid() {
		return nil, errToken
	}
	if o.OnState == nil {
		o.OnState = func(State) {}
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{
		{&o.MinBackoff, 500 * time.Millisecond},
		{&o.MaxBackoff, time.Minute},
		{&o.Stable, 10 * time.Second},
		{&o.DialTimeout, 15 * time.Second},
	} {
		if *d.v <= 0 {
			*d.v = d.d
		}
	}
	if o.connect == nil {
		url, how := o.URL, o.Dial // not all of o, which has the token
		o.connect = func(ctx context.Context, t Token) (session, error) { return dial(ctx, url, how, t) }
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Link{
		o: o, cancel: cancel, token: o.Token, done: make(chan struct{}),
		poke: make(chan struct{}, 1), changed: make(chan struct{}), state: State{Kind: Connecting},
	}
	go l.run(ctx)
	return l, nil
}

var errToken = errors.New("link: malformed session token")

func dial(ctx context.Context, url string, o mux.DialOptions, t Token) (session, error) {
	header := &connect.Header{}
	for k, v := range o.Header.All() {
		header.SetValues(k, v)
	}
	if !t.IsZero() {
		header.Set("authorization", "Bearer "+t.secret)
	}
	o.Header = header
	c, err := mux.Dial(ctx, url, o)
	if err != nil {
		return nil, err // not c: a nil *Conn is no nil session
	}
	return c, nil
}

// Close ends the link and every call on it, and waits for its goroutine.
func (l *Link) Close() error {
	l.cancel()
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token, l.o.Token = Token{}, Token{} // who keeps a closed Link keeps no secret
	return nil
}

// Retry connects at once, if there is no connection: a person asked for it, or
// the network came back. It also ends the rest after ErrSessionEnded.
func (l *Link) Retry() {
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// SetToken changes the session; the connection is made anew with it, and calls
// under way on the old one end.
func (l *Link) SetToken(t Token) error {
	if !t.valid() {
		return errToken
	}
	l.mu.Lock()
	l.token, l.fresh = t, true
	// Calls made from now on belong to the new session: none may go out on
	// the old connection.
	l.current = nil
	l.notify()
	l.mu.Unlock()
	l.Retry()
	return nil
}

// State is how the link stands now.
func (l *Link) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// ServerTime is the server's clock minus ours; false before the first
// connection. It stays known when the connection is lost.
func (l *Link) ServerTime() (offset time.Duration, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != nil {
		l.offset = l.current.Offset()
	}
	return l.offset, l.known
}

// Wait returns when the link is connected, or with the reason when the session
// has ended, the link is closed, or ctx is done.
func (l *Link) Wait(ctx context.Context) error {
	_, err := l.session(ctx, false)
	return err
}

// NewClientStream starts a call on the present connection, see the package
// documentation on what happens without one.
func (l *Link) NewClientStream(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
	fast := l.o.FailFast
	if v, ok := ctx.Value(failFastKey{}).(bool); ok {
		fast = v
	}
	s, err := l.session(ctx, fast)
	if err != nil {
		return nil, err
	}
	inner, err := s.NewClientStream(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &stream{ClientStream: inner, l: l, ctx: ctx, spec: spec, fast: fast}, nil
}

func (l *Link) session(ctx context.Context, fast bool) (session, error) {
	for {
		l.mu.Lock()
		s, state, changed := l.current, l.state, l.changed
		l.mu.Unlock()
		if s != nil {
			select {
			case <-s.Done(): // run is about to notice
			case <-s.GoingAway():
			default:
				return s, nil
			}
		}
		switch {
		case state.Kind == Closed:
			return nil, offline(ErrClosed)
		case state.Kind == SessionEnded, fast && state.Err != nil:
			return nil, offline(state.Err)
		case fast:
			return nil, offline(ErrOffline)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			code := connect.CodeCanceled
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				code = connect.CodeDeadlineExceeded
			}
			err := connect.NewError(code, "no connection to the server").WithCause(ctx.Err())
			return nil, err.WithCause(state.Err) // nil: none was tried to the end
		}
	}
}

// notify needs l.mu.
func (l *Link) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}
