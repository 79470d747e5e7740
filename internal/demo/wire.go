package demo

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"

	"github.com/reseal/reseal/api/mux"
)

// wire is the network between the installations and the server: a proxy on
// loopback. It keeps its address when the server comes back at another one, can
// hold back the next send of a message, and notes session tokens, as only the
// two ends of a connection in the clear can.
type wire struct {
	listener net.Listener
	keys     *keyring

	mu      sync.Mutex
	backend string
	conns   map[net.Conn]struct{}
	hold    *hold
	closed  bool
	wg      sync.WaitGroup
}

// hold is a send that is to be held back.
type hold struct {
	caught  chan struct{} // closed when the send is on the wire
	release chan struct{} // closed when it may go on
}

func newWire(keys *keyring) (*wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{listener: l, keys: keys, conns: map[net.Conn]struct{}{}}
	w.wg.Go(w.accept)
	return w, nil
}

// url is what installations take for the server's.
func (w *wire) url() string { return "http://" + w.listener.Addr().String() }

// connect leads new connections to a server. Those to another one end.
func (w *wire) connect(backend string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.backend = backend
	for c := range w.conns {
		_ = c.Close()
	}
}

// holdNextSend holds the next send that crosses the wire, and with it whatever
// comes behind it on the same connection.
func (w *wire) holdNextSend() *hold {
	h := &hold{make(chan struct{}), make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hold = h
	return h
}

func (w *wire) close() {
	w.mu.Lock()
	w.closed = true
	if w.hold != nil {
		w.hold = nil
	}
	for c := range w.conns {
		_ = c.Close()
	}
	w.mu.Unlock()
	_ = w.listener.Close()
	w.wg.Wait()
}

func (w *wire) accept() {
	for {
		c, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.wg.Go(func() { w.carry(c) })
	}
}

// enter notes a connection, so that it can be cut.
func (w *wire) enter(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.conns[c] = struct{}{}
	return true
}

func (w *wire) leave(c net.Conn) {
	_ = c.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
}

// carry carries one connection until either side ends it.
func (w *wire) carry(client net.Conn) {
	if !w.enter(client) {
		_ = client.Close()
		return
	}
	defer w.leave(client)
	w.mu.Lock()
	backend := w.backend
	w.mu.Unlock()
	server, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	if !w.enter(server) {
		_ = server.Close()
		return
	}
	defer w.leave(server)
	gone := make(chan struct{})
	w.wg.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
		close(gone)
	})
	_ = w.up(server, client, gone)
	_ = server.Close()
	<-gone
}

// maxHead is the longest head of a request.
const maxHead = 32 << 10

// up carries what the client says. Of plain HTTP only the first head is looked
// at, of a WebSocket every message.
func (w *wire) up(server io.Writer, client io.Reader, gone <-chan struct{}) error {
	r := bufio.NewReaderSize(client, 64<<10)
	var head bytes.Buffer
	for {
		line, err := r.ReadSlice('\n')
		head.Write(line)
		if err != nil || head.Len() > maxHead {
			return errors.New("demo: no request")
		}
		if len(line) <= 2 {
			break
		}
	}
	w.note(head.Bytes())
	if _, err := server.Write(head.Bytes()); err != nil {
		return err
	}
	if !strings.Contains(strings.ToLower(head.String()), "upgrade: websocket") {
		_, err := io.Copy(server, r)
		return err
	}
	for {
		raw, payload, err := readFrame(r)
		if err != nil {
			return err
		}
		w.note(payload)
		if isSend(payload) {
			w.stall(gone)
		}
		if _, err := server.Write(raw); err != nil {
			return err
		}
	}
}

// stall waits, if this is the send to be held back, for its release.
func (w *wire) stall(gone <-chan struct{}) {
	w.mu.Lock()
	h := w.hold
	w.hold = nil
	w.mu.Unlock()
	if h == nil {
		return
	}
	close(h.caught)
	select {
	case <-h.release:
	case <-gone:
	}
}

// readFrame reads one WebSocket frame of a client (RFC 6455, section 5.2): as it
// came, and what it says.
func readFrame(r io.Reader) (raw, payload []byte, err error) {
	head := make([]byte, 2, 14)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, nil, err
	}
	more := map[byte]int{126: 2, 127: 8}[head[1]&0x7f]
	if head[1]&0x80 == 0 {
		return nil, nil, errors.New("demo: frame without mask")
	}
	head = head[:2+more+4]
	if _, err := io.ReadFull(r, head[2:]); err != nil {
		return nil, nil, err
	}
	length := uint64(head[1] & 0x7f)
	switch more {
	case 2:
		length = uint64(binary.BigEndian.Uint16(head[2:]))
	case 8:
		length = binary.BigEndian.Uint64(head[2:])
	}
	if length > 2*mux.MaxMessage {
		return nil, nil, errors.New("demo: frame too long")
	}
	raw = append(head, make([]byte, length)...)
	if _, err := io.ReadFull(r, raw[len(head):]); err != nil {
		return nil, nil, err
	}
	mask := head[len(head)-4:]
	payload = bytes.Clone(raw[len(head):])
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return raw, payload, nil
}

// sendProcedure is the call that sends a message, with its length, as a CALL
// frame of package mux has it.
const sendProcedure = "/reseal.v1.MailboxService/Send"

func isSend(payload []byte) bool {
	return bytes.Contains(payload, append([]byte{byte(len(sendProcedure))}, sendProcedure...))
}

// bearer is a session token in a header: account id and secret, 48 bytes.
var bearer = regexp.MustCompile(`Bearer ([A-Za-z0-9_-]{64})`)

// note remembers the session tokens in what a client says.
func (w *wire) note(b []byte) {
	for _, m := range bearer.FindAllSubmatch(b, -1) {
		if token, err := base64.RawURLEncoding.DecodeString(string(m[1])); err == nil && len(token) == 48 {
			w.keys.add("session secret", token[16:]) // the account id is no secret
		}
	}
}
