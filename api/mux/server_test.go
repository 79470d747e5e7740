//go:build !js

package mux_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/coder/websocket"
	"github.com/reseal/reseal/api/mux"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func callFrame(id uint32, procedure string, message ...byte) []byte {
	p := append([]byte{0, 0, 0, 0, byte(len(procedure))}, procedure+"\x00\x00"...)
	return encode(0x02, id, append(p, message...))
}

func TestGarbageEndsTheConnectionByName(t *testing.T) {
	hello := encode(0x01, 0, []byte{0, 0})
	big := encode(0x02, 1, nil)
	binary.BigEndian.PutUint32(big[5:], 1<<31)
	for _, tt := range []struct {
		name   string
		greet  bool
		bytes  []byte
		reason mux.Reason
		status websocket.StatusCode
	}{
		{"noise before hello", false, []byte("GET / HTTP/1.1\r\n\r\n"), "", websocket.StatusProtocolError},
		{"call before hello", false, callFrame(1, echo), "", websocket.StatusProtocolError},
		{"large before hello", false, make([]byte, 32<<10), "", websocket.StatusMessageTooBig},
		{"hello with a byte behind", false, encode(0x01, 0, []byte{0, 0, 0}), "", websocket.StatusProtocolError},
		{"second hello", true, hello, mux.ReasonProtocol, websocket.StatusProtocolError},
		{"empty message", true, nil, mux.ReasonProtocol, websocket.StatusProtocolError},
		{"cut frame", true, callFrame(1, echo)[:20], mux.ReasonProtocol, websocket.StatusProtocolError},
		{"byte behind a frame", true, append(encode(0x05, 0, make([]byte, 8)), 0), mux.ReasonProtocol, websocket.StatusProtocolError},
		{"unknown type", true, encode(0x66, 1, nil), mux.ReasonProtocol, websocket.StatusProtocolError},
		{"frame of the server", true, encode(0x83, 1, nil), mux.ReasonProtocol, websocket.StatusProtocolError},
		{"call id 0", true, callFrame(0, echo), mux.ReasonProtocol, websocket.StatusProtocolError},
		{"ping with a call id", true, encode(0x05, 1, make([]byte, 8)), mux.ReasonProtocol, websocket.StatusProtocolError},
		{"id in use", true, append(callFrame(1, hang), callFrame(1, hang)...), mux.ReasonProtocol, websocket.StatusProtocolError},
		{"credit never used", true, append(callFrame(1, forever), encode(0x04, 1, []byte{0x7f, 0, 0, 0})...), mux.ReasonProtocol, websocket.StatusProtocolError},
		{"credit of 0", true, append(callFrame(1, forever), encode(0x04, 1, make([]byte, 4))...), mux.ReasonProtocol, websocket.StatusProtocolError},
		{"procedure without slash", true, callFrame(1, "echo"), mux.ReasonProtocol, websocket.StatusProtocolError},
		{"announced too large", true, big, mux.ReasonTooLarge, websocket.StatusMessageTooBig},
		{"message too large", true, callFrame(1, echo, make([]byte, mux.MaxMessage+1)...), mux.ReasonTooLarge, websocket.StatusMessageTooBig},
		{"websocket message too large", true, make([]byte, 2<<20), mux.ReasonTooLarge, websocket.StatusMessageTooBig},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, mux.Options{})
			r := w.raw()
			if tt.greet {
				r.hello()
			}
			r.bytes(tt.bytes)
			if _, status := r.closed(); status != tt.status {
				t.Errorf("close status = %v, want %v", status, tt.status)
			}
			if tt.greet {
				if got := w.reason(); got != tt.reason {
					t.Errorf("reason = %q, want %q", got, tt.reason)
				}
			}
			w.eventually("nothing is left", func() bool { return w.handler.Conns() == 0 })
		})
	}
}

