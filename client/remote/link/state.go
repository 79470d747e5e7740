package link

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/reseal/reseal/api/mux"
)

// What keeps a link from its server; errors of calls and states wrap one.
var (
	// ErrOffline: no server answers.
	ErrOffline = errors.New("link: no server answers")
	// ErrNotReseal: something answers that is no Reseal server (a wrong
	// address, a captive portal, a certificate for another name).
	ErrNotReseal = errors.New("link: what answers is no reseal server")
	// ErrOtherServer: it is a Reseal server, but not the one that was meant. What
	// checks its answer (mux.DialOptions.Ask) says so. The link tries on.
	ErrOtherServer = errors.New("link: what answers is another reseal server")
	// ErrSessionEnded: the server does not know the session any more. The link
	// stops trying until SetToken or Retry.
	ErrSessionEnded = errors.New("link: the session has ended")
	// ErrClosed: the link was closed.
	ErrClosed = errors.New("link: closed")
)

// Kind says how a link stands.
type Kind uint8

// The kinds of State.
const (
	// Connecting: trying now.
	Connecting Kind = iota + 1
	// Connected: calls go through.
	Connected
	// Disconnected: Err says why, Retry when the next try is.
	Disconnected
	// GoingAway: the server asked to connect anew; a new connection follows,
	// running calls finish on the old one.
	GoingAway
	// SessionEnded: no more tries until SetToken or Retry.
	SessionEnded
	// Closed: the end.
	Closed
)

// String names the kind for people.
func (k Kind) String() string {
	switch k {
	case Connecting:
		return "connecting"
	case Connected:
		return "connected"
	case Disconnected:
		return "disconnected"
	case GoingAway:
		return "server going away"
	case SessionEnded:
		return "session ended"
	case Closed:
		return "closed"
	}
	return fmt.Sprintf("kind_%d", uint8(k))
}

// State is how a link stands.
type State struct {
	Kind Kind
	// Err is why, for Disconnected and SessionEnded: it wraps ErrOffline,
	// ErrNotReseal, ErrOtherServer or ErrSessionEnded, or is what the server refused with.
	// For Connecting it is why the last try failed, if there was one.
	Err error
	// Retry is how long until the next try, for Disconnected.
	Retry time.Duration
	// Version is the server's, for Connected.
	Version string
	// Offset is the server's clock minus ours, for Connected.
	Offset time.Duration
}

// name gives err its name among those above.
func name(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrOtherServer):
		return err
	case errors.Is(err, mux.ErrNotReseal), errors.Is(err, mux.ErrViolation):
		return fmt.Errorf("%w: %w", ErrNotReseal, err)
	}
	if e, ok := errors.AsType[*connect.Error](err); ok {
		if e.Code() == connect.CodeUnauthenticated {
			return fmt.Errorf("%w: %w", ErrSessionEnded, err)
		}
		return err // the server is there and says why not
	}
	return fmt.Errorf("%w: %w", ErrOffline, err)
}

type failFastKey struct{}

// FailFast makes calls with this context fail at once when there is no
// connection, whatever Options.FailFast says.
func FailFast(ctx context.Context) context.Context {
	return context.WithValue(ctx, failFastKey{}, true)
}

// Patient makes calls with this context wait for a connection, whatever
// Options.FailFast says.
func Patient(ctx context.Context) context.Context {
	return context.WithValue(ctx, failFastKey{}, false)
}

// offline is the error of a call that found no connection.
func offline(cause error) error {
	code := connect.CodeUnavailable
	if errors.Is(cause, ErrSessionEnded) {
		code = connect.CodeUnauthenticated
	}
	if e, ok := errors.AsType[*connect.Error](cause); ok {
		code = e.Code()
	}
	return connect.NewError(code, "no connection to the server").WithCause(cause)
}
