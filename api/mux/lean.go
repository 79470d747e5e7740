//go:build !js

package mux

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"net"
	"net/http"
)

// Sizes of what an idle connection keeps beside its goroutines, bytes. net/http
// would leave it 8 KiB of buffers.
const (
	// readAhead takes any small message with its head in one read; what is longer
	// is read straight to where it goes.
	readAhead = 512
	// headBytes is the longest head of a WebSocket frame that a server sends, 10,
	// rounded up.
	headBytes = 16
)

// lean hands its connection over with small buffers.
type lean struct{ http.ResponseWriter }

// Hijack implements [http.Hijacker].
func (l lean) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(l.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered()) // in memory: it does not fail
	k := &leanConn{Conn: c, early: bytes.Clone(early)}
	return k, bufio.NewReadWriter(bufio.NewReaderSize(k, readAhead), bufio.NewWriterSize(k, headBytes)), nil
}

// leanConn gives first what came before the connection was taken over. What is
// written comes through a buffer that has room for little more than the head of a
// frame: it is kept back until the rest of the frame comes, for one system call.
// Reads have one goroutine, writes one at a time.
type leanConn struct {
	net.Conn
	early []byte

	left int // bytes of the frame under way that have not been written yet
	held []byte
	head [headBytes]byte
}

// Read implements [net.Conn].
func (c *leanConn) Read(p []byte) (int, error) {
	if len(c.early) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.early)
	if c.early = c.early[n:]; len(c.early) == 0 {
		c.early = nil
	}
	return n, nil
}

// Write implements [net.Conn]. p ends where a frame ends, or before.
func (c *leanConn) Write(p []byte) (int, error) {
	if c.left == 0 {
		c.left = frameSize(p)
	}
	c.left = max(c.left-len(p), 0)
	if c.left > 0 && len(c.held)+len(p) <= headBytes {
		c.held = append(c.head[:len(c.held)], p...)
		return len(p), nil
	}
	held := c.held
	c.held = nil
	switch {
	case len(held) == 0:
		return c.Conn.Write(p)
	case len(p) > maxGather:
		if _, err := c.Conn.Write(held); err != nil {
			return 0, err
		}
		return c.Conn.Write(p)
	}
	b := append(append(getBuffer(), held...), p...)
	defer putBuffer(b)
	if _, err := c.Conn.Write(b); err != nil {
		return 0, err
	}
	return len(p), nil
}

// frameSize is how long the frame is that begins with b, by its head (RFC 6455,
// section 5.2), which a server sends without a mask.
func frameSize(b []byte) int {
	if len(b) < 2 {
		return 2
	}
	switch n := int(b[1] & 0x7f); {
	case n < 126:
		return 2 + n
	case n == 126 && len(b) >= 4:
		return 4 + int(binary.BigEndian.Uint16(b[2:]))
	case n == 127 && len(b) >= 10:
		return 10 + int(binary.BigEndian.Uint64(b[2:]))
	}
	return len(b)
}
