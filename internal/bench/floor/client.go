package floor

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
)

// Client is one connected user. Safe for concurrent use.
type Client struct {
	c  net.Conn
	mu sync.Mutex
}

// Connect says on a connection who one is. arrived gets the body of each message
// that comes, which is acknowledged when it returns.
func Connect(c net.Conn, user int, arrived func([]byte)) (*Client, error) {
	k := &Client{c: c}
	if err := k.write(hello, uint32(user), nil); err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(c, 4096)
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
		return nil, fmt.Errorf("floor: no answer: %w", err)
	}
	go func() {
		defer c.Close()
		for {
			kind, _, body, err := readFrame(r)
			if err != nil || kind != deliver || len(body) < 8 {
				return
			}
			arrived(body[8:])
			if k.write(ack, 0, body[:8]) != nil {
				return
			}
		}
	}()
	return k, nil
}

// Send hands a message over. That it is stored is told by its arrival alone.
func (k *Client) Send(to int, body []byte) error { return k.write(deliver, uint32(to), body) }

// Close ends the connection.
func (k *Client) Close() error { return k.c.Close() }

func (k *Client) write(kind byte, user uint32, body []byte) error {
	b := appendFrame(make([]byte, 0, head+len(body)), kind, user, len(body))
	b = append(b, body...)
	k.mu.Lock()
	defer k.mu.Unlock()
	_, err := k.c.Write(b)
	return err
}
