//go:build !js

package link_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/reseal/reseal/api/mux"
	"github.com/reseal/reseal/client/remote/link"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	whoAmI = "/test.v1.Test/WhoAmI"
	hang   = "/test.v1.Test/Hang"
)

// server is a real server at a fixed address that can stop and come back.
type server struct {
	t       *testing.T
	addr    string
	handler *mux.Handler
	http    *http.Server
}

func start(t *testing.T, addr string) *server {
	t.Helper()
	calls := connect.NewServer()
	calls.Register(connect.Method{Spec: connect.Spec{Procedure: whoAmI}, Handler: func(ctx context.Context, _ connect.Spec, s connect.ServerStream) error {
		var in wrapperspb.StringValue
		if err := s.Receive(&in); err != nil {
			return err
		}
		info, _ := connect.CallInfoForServerContext(ctx)
		return s.Send(wrapperspb.String(info.RequestHeader().Get("authorization")))
	}}, connect.Method{Spec: connect.Spec{Procedure: hang, StreamType: connect.StreamTypeServer}, Handler: func(ctx context.Context, _ connect.Spec, s connect.ServerStream) error {
		_ = s.Send(wrapperspb.String("open"))
		<-ctx.Done()
		return ctx.Err()
	}})
	s := &server{t: t, handler: mux.NewHandler(calls, mux.Options{
		Version: "real",
		Now:     func() time.Time { return time.Now().Add(time.Hour) },
		Admit: func(ctx context.Context, p mux.Peer) (context.Context, error) {
			if p.Header.Get("authorization") == "Bearer ended" {
				return nil, connect.NewError(connect.CodeUnauthenticated, "session ended")
			}
			return ctx, nil
		},
	})}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	s.http = &http.Server{Handler: s.handler}
	go func() { _ = s.http.Serve(l) }()
	t.Cleanup(s.kill)
	return s
}

// kill cuts everything at once.
func (s *server) kill() {
	_ = s.http.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.handler.Drain(ctx)
	for s.handler.Conns() > 0 {
		time.Sleep(time.Millisecond)
	}
}

func openLink(t *testing.T, o link.Options) (*link.Link, func(link.Kind) link.State) {
	t.Helper()
	states := make(chan link.State, 100)
	o.MinBackoff, o.MaxBackoff = 5*time.Millisecond, 20*time.Millisecond
	o.OnState = func(s link.State) { states <- s }
	l, err := link.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, func(k link.Kind) link.State {
		t.Helper()
		for end := time.After(time.Minute); ; {
			select {
			case s := <-states:
				if s.Kind == k {
					return s
				}
			case <-end:
				t.Fatalf("never: %v", k)
			}
		}
	}
}

func ask(ctx context.Context, l *link.Link) (string, error) {
	var out wrapperspb.StringValue
	err := connect.NewClient(l).CallUnary(ctx, connect.Spec{Procedure: whoAmI}, wrapperspb.String(""), &out)
	return out.Value, err
}

func TestServerIsKilledAndComesBack(t *testing.T) {
	s := start(t, "127.0.0.1:0")
	l, until := openLink(t, link.Options{URL: "ws://" + s.addr, Token: link.NewToken("abc")})
	if who, err := ask(t.Context(), l); err != nil || who != "Bearer abc" {
		t.Fatalf("first call = %q, %v", who, err)
	}
	if st := until(link.Connected); st.Version != "real" || st.Offset < 59*time.Minute || st.Offset > 61*time.Minute {
		t.Errorf("state = %+v", st)
	}
	stream, err := connect.NewClient(l).CallServerStream(t.Context(), connect.Spec{Procedure: hang, StreamType: connect.StreamTypeServer}, wrapperspb.String(""))
	if err != nil {
		t.Fatal(err)
	}
	var m wrapperspb.StringValue
	if err := stream.Receive(&m); err != nil {
		t.Fatal(err)
	}
	s.kill()
	if err := stream.Receive(&m); connect.CodeOf(err) != connect.CodeUnavailable || errors.Is(err, io.EOF) {
		t.Errorf("stream under the kill = %v", err)
	}
	if st := until(link.Disconnected); !errors.Is(st.Err, link.ErrOffline) {
		t.Errorf("state = %+v", st)
	}
	if _, err := ask(link.FailFast(t.Context()), l); connect.CodeOf(err) != connect.CodeUnavailable || !errors.Is(err, link.ErrOffline) {
		t.Errorf("fail fast = %v", err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if who, err := ask(t.Context(), l); err != nil || who != "Bearer abc" {
				t.Errorf("call that waited = %q, %v", who, err)
			}
		})
	}
	time.Sleep(30 * time.Millisecond)
	start(t, s.addr)
	wg.Wait()
	if offset, known := l.ServerTime(); !known || offset < 59*time.Minute {
		t.Errorf("server time = %v, %v", offset, known)
	}
}

