package reseal

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/reseal/reseal/api/mux"
	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/client/remote/link"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/opaque"
)

// remoteServer is one connection to a server, with the calls that go over it.
type remoteServer struct {
	url       string
	which     *which
	link      *link.Link
	states    chan link.State // the newest state only
	account   resealv1connect.AccountServiceClient
	directory resealv1connect.DirectoryServiceClient
	mailbox   resealv1connect.MailboxServiceClient
}

// connect opens a link to the server of a key, of any for zero; it does not wait
// for the connection.
func (in *Installation) connect(url string, token link.Token, key opaque.ServerKey) (*remoteServer, error) {
	// A session goes on with its server's URL; what was allowed when it began
	// need not be any more.
	if err := mux.CheckURL(url, in.o.PlainHTTP); errors.Is(err, mux.ErrPlain) {
		return nil, as(ErrPlainHTTP, err)
	}
	r := &remoteServer{url: url, which: &which{pinned: key}, states: make(chan link.State, 1)}
	l, err := link.Open(link.Options{
		URL: url, Token: token, OnState: r.changed,
		Dial: mux.DialOptions{HTTPClient: in.o.HTTP, Plain: in.o.PlainHTTP, Ask: r.which.ask},
	})
	if err != nil {
		return nil, err
	}
	r.link = l
	c := connect.NewClient(l)
	r.account = resealv1connect.NewAccountServiceClient(c)
	r.directory = resealv1connect.NewDirectoryServiceClient(c)
	r.mailbox = resealv1connect.NewMailboxServiceClient(c)
	return r, nil
}

// changed keeps the newest state for who waits.
func (r *remoteServer) changed(s link.State) {
	for {
		select {
		case r.states <- s:
			return
		default:
		}
		select {
		case <-r.states:
		default:
		}
	}
}

// first waits until the first try has connected, or failed. Every connection
// after it is to the same server.
func (r *remoteServer) first(ctx context.Context) error {
	for {
		switch s := r.link.State(); s.Kind {
		case link.Connected, link.GoingAway:
			r.which.pin()
			return nil
		case link.Disconnected, link.SessionEnded:
			return s.Err
		case link.Closed:
			return link.ErrClosed
		}
		select {
		case <-r.states:
		case <-time.After(20 * time.Millisecond): // another reader may have taken the state
		case <-ctx.Done():
			return ended(ctx)
		}
	}
}

// patience is how long a login flow repeats a call whose outcome is unknown.
const patience = time.Minute

// repeat makes a call that may be repeated with the same bytes until its answer
// is definite.
func repeat[Q, A any](ctx context.Context, f func(context.Context, Q) (A, error), req Q) (A, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pause := 100 * time.Millisecond
	for {
		resp, err := f(ctx, req)
		if err == nil || !refusal.Passing(err) || refusal.Reason(err) == resealv1.Reason_REASON_RATE || ctx.Err() != nil {
			return resp, err
		}
		if isSessionEnd(err) || errors.Is(err, link.ErrClosed) { // there will be no connection again
			return resp, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return resp, err
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// bearer is the text of a session's token: account id and session secret.
func bearer(a identity.AccountID, s opaque.SessionSecret) link.Token {
	secret := s.Bytes()
	return link.NewToken(base64.RawURLEncoding.EncodeToString(append(a[:], secret[:]...)))
}

// bearerText is the same as a string, for the session record.
func bearerText(a identity.AccountID, s opaque.SessionSecret) string {
	secret := s.Bytes()
	return base64.RawURLEncoding.EncodeToString(append(a[:], secret[:]...))
}

// sessionEnd is what a caller is told of a dead session: ErrSessionEnded, and
// ErrRemoved as well where the server says so.
func sessionEnd(err error) error {
	if refusal.Detail(err).GetRemoved() {
		return fmt.Errorf("%w: %w", ErrSessionEnded, ErrRemoved)
	}
	return ErrSessionEnded
}

// isSessionEnd tells whether an error means that the session is dead.
func isSessionEnd(err error) bool {
	return errors.Is(err, link.ErrSessionEnded) || refusal.Reason(err) == resealv1.Reason_REASON_SESSION_ENDED
}
