package presealed

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/server"
)

// serve runs a real server on loopback and returns a host.
func serve(t *testing.T) *Host {
	t.Helper()
	w := testworld.New(t, func(c *server.Config) { c.Now = time.Now })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- w.Server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		<-served
	})
	h, err := Dial(t.Context(), "http://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func must[V any](v V, err error) func(t *testing.T) V {
	return func(t *testing.T) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// next is the next arrival that is one of a message.
func next(t *testing.T, from <-chan Arrival) Arrival {
	t.Helper()
	select {
	case a := <-from:
		return a
	case <-time.After(time.Minute):
		t.Fatal("nothing arrives")
		return Arrival{}
	}
}

// TestLetters: the server takes one letter as many messages, hands each on with
// its wrap, and after the acknowledgements has none left in the queue.
func TestLetters(t *testing.T) {
	h := serve(t)
	ana := must(h.SignUp(t.Context(), "ana", nil))(t)
	ben := must(h.SignUp(t.Context(), "ben", nil))(t)
	came := make(chan Arrival, 100)
	there := must(ben.Connect(t.Context(), func(a Arrival) { came <- a }))(t)
	here := must(ana.Connect(t.Context(), nil))(t)
	defer here.Close()
	letter := must(ana.Seal(ben.Account, 1000))(t)
	sent := map[message.ID]bool{}
	for range 10 {
		header, req := letter.Next()
		if stale := must(here.Send(t.Context(), req))(t); len(stale) != 0 {
			t.Errorf("the server says that %d lists are stale", len(stale))
		}
		sent[header.ID] = true
	}
	if len(sent) != 10 {
		t.Fatalf("only %d ids", len(sent))
	}
	for range 10 {
		a := next(t, came)
		if !sent[a.Message] || a.Wraps != 1 || a.Late {
			t.Errorf("arrived: %+v", a)
		}
		delete(sent, a.Message)
	}
	// What was not acknowledged comes again: the last call may have been cut off.
	for {
		there.Close()
		if there.Err() != nil {
			t.Fatal(there.Err())
		}
		again := 0
		there = must(ben.Connect(t.Context(), func(Arrival) { again++ }))(t)
		if again == 0 {
			break
		}
	}
	there.Close()
}

// TestOffline: what was sent to somebody offline is there after Connect.
func TestOffline(t *testing.T) {
	h := serve(t)
	ana := must(h.SignUp(t.Context(), "ana", nil))(t)
	ben := must(h.SignUp(t.Context(), "ben", nil))(t)
	here := must(ana.Connect(t.Context(), nil))(t)
	defer here.Close()
	letter := must(ana.Seal(ben.Account, 10))(t)
	const n = 300 // more than one acknowledgement takes
	for range n {
		_, req := letter.Next()
		must(here.Send(t.Context(), req))(t)
	}
	count := 0
	there := must(ben.Connect(t.Context(), func(a Arrival) { count += a.Wraps }))(t)
	there.Close()
	if count != n {
		t.Errorf("%d of %d came", count, n)
	}
}

// TestServerGone: a client says that the server has gone, and Close does not hang.
func TestServerGone(t *testing.T) {
	h := serve(t)
	ana := must(h.SignUp(t.Context(), "ana", nil))(t)
	c := must(ana.Connect(t.Context(), nil))(t)
	_ = c.conn.Close()
	for end := time.Now().Add(time.Minute); c.Err() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the client does not notice")
		}
	}
	c.Close()
}