func TestCallsAboveTheLimitAreAnswered(t *testing.T) {
	w := newWorld(t, mux.Options{MaxCalls: 2})
	r := w.raw()
	r.hello()
	for id := range uint32(3) {
		r.bytes(callFrame(id+1, hang))
	}
	if f := r.read(); f.typ != 0x84 || f.call != 3 || f.payload[0] != byte(connect.CodeResourceExhausted) {
		t.Fatalf("third call = %+v", f)
	}
	// A cancelled call keeps its place until its handler is done: cancelling
	// must not be a way to run any number of them.
	r.write(0x03, 1, nil)
	if f := r.read(); f.typ != 0x84 || f.call != 1 || f.payload[0] != byte(connect.CodeCanceled) {
		t.Fatalf("cancelled call = %+v", f)
	}
	r.write(0x03, 1, nil) // crossed the END: ignored
	r.write(0x04, 1, []byte{0, 0, 0, 1})
	r.bytes(callFrame(1, echo))
	for {
		if f := r.read(); f.typ == 0x84 {
			if f.call != 1 || f.payload[0] != 0 {
				t.Fatalf("id used again = %+v", f)
			}
			return
		}
	}
}

func TestHeldRequestsAreBounded(t *testing.T) {
	w := newWorld(t, mux.Options{MaxHeld: 3000})
	c := w.dial(mux.DialOptions{})
	large := strings.Repeat("x", 2000)
	running, err := connect.NewClient(c).CallServerStream(t.Context(), spec(forever), wrapperspb.String(large))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := receive(running); err != nil {
		t.Fatal(err)
	}
	if _, err := callEcho(t.Context(), c, large); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("a second one beside it: %v", err)
	}
	if _, err := callEcho(t.Context(), c, "small"); err != nil {
		t.Errorf("what fits beside it: %v", err)
	}
	_ = running.Close()
	w.eventually("it is taken afterwards", func() bool { _, err := callEcho(t.Context(), c, large); return err == nil })
	// One alone is taken whatever its size: the message limit bounds it.
	if _, err := callEcho(t.Context(), c, strings.Repeat("x", 5000)); err != nil {
		t.Errorf("one over the bound alone: %v", err)
	}
}

// The HTTP handler must be gone while the connection lives, or each idle
// connection keeps a request, its buffers and a second goroutine.
func TestHandlerReturnsAfterAccept(t *testing.T) {
	w := newWorld(t, mux.Options{})
	returned := make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.handler.ServeHTTP(rw, r)
		returned <- struct{}{}
	}))
	defer s.Close()
	c, err := mux.Dial(t.Context(), s.URL, mux.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	<-returned
	if out, err := callEcho(t.Context(), c, "still"); err != nil || out != "still" {
		t.Errorf("echo = %q, %v", out, err)
	}
}

func TestSlowReaderIsCut(t *testing.T) {
	w := newWorld(t, mux.Options{WriteTimeout: 200 * time.Millisecond})
	r := w.raw()
	r.hello()
	// Credit bounds a stream, so it takes many to fill the sockets' buffers.
	for id := range uint32(200) {
		r.bytes(callFrame(id+1, blobs, 8, 200, 1)) // 200 messages
	}
	if got := w.reason(); got != mux.ReasonSlowReader {
		t.Errorf("reason = %q", got)
	}
	w.eventually("handlers end", func() bool { return w.handler.Conns() == 0 })
}

func TestSilentClientIsCut(t *testing.T) {
	w := newWorld(t, mux.Options{IdleTimeout: 100 * time.Millisecond, HelloTimeout: 100 * time.Millisecond})
	r := w.raw()
	if code, _ := r.closed(); code != byte(connect.CodeDeadlineExceeded) {
		t.Errorf("without hello: code %d", code)
	}
	r = w.raw()
	r.hello()
	if code, _ := r.closed(); code != byte(connect.CodeDeadlineExceeded) || w.reason() != mux.ReasonIdle {
		t.Errorf("silent: code %d, %q", code, w.reason())
	}
	w = newWorld(t, mux.Options{IdleTimeout: time.Second})
	c := w.dial(mux.DialOptions{PingEvery: 50 * time.Millisecond})
	time.Sleep(1500 * time.Millisecond)
	if err := c.Err(); err != nil {
		t.Errorf("a client that pings: %v", err)
	}
}

