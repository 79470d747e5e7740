//go:build !js

package mux_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/coder/websocket"
	"github.com/reseal/reseal/api/mux"
)

func ask(question string, check func([]byte) error) func() ([]byte, func([]byte) error, error) {
	return func() ([]byte, func([]byte) error, error) { return []byte(question), check, nil }
}

// The answer comes before the server is shown anything, and who does not like
// it shows nothing.
func TestAsk(t *testing.T) {
	var admitted atomic.Int64
	w := newWorld(t, mux.Options{
		Answer: func(q []byte) ([]byte, error) {
			if string(q) == "no" {
				return nil, errors.New("no")
			}
			return []byte("answer to " + string(q)), nil
		},
		Admit: func(ctx context.Context, _ mux.Peer) (context.Context, error) {
			admitted.Add(1)
			return ctx, nil
		},
	})
	var got string
	c := w.dial(mux.DialOptions{Ask: ask("a question", func(b []byte) error {
		got = string(b)
		if n := admitted.Load(); n != 0 {
			t.Errorf("%d shown who asks before the answer", n)
		}
		return nil
	})})
	if got != "answer to a question" || admitted.Load() != 1 {
		t.Errorf("answered %q, %d admitted", got, admitted.Load())
	}
	if s, err := callEcho(t.Context(), c, "hi"); err != nil || s != "hi" {
		t.Errorf("a call: %q, %v", s, err)
	}

	header := &connect.Header{}
	header.Set("authorization", "Bearer secret")
	stranger := errors.New("another server")
	if c, err := mux.Dial(t.Context(), w.url, mux.DialOptions{Header: header, Ask: ask("who", func([]byte) error { return stranger })}); c != nil || !errors.Is(err, stranger) {
		t.Errorf("an answer that is not liked: %v", err)
	}
	w.eventually("it is gone", func() bool { return w.handler.Conns() == 1 })
	if admitted.Load() != 1 {
		t.Error("the server was shown the header")
	}
	if _, err := mux.Dial(t.Context(), w.url, mux.DialOptions{Ask: ask("no", func([]byte) error { return nil })}); !errors.Is(err, mux.ErrNotReseal) {
		t.Errorf("a question without an answer: %v", err)
	}
	none := errors.New("no randomness")
	if _, err := mux.Dial(t.Context(), w.url, mux.DialOptions{Ask: func() ([]byte, func([]byte) error, error) { return nil, nil, none }}); !errors.Is(err, none) {
		t.Errorf("no question: %v", err)
	}
}

func TestAskRefused(t *testing.T) {
	answers := newWorld(t, mux.Options{Answer: func(q []byte) ([]byte, error) { return q, nil }})
	mute := newWorld(t, mux.Options{})
	long := base64.RawURLEncoding.EncodeToString(make([]byte, mux.MaxAsk+1))
	for name, c := range map[string]struct {
		w     *world
		query url.Values
		good  bool
	}{
		"nothing":           {answers, nil, true},
		"something else":    {answers, url.Values{"a": {"b"}}, true},
		"a question":        {answers, url.Values{"ask": {"AAAA"}}, true},
		"nobody answers":    {mute, url.Values{"ask": {"AAAA"}}, false},
		"an empty one":      {answers, url.Values{"ask": {""}}, false},
		"padding":           {answers, url.Values{"ask": {"AAA="}}, false},
		"bits left over":    {answers, url.Values{"ask": {"AB"}}, false},
		"two":               {answers, url.Values{"ask": {"AAAA", "AAAA"}}, false},
		"one that is large": {answers, url.Values{"ask": {long}}, false},
	} {
		ws, resp, err := websocket.Dial(t.Context(), c.w.url+mux.Path+"?"+c.query.Encode(), &websocket.DialOptions{Subprotocols: []string{mux.Subprotocol}})
		if (err == nil) != c.good || !c.good && resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = ws.CloseNow()
		}
	}
}

// What is no answer is named, and is no word about a session.
func TestAskedNobody(t *testing.T) {
	type said struct {
		frame []byte
		want  error
	}
	refusal := append([]byte{byte(connect.CodeUnauthenticated), 0, 0, 0}, 0, 0)
	for name, c := range map[string]said{
		"a welcome at once":   {encode(0x81, 0, append(make([]byte, 8), 0, 1, 0, 0, 0, 1, 0)), mux.ErrNotReseal},
		"an empty answer":     {encode(0x87, 0, nil), mux.ErrNotReseal},
		"noise":               {[]byte("noise"), mux.ErrNotReseal},
		"the session's end":   {encode(0x84, 0, refusal), mux.ErrNotReseal},
		"nothing, and closes": {nil, mux.ErrUnreachable},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{mux.Subprotocol}})
			if err != nil {
				return
			}
			if c.frame != nil {
				_ = ws.Write(context.Background(), websocket.MessageBinary, c.frame)
				_, _, _ = ws.Read(context.Background())
			}
			_ = ws.CloseNow()
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := mux.Dial(ctx, strings.Replace(s.URL, "http", "ws", 1), mux.DialOptions{Ask: ask("who", func([]byte) error { return nil })})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		cancel()
		s.Close()
	}
}

// What is behind the answer in one message is not lost.
func TestAnswerWithMore(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{mux.Subprotocol}})
		if err != nil {
			return
		}
		late := append([]byte{byte(connect.CodeDeadlineExceeded), 0, 0, 0}, 0, 0)
		_ = ws.Write(context.Background(), websocket.MessageBinary, append(encode(0x87, 0, []byte{1}), encode(0x84, 0, late)...))
		_, _, _ = ws.Read(context.Background())
		_ = ws.CloseNow()
	}))
	defer s.Close()
	_, err := mux.Dial(t.Context(), strings.Replace(s.URL, "http", "ws", 1), mux.DialOptions{Ask: ask("who", func([]byte) error { return nil })})
	if connect.CodeOf(err) != connect.CodeDeadlineExceeded {
		t.Errorf("%v", err)
	}
}
