//go:build !js

package mux_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"github.com/reseal/reseal/api/mux"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestUnaryCarriesMessageHeadersAndTrailers(t *testing.T) {
	w := newWorld(t, mux.Options{Version: "reseal test"})
	header := &connect.Header{}
	header.Set("Authorization", "Bearer abc")
	c := w.dial(mux.DialOptions{Header: header})
	if got := c.Welcome(); got.Version != "reseal test" || got.MaxMessage != mux.MaxMessage || got.MaxCalls != 64 {
		t.Errorf("welcome = %+v", got)
	}
	if d := c.Offset(); d < -time.Second || d > time.Second {
		t.Errorf("offset to a server on the same clock = %v", d)
	}
	ctx, info := connect.NewClientContext(t.Context())
	out, err := callEcho(ctx, c, "hello")
	if err != nil || out != "hello" {
		t.Fatalf("echo = %q, %v", out, err)
	}
	if got := info.ResponseHeader().Get("seen"); got != "Bearer abc" {
		t.Errorf("header of HELLO as the handler saw it = %q", got)
	}
	if got := info.ResponseTrailer().Values("trail"); fmt.Sprint(got) != "[one two]" {
		t.Errorf("trailer = %q", got)
	}
	ctx, info = connect.NewClientContext(t.Context())
	info.RequestHeader().Set("Authorization", "Bearer other")
	if _, err := callEcho(ctx, c, ""); err != nil || info.ResponseHeader().Get("seen") != "Bearer other" {
		t.Errorf("header of the call itself = %q, %v", info.ResponseHeader().Get("seen"), err)
	}
}

func TestErrorRoundTrip(t *testing.T) {
	w := newWorld(t, mux.Options{})
	c := w.dial(mux.DialOptions{})
	detail, _ := connectproto.NewErrorDetail(wrapperspb.UInt64(77))
	remote := connect.NewError(connect.CodeNotFound, "of another server").WithRemote()
	for _, tt := range []struct {
		name string
		err  error
		code connect.Code
		text string
		n    int
	}{
		{"code, text and detail", connect.NewError(connect.CodeFailedPrecondition, "not now: é").WithDetail(detail), connect.CodeFailedPrecondition, "not now: é", 1},
		{"wrapped", fmt.Errorf("x: %w", connect.NewError(connect.CodeAborted, "again")), connect.CodeAborted, "again", 0},
		{"plain error tells nothing", errors.New("secret path"), connect.CodeUnknown, "", 0},
		{"remote error tells nothing", remote, connect.CodeInternal, "", 0},
		{"context", context.DeadlineExceeded, connect.CodeDeadlineExceeded, "", 0},
		{"long text is cut", connect.NewError(connect.CodeAborted, strings.Repeat("x", 9000)), connect.CodeAborted, strings.Repeat("x", mux.MaxErrorText), 0},
		{"code out of range", connect.NewError(99, "odd"), connect.CodeUnknown, "odd", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.mu.Lock()
			w.err = tt.err
			w.mu.Unlock()
			_, err := call(t.Context(), c, fail, "")
			e, ok := errors.AsType[*connect.Error](err)
			if !ok || e.Code() != tt.code || e.Message() != tt.text || len(e.Details()) != tt.n || !e.IsRemote() {
				t.Fatalf("error = %#v", err)
			}
			if tt.n == 1 {
				m, err := connectproto.UnmarshalErrorDetail(e.Details()[0])
				if v, ok := m.(*wrapperspb.UInt64Value); err != nil || !ok || v.Value != 77 {
					t.Errorf("detail = %v, %v", m, err)
				}
			}
		})
	}
	if _, err := call(t.Context(), c, panics, ""); connect.CodeOf(err) != connect.CodeInternal || strings.Contains(err.Error(), "secret") {
		t.Errorf("panic = %v", err)
	}
	if _, err := call(t.Context(), c, "/test.v1.Test/None", ""); connect.CodeOf(err) != connect.CodeUnimplemented {
		t.Errorf("unknown procedure = %v", err)
	}
	if _, err := connect.NewClient(c).CallClientStream(t.Context(), spec(upload)); connect.CodeOf(err) != connect.CodeUnimplemented {
		t.Errorf("client stream = %v", err)
	}
	if out, err := callEcho(t.Context(), c, "alive"); err != nil || out != "alive" {
		t.Errorf("after all that: %q, %v", out, err)
	}
}

func TestManyCallsAtOnce(t *testing.T) {
	w := newWorld(t, mux.Options{MaxCalls: 32})
	c := w.dial(mux.DialOptions{})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			for j := range 10 {
				in := fmt.Sprintf("%d/%d %s", i, j, strings.Repeat("x", i*50))
				if out, err := callEcho(t.Context(), c, in); err != nil || out != in {
					t.Errorf("call %d/%d: %d bytes, %v", i, j, len(out), err)
				}
			}
		})
	}
	wg.Wait()
}

func TestStreamsInterleave(t *testing.T) {
	w := newWorld(t, mux.Options{})
	c := w.dial(mux.DialOptions{})
	ctx, info := connect.NewClientContext(t.Context())
	one := open(t, ctx, c, count, 500)
	two := open(t, t.Context(), c, count, 400)
	for i := range 400 {
		a, err1 := receive(one)
		b, err2 := receive(two)
		want := string(rune('a' + i%26))
		if a != want || b != want || err1 != nil || err2 != nil {
			t.Fatalf("message %d = %q %q, %v %v", i, a, b, err1, err2)
		}
	}
	if _, err := receive(two); err != io.EOF {
		t.Errorf("end of the second = %v", err)
	}
	if n, err := drainAll(one); n != 100 || err != nil {
		t.Errorf("rest of the first = %d, %v", n, err)
	}
	if _, err := receive(one); err != io.EOF {
		t.Errorf("after the end = %v", err)
	}
	if info.ResponseHeader().Get("seen") != "count" || info.ResponseTrailer().Get("trail") != "end" {
		t.Errorf("header %q, trailer %q", info.ResponseHeader().Get("seen"), info.ResponseTrailer().Get("trail"))
	}
}

