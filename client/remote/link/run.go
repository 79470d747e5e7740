package link

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/reseal/reseal/api/mux"
)

// run is the link's goroutine: try, serve, wait, again.
func (l *Link) run(ctx context.Context) {
	defer close(l.done)
	failures := 0
	var last error
	for ctx.Err() == nil {
		l.set(State{Kind: Connecting, Err: last})
		s, err := l.try(ctx)
		if err == nil {
			began := time.Now()
			err = l.serve(ctx, s)
			if time.Since(began) >= l.o.Stable {
				failures = 0
			}
		}
		if ctx.Err() != nil {
			break
		}
		last = err
		switch {
		case errors.Is(err, errNewToken):
			failures, last = 0, nil
			continue
		case errors.Is(err, ErrSessionEnded):
			l.set(State{Kind: SessionEnded, Err: err})
			l.rest(ctx, nil)
			failures = 0
			continue
		}
		delay := l.backoff(failures)
		failures++
		if !errors.Is(err, mux.ErrGoingAway) {
			l.set(State{Kind: Disconnected, Err: err, Retry: delay})
		}
		timer := time.NewTimer(delay)
		if l.rest(ctx, timer.C) {
			failures = 0
		}
		timer.Stop()
	}
	l.set(State{Kind: Closed})
	for _, s := range l.old {
		_ = s.Close()
	}
}

// backoff is full jitter: anything from nothing to the exponential bound, so
// that clients that lost their server together do not return together.
func (l *Link) backoff(failures int) time.Duration {
	bound := l.o.MaxBackoff
	if failures < 30 {
		bound = min(bound, l.o.MinBackoff<<failures)
	}
	return time.Duration(l.o.Rand() * float64(bound))
}

// rest waits for the timer or a Retry; true for the latter.
func (l *Link) rest(ctx context.Context, timer <-chan time.Time) bool {
	select {
	case <-ctx.Done():
	case <-timer:
	case <-l.poke:
		return true
	}
	return false
}

var errNewToken = errors.New("link: new session token")

func (l *Link) try(ctx context.Context) (session, error) {
	l.mu.Lock()
	token := l.token
	l.fresh = false
	l.mu.Unlock()
	dialing, cancel := context.WithTimeout(ctx, l.o.DialTimeout)
	defer cancel()
	s, err := l.o.connect(dialing, token)
	return s, name(err)
}

// serve makes s the current connection until it ends, goes away, or has an old
// token, and says which.
func (l *Link) serve(ctx context.Context, s session) error {
	l.forget()
	welcome := s.Welcome()
	state := State{Kind: Connected, Version: welcome.Version, Offset: s.Offset()}
	l.mu.Lock()
	if l.fresh { // while dialing
		l.mu.Unlock()
		_ = s.Close()
		return errNewToken
	}
	l.current, l.state = s, state
	l.offset, l.known = s.Offset(), true
	l.notify()
	l.mu.Unlock()
	l.o.OnState(state)
	for {
		select {
		case <-ctx.Done():
			_ = s.Close()
			return ctx.Err()
		case <-s.Done():
			if err := s.Err(); !errors.Is(err, mux.ErrGoingAway) {
				return name(err)
			}
			l.set(State{Kind: GoingAway})
			return mux.ErrGoingAway
		case <-s.GoingAway():
			// It ends by itself with its last call; until then it is kept, to
			// be closed with the link.
			l.old = append(l.old, s)
			l.set(State{Kind: GoingAway})
			return mux.ErrGoingAway
		case <-l.poke:
			l.mu.Lock()
			fresh := l.fresh
			l.mu.Unlock()
			if fresh {
				_ = s.Close()
				return errNewToken
			}
		}
	}
}

// set stores and tells a state in which there is no current connection.
func (l *Link) set(state State) {
	l.mu.Lock()
	if l.current != nil {
		l.offset = l.current.Offset()
	}
	l.current, l.state = nil, state
	l.notify()
	l.mu.Unlock()
	l.o.OnState(state)
}

// forget drops old connections that have ended.
func (l *Link) forget() {
	l.old = slices.DeleteFunc(l.old, func(s session) bool {
		select {
		case <-s.Done():
			return true
		default:
			return false
		}
	})
}
