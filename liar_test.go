package reseal_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/api/mux"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
)

// liar stands before a world's server, under an address of its own, and changes
// what goes through. What it does not change is the real server's.
type liar struct {
	url string

	mu    sync.Mutex
	lies  lies
	world *world
}

// lies are what is done to a call; each may be nil. Method is a call's name
// without its service: "Send".
type lies struct {
	// asked may change a request. An error goes to the client, and the server
	// never hears of the call.
	asked func(method string, req proto.Message) error
	// answered may change an answer. An error goes to the client instead,
	// although the server did what it was asked to.
	answered func(method string, req, resp proto.Message) error
	// ended hears when the server has done a call, or refused it.
	ended func(method string)
	// streamed gives what is sent in the place of an event.
	streamed func(*resealv1.EventsResponse) []*resealv1.EventsResponse
	// twice lets the server hear a request twice; the client gets the second
	// answer.
	twice func(method string) bool
	// http stands before the blobs.
	http func(w http.ResponseWriter, r *http.Request, real http.Handler)
}

// errCut is what a client gets of a connection that broke.
var errCut = connect.NewError(connect.CodeUnavailable, "the connection broke")

func (w *world) liar(t testing.TB) *liar {
	t.Helper()
	l := &liar{world: w}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.url = "http://" + listener.Addr().String()
	calls := connect.NewServer()
	for spec := range w.server.Calls().Specs() {
		calls.Register(connect.Method{Spec: spec, Handler: l.serve})
	}
	h := http.NewServeMux()
	h.Handle(mux.Path, mux.NewHandler(calls, mux.Options{Now: w.now, Answer: w.server.Answer}))
	h.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) {
		real := w.server.Handler()
		if f := l.now().http; f != nil {
			f(rw, r, real)
			return
		}
		real.ServeHTTP(rw, r)
	})
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(func() { _ = s.Close() })
	return l
}

func (l *liar) now() lies {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lies
}

// tell changes what is lied about from now on.
func (l *liar) tell(n lies) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lies = n
}

func (l *liar) serve(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
	info, _ := connect.CallInfoForServerContext(ctx)
	s := &lyingStream{ServerStream: stream, method: spec.Procedure[strings.LastIndex(spec.Procedure, "/")+1:], liar: l}
	if f := l.now().twice; f != nil && f(s.method) {
		first := &lyingStream{ServerStream: stream, method: s.method, liar: l, mute: true}
		if err := l.world.server.Calls().Call(ctx, spec.Procedure, info, first); err != nil {
			return err
		}
		s.replay = first.req
	}
	err := l.world.server.Calls().Call(ctx, spec.Procedure, info, s)
	if f := l.now().ended; f != nil {
		f(s.method)
	}
	return err
}

type lyingStream struct {
	connect.ServerStream
	method string
	liar   *liar
	req    proto.Message
	replay proto.Message
	mute   bool
}

func (s *lyingStream) Receive(msg any) error {
	m := msg.(proto.Message)
	if s.replay != nil {
		proto.Merge(m, s.replay)
	} else if err := s.ServerStream.Receive(msg); err != nil {
		return err
	}
	s.req = proto.Clone(m)
	if f := s.liar.now().asked; f != nil {
		return f(s.method, m)
	}
	return nil
}

func (s *lyingStream) SendHeaders() error {
	if s.mute {
		return nil
	}
	return s.ServerStream.SendHeaders()
}

func (s *lyingStream) Send(msg any) error {
	if s.mute {
		return nil
	}
	m := proto.Clone(msg.(proto.Message)) // the server shares events among streams
	lies := s.liar.now()
	if ev, ok := m.(*resealv1.EventsResponse); ok && lies.streamed != nil {
		for _, e := range lies.streamed(ev) {
			if err := s.ServerStream.Send(e); err != nil {
				return err
			}
		}
		return nil
	}
	if lies.answered != nil {
		if err := lies.answered(s.method, s.req, m); err != nil {
			return err
		}
	}
	return s.ServerStream.Send(m)
}