func TestSessionEndsAndANewOneBegins(t *testing.T) {
	s := start(t, "127.0.0.1:0")
	l, until := openLink(t, link.Options{URL: "ws://" + s.addr, Token: link.NewToken("ended")})
	if st := until(link.SessionEnded); !errors.Is(st.Err, link.ErrSessionEnded) {
		t.Errorf("state = %+v", st)
	}
	if _, err := ask(t.Context(), l); !errors.Is(err, link.ErrSessionEnded) {
		t.Errorf("call = %v", err)
	}
	if err := l.SetToken(link.NewToken("fresh")); err != nil {
		t.Fatal(err)
	}
	until(link.Connected)
	if who, err := ask(t.Context(), l); err != nil || who != "Bearer fresh" {
		t.Errorf("call = %q, %v", who, err)
	}
	if err := l.SetToken(link.Token{}); err != nil { // logged out
		t.Fatal(err)
	}
	if who, err := ask(t.Context(), l); err != nil || who != "" {
		t.Errorf("call without a token = %q, %v", who, err)
	}
}

func TestWrongServerIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	page := &http.Server{Handler: http.NotFoundHandler()}
	go func() { _ = page.Serve(l) }()
	defer page.Close()
	lk, until := openLink(t, link.Options{URL: "http://" + l.Addr().String()})
	if st := until(link.Disconnected); !errors.Is(st.Err, link.ErrNotReseal) {
		t.Errorf("state = %+v", st)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := lk.Wait(ctx); !errors.Is(err, link.ErrNotReseal) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait = %v", err)
	}
}

// Between the making of a call and its request the connection may go: nothing
// was sent, so nobody should hear of it.
func TestCallMovesBeforeItsRequest(t *testing.T) {
	s := start(t, "127.0.0.1:0")
	l, until := openLink(t, link.Options{URL: "ws://" + s.addr})
	until(link.Connected)
	patient, err := l.NewClientStream(t.Context(), connect.Spec{Procedure: whoAmI})
	if err != nil {
		t.Fatal(err)
	}
	hasty, err := l.NewClientStream(link.FailFast(t.Context()), connect.Spec{Procedure: whoAmI})
	if err != nil {
		t.Fatal(err)
	}
	s.kill()
	until(link.Disconnected)
	if err := hasty.Send(wrapperspb.String("")); !errors.Is(err, mux.ErrNotSent) {
		t.Errorf("hasty = %v", err)
	}
	start(t, s.addr)
	var m wrapperspb.StringValue
	if err := errors.Join(patient.Send(wrapperspb.String("")), patient.CloseSend(), patient.Receive(&m), patient.Close()); err != nil {
		t.Errorf("patient = %v", err)
	}
}

func TestDrainMovesTheLink(t *testing.T) {
	s := start(t, "127.0.0.1:0")
	l, until := openLink(t, link.Options{URL: "ws://" + s.addr})
	if err := l.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(link.Connected)
	_ = s.http.Close() // frees the address; the WebSockets stay
	next := start(t, s.addr)
	if err := s.handler.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(link.GoingAway)
	until(link.Connected)
	if _, err := ask(t.Context(), l); err != nil || next.handler.Conns() != 1 {
		t.Errorf("on the next server: %v, %d connections", err, next.handler.Conns())
	}
}
