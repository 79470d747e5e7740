package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reseal/reseal/message"
)

// rivalDrain is as drain. Not every rival tells its clients when it has stored a
// message, so it counts as taken in when the server has come to rest.
func (s *stage) rivalDrain(ctx context.Context, r Rival) error {
	h, err := s.prepared(ctx, r, s.users)
	if err != nil {
		return err
	}
	var came atomic.Int64
	total, pairs := int64(s.users/2*s.queue), s.users/2
	all := make(chan struct{})
	var mu sync.Mutex
	seen := map[message.ID]bool{}
	arrived := func(body []byte) {
		id, ok := numbered(body)
		mu.Lock()
		defer mu.Unlock()
		if !ok || seen[id] {
			return
		}
		seen[id] = true
		if came.Add(1) == total {
			close(all)
		}
	}
	group := func(first int) ([]RivalClient, error) {
		clients := make([]RivalClient, pairs)
		return clients, parallel(pairs, func(i int) (err error) {
			clients[i], err = r.Connect(ctx, h.url, nil, 2*i+first, arrived)
			return err
		})
	}
	away, err := group(1) // once, so that the server knows that they want what comes
	for _, c := range away {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}
	if err != nil {
		return err
	}
	if err := s.rest(ctx, h); err != nil {
		return err
	}
	senders, err := group(0)
	if err != nil {
		return err
	}
	defer closeRivals(senders)
	in, letters := &load{senders: pairs}, s.rivalLetters()
	from := h.usage()
	if err := in.together(func(i int) error {
		for range s.queue {
			_, body := letters()
			if err := senders[i].Send(2*i+1, body); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if err := s.rest(ctx, h); err != nil {
		return err
	}
	if n := came.Load(); n > 0 {
		return fmt.Errorf("%d messages came to who was offline", n)
	}
	if err := s.tell(takenCPU, h.usage().since(from).perThousand(total)); err != nil {
		return err
	}
	from = h.usage()
	recipients, err := group(1)
	if err != nil {
		return err
	}
	defer closeRivals(recipients)
	select {
	case <-all:
	case <-time.After(patience):
		return fmt.Errorf("%d of %d messages came", came.Load(), total)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p := h.usage().since(from)
	if err := s.rest(ctx, h); err != nil { // the acknowledgements
		return err
	}
	return errors.Join(s.tell(drained, p.each(total)), s.tell(drainCost, h.usage().since(from).perThousand(total)))
}

func closeRivals(clients []RivalClient) {
	for _, c := range clients {
		if c != nil {
			_ = c.Close()
		}
	}
}

// rest waits until a server does next to nothing.
func (s *stage) rest(ctx context.Context, h *host) error {
	const pause, little = 250 * time.Millisecond, 10 * time.Millisecond
	end := time.Now().Add(patience)
	for last := h.usage(); ; {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		now := h.usage()
		if now.server-last.server < little {
			return nil
		}
		if now.at.After(end) {
			return errors.New("the server does not come to rest")
		}
		last = now
	}
}
