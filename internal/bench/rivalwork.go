package bench

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"slices"
	"sync/atomic"

	"github.com/reseal/reseal/message"
)

func (s *stage) rivalMessages(ctx context.Context, r Rival, drive func(*load, context.Context) error) error {
	return s.measured(ctx, func(ctx context.Context) (*host, *load, error) {
		h, err := s.prepared(ctx, r, s.users)
		if err != nil {
			return nil, nil, err
		}
		l := &load{senders: s.users}
		clients, err := s.rivalUsers(ctx, r, h, nil, s.users, func(body []byte) {
			if id, ok := numbered(body); ok {
				l.arrived(id)
			}
		})
		if err != nil {
			return nil, nil, err
		}
		letters := s.rivalLetters()
		l.send = func(_ context.Context, sender int, posted func(message.ID)) error {
			id, body := letters()
			posted(id)
			return clients[sender].Send(sender^1, body)
		}
		return h, l, nil
	}, drive)
}

// rivalLetters makes messages of random bytes, each with a number of its own in
// front. It may be called from many goroutines.
func (s *stage) rivalLetters() func() (id message.ID, body []byte) {
	filler := make([]byte, s.payload)
	_, _ = rand.Read(filler) // never fails
	var last atomic.Uint64
	return func() (message.ID, []byte) {
		body := slices.Clone(filler)
		binary.BigEndian.PutUint64(body, last.Add(1))
		id, _ := numbered(body)
		return id, body
	}
}

// numbered is the id of a message that begins with its number.
func numbered(body []byte) (id message.ID, ok bool) {
	return id, len(body) >= 8 && copy(id[:8], body) == 8
}

// rivalUsers connects users, and takes them offline at the end.
func (s *stage) rivalUsers(ctx context.Context, r Rival, h *host, roots *x509.CertPool, n int, arrived func([]byte)) ([]RivalClient, error) {
	clients := make([]RivalClient, n)
	s.stops = append(s.stops, func() error {
		return parallel(n, func(i int) error {
			if clients[i] == nil {
				return nil
			}
			return clients[i].Close()
		})
	})
	return clients, parallel(n, func(i int) (err error) {
		clients[i], err = r.Connect(ctx, h.url, roots, i, arrived)
		return err
	})
}

// rivalIdle is as idle: what users need is made before, and the server started
// again.
func (s *stage) rivalIdle(ctx context.Context, r Rival, c *certificate) error {
	if _, ok := r.(preparing); ok {
		h, err := s.prepared(ctx, r, s.idleUsers)
		if err != nil {
			return err
		}
		if err := h.stop(); err != nil {
			return err
		}
	}
	h, err := s.rival(ctx, r.Command(s.dir, c.chain, c.key))
	if err != nil {
		return err
	}
	return s.memory(ctx, h, func() error {
		_, err := s.rivalUsers(ctx, r, h, c.roots, s.idleUsers, func([]byte) {})
		return err
	})
}
