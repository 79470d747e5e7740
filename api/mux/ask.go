package mux

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"

	"connectrpc.com/connect/v2"
)

const (
	// MaxAsk is the longest question to a server and the longest answer, bytes.
	MaxAsk = 256
	askKey = "ask"
)

// asked is the question in the query of a request, nil for none.
func asked(query url.Values) ([]byte, error) {
	all := query[askKey]
	if len(all) == 0 {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(all[0])
	if err != nil || len(all) > 1 || len(b) == 0 || len(b) > MaxAsk {
		return nil, ErrFrame
	}
	return b, nil
}

// asking is the target with the question.
func asking(target string, question []byte) string {
	return target + "?" + askKey + "=" + base64.RawURLEncoding.EncodeToString(question)
}

// answer reads the server's answer and has it checked. It returns what came
// behind it. Nothing was sent on the connection yet.
func (c *Conn) answer(ctx context.Context, check func([]byte) error) (rest []byte, err error) {
	f, rest, err := c.first(ctx, nil)
	switch refused, ok := errors.AsType[*connect.Error](err); {
	case ok && refused.Code() == connect.CodeUnauthenticated:
		// It was shown no session, so it cannot tell of one.
		return nil, fmt.Errorf("%w: no answer", ErrNotReseal)
	case err != nil:
		return nil, err
	case f.typ != frameAnswer:
		return nil, fmt.Errorf("%w: no answer", ErrNotReseal)
	}
	return rest, check(f.payload)
}

// first reads one frame while the connection is being made, out of rest or, if
// that is empty, of what comes. An END for the connection is its error.
func (c *Conn) first(ctx context.Context, rest []byte) (frame, []byte, error) {
	m := rest
	if len(m) == 0 {
		var err error
		m, err = c.message(ctx)
		switch {
		case err == nil:
		case ctx.Err() != nil, errors.Is(err, ErrLost), errors.Is(err, ErrGoingAway):
			return frame{}, nil, dialError(ctx, ErrUnreachable, err)
		default:
			return frame{}, nil, fmt.Errorf("%w: %v", ErrNotReseal, err)
		}
	}
	f, rest, err := nextFrame(m, c.o.MaxMessage)
	if err != nil {
		return frame{}, nil, fmt.Errorf("%w: no welcome", ErrNotReseal)
	}
	if f.typ == frameEnd && f.call == 0 {
		if e, err := parseEnd(f.payload); err == nil && e.err != nil {
			return frame{}, nil, e.err
		}
	}
	return f, rest, nil
}
