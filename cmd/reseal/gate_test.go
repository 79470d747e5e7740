package main

import (
	"net"
	"sync"
	"testing"
)

// gate stands before a server and holds back what goes one way, from a byte on,
// so that a test can kill a process at just that moment.
type gate struct {
	url  string
	real string

	mu sync.Mutex
	// left is how many bytes of each direction may still pass; -1 is all.
	left map[way]int64
	// passed counts them.
	passed map[way]int64
	// held is closed once something is held back.
	held chan struct{}
	// then shuts one way when so many bytes have passed the other.
	then    func()
	changed *sync.Cond
	conns   map[net.Conn]bool
	closed  bool
}

type way string

const (
	toServer way = "to the server"
	toClient way = "to the client"
)

func newGate(t *testing.T, real string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{url: "http://" + l.Addr().String(), real: real, passed: map[way]int64{}, conns: map[net.Conn]bool{}}
	g.changed = sync.NewCond(&g.mu)
	g.open()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { g.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		g.mu.Lock()
		g.closed = true
		for c := range g.conns {
			_ = c.Close()
		}
		g.changed.Broadcast()
		g.mu.Unlock()
		all.Wait()
	})
	return g
}

// open lets everything pass.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left, g.then = map[way]int64{toServer: -1, toClient: -1}, nil
	g.held = make(chan struct{})
	g.changed.Broadcast()
}

// hold lets n more bytes pass that way, and nothing after them. The channel is
// closed when something waits.
func (g *gate) hold(w way, n int64) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left[w], g.held = n, make(chan struct{})
	return g.held
}

// count is how many bytes passed so far.
func (g *gate) count(w way) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.passed[w]
}

// holdAfter lets nothing pass one way once n more bytes have passed another.
func (g *gate) holdAfter(w way, n int64, shut way) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	end := g.passed[w] + n
	g.held = make(chan struct{})
	g.then = func() {
		if g.passed[w] >= end {
			g.left[shut], g.then = 0, nil
		}
	}
	return g.held
}

func (g *gate) serve(client net.Conn) {
	server, err := net.Dial("tcp", g.real)
	if err != nil {
		_ = client.Close()
		return
	}
	g.mu.Lock()
	g.conns[client], g.conns[server] = true, true
	if g.closed {
		_ = client.Close()
		_ = server.Close()
	}
	g.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { g.pass(server, client, toServer) })
	both.Go(func() { g.pass(client, server, toClient) })
	both.Wait()
	g.mu.Lock()
	delete(g.conns, client)
	delete(g.conns, server)
	g.mu.Unlock()
}

func (g *gate) pass(to, from net.Conn, w way) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		for at := 0; at < n; {
			k := g.may(w, n-at)
			if k == 0 {
				return
			}
			if _, err := to.Write(b[at : at+k]); err != nil {
				return
			}
			at += k
		}
		if err != nil {
			return
		}
	}
}

// may waits until some of n bytes may pass; 0 is the end.
func (g *gate) may(w way, n int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.left[w] == 0 && !g.closed {
		select {
		case <-g.held:
		default:
			close(g.held)
		}
		g.changed.Wait()
	}
	if g.closed {
		return 0
	}
	if g.left[w] > 0 {
		n = int(min(int64(n), g.left[w]))
		g.left[w] -= int64(n)
	}
	if g.passed[w] += int64(n); g.then != nil {
		g.then()
	}
	return n
}