// A stream that its application does not read must hold back its own handler
// and nothing else.
func TestUnreadStreamHoldsBackItselfOnly(t *testing.T) {
	w := newWorld(t, mux.Options{})
	c := w.dial(mux.DialOptions{})
	s := open(t, t.Context(), c, blobs, 1000) // 8 MB
	sent := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.sends
	}
	w.eventually("the window fills", func() bool { return sent() >= 32 })
	for range 20 {
		if _, err := callEcho(t.Context(), c, "beside"); err != nil {
			t.Fatalf("call beside an unread stream: %v", err)
		}
	}
	if n := sent(); n > 34 {
		t.Errorf("%d messages of 8 KiB were sent into a window of 256 KiB", n)
	}
	if n, err := drainAll(s); n != 1000 || err != nil {
		t.Errorf("read at last: %d, %v", n, err)
	}
}

func TestCancelReachesTheHandler(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, c *mux.Conn, ctx context.Context, cancel func())
	}{
		{"unary by context", func(t *testing.T, c *mux.Conn, ctx context.Context, cancel func()) {
			time.AfterFunc(10*time.Millisecond, cancel)
			if _, err := call(ctx, c, hang, ""); connect.CodeOf(err) != connect.CodeCanceled || !errors.Is(err, context.Canceled) {
				t.Errorf("error = %v", err)
			}
		}},
		{"stream by context, unread", func(t *testing.T, c *mux.Conn, ctx context.Context, cancel func()) {
			open(t, ctx, c, forever, 0)
			cancel()
		}},
		{"stream by Close under Receive", func(t *testing.T, c *mux.Conn, ctx context.Context, _ func()) {
			s := open(t, ctx, c, forever, 0)
			if m, err := receive(s); m != "first" || err != nil {
				t.Fatalf("first = %q, %v", m, err)
			}
			time.AfterFunc(10*time.Millisecond, func() { _ = s.Close() })
			if _, err := receive(s); connect.CodeOf(err) != connect.CodeCanceled {
				t.Errorf("Receive under Close = %v", err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, mux.Options{MaxCalls: 1})
			c := w.dial(mux.DialOptions{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			tt.run(t, c, ctx, cancel)
			w.eventually("the handler sees it", func() bool { return len(w.endedBy()) == 1 })
			if err := w.endedBy()[0]; err != context.Canceled {
				t.Errorf("handler's context = %v", err)
			}
			// With one place in all this proves that the place is free again.
			if out, err := callEcho(t.Context(), c, "next"); err != nil || out != "next" {
				t.Errorf("next call = %q, %v", out, err)
			}
		})
	}
}

func TestDeadlineTravels(t *testing.T) {
	w := newWorld(t, mux.Options{})
	c := w.dial(mux.DialOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := call(ctx, c, hang, ""); connect.CodeOf(err) != connect.CodeDeadlineExceeded {
		t.Errorf("error = %v", err)
	}
	w.eventually("the handler sees it", func() bool { return len(w.endedBy()) == 1 })
	<-ctx.Done() // the server's timer may have been a moment earlier
	if _, err := callEcho(ctx, c, ""); connect.CodeOf(err) != connect.CodeDeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("call past its deadline = %v", err)
	}
}

// The server keeps the deadline of a client that never cancels.
func TestTimeoutInCallAlone(t *testing.T) {
	w := newWorld(t, mux.Options{})
	ws := w.raw()
	ws.hello()
	ws.write(0x02, 1, append([]byte{0, 0, 0, 30, byte(len(hang))}, hang+"\x00\x00"...))
	if f := ws.read(); f.typ != 0x84 || f.call != 1 || f.payload[0] != byte(connect.CodeDeadlineExceeded) {
		t.Errorf("answer = %+v", f)
	}
	if got := w.endedBy(); len(got) != 1 || got[0] != context.DeadlineExceeded {
		t.Errorf("handler saw %v", got)
	}
}

func TestMessageLimits(t *testing.T) {
	w := newWorld(t, mux.Options{MaxMessage: 10 << 10})
	c := w.dial(mux.DialOptions{})
	if _, err := callEcho(t.Context(), c, strings.Repeat("x", 10<<10)); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("request over the limit = %v", err)
	}
	fits := strings.Repeat("x", 10<<10-3)
	if out, err := callEcho(t.Context(), c, fits); err != nil || out != fits {
		t.Errorf("request at the limit = %v", err)
	}
	ctx, info := connect.NewClientContext(t.Context())
	info.RequestHeader().Set("long", strings.Repeat("x", mux.MaxHeaderBytes))
	if _, err := callEcho(ctx, c, ""); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("headers over the limit = %v", err)
	}
	small := w.dial(mux.DialOptions{MaxMessage: 100})
	if _, err := callEcho(t.Context(), small, strings.Repeat("x", 200)); connect.CodeOf(err) != connect.CodeUnavailable || !errors.Is(small.Err(), mux.ErrViolation) {
		t.Errorf("answer over the client's limit = %v, %v", err, small.Err())
	}
}
