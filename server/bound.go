package server

import (
	"io"
	"net"
	"net/netip"
	"sync"
)

// bound limits how many connections there are at once: past the whole limit the
// next one waits in the system's queue, past the limit of one address it is
// closed.
func (s *Server) bound(l net.Listener) net.Listener {
	return &boundListener{
		Listener: l, server: s, slots: make(chan struct{}, s.config.MaxConns),
		perAddress: map[netip.Addr]int{}, closed: make(chan struct{}),
	}
}

type boundListener struct {
	net.Listener
	server *Server
	slots  chan struct{}
	once   sync.Once
	closed chan struct{}

	mu         sync.Mutex
	perAddress map[netip.Addr]int
}

// Accept waits for a free slot, then for a connection.
func (l *boundListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.slots
			return nil, err
		}
		addr := addrOf(c)
		if !l.enter(addr) {
			_ = c.Close()
			continue
		}
		l.server.conns.Add(1)
		return &boundConn{Conn: c, leave: sync.OnceFunc(func() {
			l.leave(addr)
			l.server.conns.Add(-1)
			<-l.slots
		})}, nil
	}
}

// Close ends a waiting Accept, too.
func (l *boundListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// enter counts a connection of an address. Those of this machine, and of
// listeners without addresses, are not counted: everybody behind a proxy here
// shares one.
func (l *boundListener) enter(a netip.Addr) bool {
	if !a.IsValid() || a.IsLoopback() {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.perAddress[a] >= l.server.config.MaxConnsPerAddress {
		return false
	}
	l.perAddress[a]++
	return true
}

func (l *boundListener) leave(a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.perAddress[a]--; l.perAddress[a] <= 0 {
		delete(l.perAddress, a)
	}
}

func addrOf(c net.Conn) netip.Addr {
	p, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	a := p.Addr().Unmap().WithZone("")
	if a.Is6() && !a.IsLoopback() {
		if net, err := a.Prefix(64); err == nil {
			return net.Addr() // a household has a /64
		}
	}
	return a
}

// boundConn gives its slot back when it is closed.
type boundConn struct {
	net.Conn
	leave func()
}

// ReadFrom hands on what is to be sent: the system copies files into a connection
// by itself, where it is asked to.
func (c *boundConn) ReadFrom(r io.Reader) (int64, error) {
	if to, ok := c.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, r)
}

func (c *boundConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