func TestAdmit(t *testing.T) {
	type key struct{}
	ends := make(chan context.CancelCauseFunc, 1)
	refusal := connect.NewError(connect.CodeUnauthenticated, "no such session")
	w := newWorld(t, mux.Options{Admit: func(ctx context.Context, p mux.Peer) (context.Context, error) {
		switch p.Header.Get("authorization") {
		case "Bearer good":
			ctx, cancel := context.WithCancelCause(context.WithValue(ctx, key{}, p.Addr))
			ends <- cancel
			return ctx, nil
		case "Bearer odd":
			return nil, fmt.Errorf("database at 10.0.0.1 is down")
		}
		return nil, refusal
	}})
	with := func(token string) mux.DialOptions {
		h := &connect.Header{}
		h.Set("authorization", token)
		return mux.DialOptions{Header: h}
	}
	_, err := mux.Dial(t.Context(), w.url, with("Bearer bad"))
	if connect.CodeOf(err) != connect.CodeUnauthenticated || err.Error() != refusal.Error() {
		t.Errorf("refused = %v", err)
	}
	if _, err := mux.Dial(t.Context(), w.url, with("Bearer odd")); connect.CodeOf(err) != connect.CodeUnknown || err.Error() != "unknown" {
		t.Errorf("failed = %v", err)
	}
	c := w.dial(with("Bearer good"))
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := call(t.Context(), c, hang, ""); connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("call under way when the session ends = %v", err)
		}
	})
	time.Sleep(20 * time.Millisecond)
	(<-ends)(connect.NewError(connect.CodeUnauthenticated, "session ended"))
	wg.Wait()
	<-c.Done()
	if err := c.Err(); connect.CodeOf(err) != connect.CodeUnauthenticated || w.reason() != mux.ReasonSession {
		t.Errorf("connection ended by %v, %q", err, w.reason())
	}
	w.eventually("nothing is left", func() bool { return w.handler.Conns() == 0 })
}

func TestDrain(t *testing.T) {
	w := newWorld(t, mux.Options{})
	idle, busy := w.dial(mux.DialOptions{}), w.dial(mux.DialOptions{})
	stream := open(t, t.Context(), busy, forever, 0)
	if _, err := receive(stream); err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() {
		out, err := call(t.Context(), busy, slow, "")
		if err == nil && out != "late" {
			err = fmt.Errorf("answer %q", out)
		}
		answer <- err
	}()
	time.Sleep(20 * time.Millisecond)
	drained := make(chan error, 1)
	go func() { drained <- w.handler.Drain(t.Context()) }()
	<-busy.GoingAway()
	<-idle.Done()
	if _, err := receive(stream); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("stream ends by %v", err)
	}
	if _, err := callEcho(t.Context(), busy, ""); connect.CodeOf(err) != connect.CodeUnavailable || !errors.Is(err, mux.ErrNotSent) || !errors.Is(err, mux.ErrGoingAway) {
		t.Errorf("new call = %v", err)
	}
	if resp, err := http.Get(w.url + mux.Path); err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("plain GET = %v, %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	if _, err := mux.Dial(t.Context(), w.url, mux.DialOptions{}); err == nil {
		t.Error("connected to a draining server")
	}
	select {
	case err := <-drained:
		t.Fatalf("drained under a running call: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(w.release)
	if err := <-answer; err != nil {
		t.Errorf("running call = %v", err)
	}
	if err := <-drained; err != nil {
		t.Errorf("drain = %v", err)
	}
	<-busy.Done()
}

func TestDrainGivesUpWithItsContext(t *testing.T) {
	w := newWorld(t, mux.Options{})
	c := w.dial(mux.DialOptions{})
	done := make(chan error, 1)
	go func() { _, err := call(t.Context(), c, hang, ""); done <- err }()
	time.Sleep(20 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := w.handler.Drain(ctx); err != context.DeadlineExceeded {
		t.Errorf("drain = %v", err)
	}
	if err := <-done; connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("call = %v", err)
	}
	w.eventually("nothing is left", func() bool { return w.handler.Conns() == 0 })
}

func TestConnectionLimit(t *testing.T) {
	w := newWorld(t, mux.Options{MaxConns: 1})
	c := w.dial(mux.DialOptions{})
	if _, err := mux.Dial(t.Context(), w.url, mux.DialOptions{}); err == nil {
		t.Error("second connection was taken")
	}
	_ = c.Close()
	w.eventually("the place is free", func() bool { return w.handler.Conns() == 0 })
	_ = w.dial(mux.DialOptions{}).Close()
}
