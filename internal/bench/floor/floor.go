// Package floor is the least that a server can do for messages between two people
// and for files: what a measured server is compared with, and no product. There
// are no accounts, no encryption beyond TLS, no limits, and nothing is found again
// after a restart. But what it does it does durably, as the server does.
//
// Messages: frames over TCP, one log that is appended to and synced for all that
// came meanwhile (group commit), delivery to the recipient's connection, and an
// acknowledgement that frees the message. For who is away they wait in memory,
// too. Files: PUT into a file that is synced,
// with its folder, before the answer, and GET from it.
//
// A frame is its length after these 4 bytes (4), a kind (1), a user (4) and a
// body, big-endian. Kinds: 0 says who one is and is answered with one byte, 1 is a
// message to the user, and from the user with 8 bytes of id before its body where
// it is delivered, 2 acknowledges the id in its body.
package floor

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
)

const (
	hello   = 0
	deliver = 1
	ack     = 2

	head     = 9
	maxFrame = 1 << 20
	maxUsers = 1 << 16
)

var errFrame = errors.New("floor: bad frame")

// readFrame reads one frame; the body is the caller's.
func readFrame(r io.Reader) (kind byte, user uint32, body []byte, err error) {
	var h [head]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, 0, nil, err
	}
	n := binary.BigEndian.Uint32(h[:])
	if n < head-4 || n > maxFrame {
		return 0, 0, nil, errFrame
	}
	body = make([]byte, n-(head-4))
	_, err = io.ReadFull(r, body)
	return h[4], binary.BigEndian.Uint32(h[5:]), body, err
}

// appendFrame appends a frame without its body, of which it gets the length.
func appendFrame(b []byte, kind byte, user uint32, body int) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(head-4+body))
	b = append(b, kind)
	return binary.BigEndian.AppendUint32(b, user)
}

// Server takes connections and keeps its log in a file. Make it with [New].
type Server struct {
	log   *os.File
	users [maxUsers]struct {
		sync.RWMutex
		c       *conn
		waiting []letter // while there is no connection
	}

	mu      sync.Mutex
	more    sync.Cond
	pending []letter
	freed   []uint64
	ids     uint64
	closed  bool
	done    chan error
}

type letter struct {
	from, to uint32
	id       uint64
	body     []byte
}

type conn struct {
	net.Conn
	mu sync.Mutex
}

// New makes a server with a new log.
func New(log string) (*Server, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	s := &Server{log: f, done: make(chan error, 1)}
	s.more.L = &s.mu
	go func() { s.done <- s.commit() }()
	return s, nil
}

// Close ends the log. Connections end with their listener's process.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.more.Signal()
	s.mu.Unlock()
	return errors.Join(<-s.done, s.log.Close())
}

// commit writes what came, syncs once, and hands it out.
func (s *Server) commit() error {
	var buf []byte
	for {
		s.mu.Lock()
		for len(s.pending) == 0 && !s.closed {
			s.more.Wait()
		}
		letters, freed := s.pending, s.freed
		s.pending, s.freed = nil, nil
		closed := s.closed
		s.mu.Unlock()
		if closed && len(letters) == 0 {
			return nil
		}
		buf = buf[:0]
		for _, l := range letters {
			buf = binary.BigEndian.AppendUint32(buf, uint32(len(l.body)))
			buf = binary.BigEndian.AppendUint32(buf, l.to)
			buf = binary.BigEndian.AppendUint64(buf, l.id)
			buf = append(buf, l.body...)
		}
		for _, id := range freed {
			buf = binary.BigEndian.AppendUint64(append(buf, 0xff), id)
		}
		if _, err := s.log.Write(buf); err != nil {
			return err
		}
		if err := Sync(s.log); err != nil {
			return err
		}
		for _, l := range letters {
			s.deliver(l)
		}
	}
}

func (s *Server) deliver(l letter) {
	u := &s.users[l.to%maxUsers]
	u.RLock()
	c := u.c
	u.RUnlock()
	if c == nil {
		u.Lock()
		if c = u.c; c == nil {
			u.waiting = append(u.waiting, l)
		}
		u.Unlock()
	}
	if c != nil {
		c.hand(l)
	}
}

// hand writes a letter to who it is for.
func (c *conn) hand(l letter) {
	b := appendFrame(make([]byte, 0, head+8+len(l.body)), deliver, l.from, 8+len(l.body))
	b = append(binary.BigEndian.AppendUint64(b, l.id), l.body...)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.Write(b) // who has gone notices himself
}

// Serve takes connections until the listener ends.
func (s *Server) Serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go s.talk(&conn{Conn: c})
	}
}

func (s *Server) talk(c *conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 2048)
	var me uint32
	for {
		kind, user, body, err := readFrame(r)
		switch {
		case err != nil:
			return
		case kind == hello:
			me = user % maxUsers
			if _, err := c.Write([]byte{1}); err != nil {
				return
			}
			u := &s.users[me]
			u.Lock()
			waiting := u.waiting
			u.c, u.waiting = c, nil
			u.Unlock()
			defer s.gone(me, c)
			for _, l := range waiting {
				c.hand(l)
			}
		case kind == deliver:
			s.mu.Lock()
			s.ids++
			s.pending = append(s.pending, letter{me, user, s.ids, body})
			s.more.Signal()
			s.mu.Unlock()
		case kind == ack && len(body) == 8:
			s.mu.Lock()
			s.freed = append(s.freed, binary.BigEndian.Uint64(body))
			s.mu.Unlock()
		default:
			return
		}
	}
}

// gone is when a user's connection has ended: what comes for him waits.
func (s *Server) gone(user uint32, c *conn) {
	u := &s.users[user]
	u.Lock()
	defer u.Unlock()
	if u.c == c {
		u.c = nil
	}
}
