package server_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/server"
)

// abroad is a listener whose clients come from the addresses that the test says:
// those of this machine are not counted.
type abroad struct {
	net.Listener
	from chan string
}

type foreign struct {
	net.Conn
	addr net.Addr
}

func (c foreign) RemoteAddr() net.Addr { return c.addr }

func (l abroad) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return foreign{c, &net.TCPAddr{IP: net.ParseIP(<-l.from), Port: 4000}}, nil
}

// One address has a bounded number of connections, an IPv6 network of one
// household counts as one address, and a place that is free is given again.
func TestConnectionsOfOneAddress(t *testing.T) {
	w := tw.New(t, func(c *server.Config) { c.MaxConnsPerAddress = 2 })
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := abroad{inner, make(chan string, 1)}
	c, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Server.Serve(c, l)
	}()
	defer func() {
		cancel()
		<-done
	}()
	dial := func(from string) (c net.Conn, served bool) {
		t.Helper()
		l.from <- from
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil {
			_ = resp.Body.Close()
		}
		return c, err == nil
	}
	for _, networks := range [][3]string{
		{"203.0.113.7", "203.0.113.7", "203.0.113.8"},
		{"2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"},
	} {
		first, ok := dial(networks[0])
		if !ok {
			t.Fatal("the first connection is not served")
		}
		if _, ok := dial(networks[1]); !ok {
			t.Error("the second connection is not served")
		}
		if _, ok := dial(networks[1]); ok {
			t.Error("a third connection of one address is served")
		}
		if _, ok := dial(networks[2]); !ok {
			t.Error("another address is not served")
		}
		_ = first.Close()
		for n := 0; ; n++ { // once the server has noticed
			if _, ok := dial(networks[0]); ok {
				break
			}
			if n == 1000 {
				t.Fatal("a place that is free is not given again")
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	for range 4 {
		if _, ok := dial("127.0.0.1"); !ok {
			t.Error("this machine is counted")
		}
	}
}
