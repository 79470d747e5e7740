package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/reseal/reseal/internal/bench/presealed"
	"github.com/reseal/reseal/message"
)

func flood(ctx context.Context, s *stage) error {
	return s.messages(ctx, s.presealed, (*load).flood)
}

func rate(ctx context.Context, s *stage) error {
	return s.messages(ctx, s.presealed, func(l *load, ctx context.Context) error { return l.rate(ctx, s.rate) })
}

func engineFlood(ctx context.Context, s *stage) error {
	return s.messages(ctx, s.phones, (*load).flood)
}

func engineRate(ctx context.Context, s *stage) error {
	return s.messages(ctx, s.phones, func(l *load, ctx context.Context) error { return l.rate(ctx, s.engineRate) })
}

// messages measures messages between clients that connect makes, as drive sends
// them.
func (s *stage) messages(ctx context.Context, connect func(context.Context, *host) (*load, error), drive func(*load, context.Context) error) error {
	return s.measured(ctx, func(ctx context.Context) (*host, *load, error) {
		h, err := s.host(ctx)
		if err != nil {
			return nil, nil, err
		}
		l, err := connect(ctx, h)
		return h, l, err
	}, drive)
}

// measured is messages, of clients that are connected to some server.
func (s *stage) measured(ctx context.Context, begin func(context.Context) (*host, *load, error), drive func(*load, context.Context) error) error {
	h, l, err := begin(ctx)
	if err != nil {
		return err
	}
	n, p, err := s.measure(ctx, h, l, func(ctx context.Context) error { return drive(l, ctx) })
	if err != nil {
		return err
	}
	return errors.Join(s.tell(perSecond, p.each(n)), s.tell(inFlood, p.around(latency(&l.latency))), s.tell(perCPU, p.perThousand(n)))
}

// prefix begins the handles of one figure's accounts: a server that was given may
// have those of other runs.
func prefix() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	return "bench-" + hex.EncodeToString(b[:]) + "-"
}

// parallel runs something for each of n, 16 at a time, and returns the first
// error.
func parallel(n int, f func(i int) error) error {
	var all sync.WaitGroup
	errs := make(chan error, n)
	free := make(chan struct{}, 16)
	for i := range n {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			if err := f(i); err != nil {
				errs <- err
			}
		})
	}
	all.Wait()
	close(errs)
	return <-errs
}

// accounts makes n accounts that nobody logs in to, with a device each.
func (s *stage) accounts(ctx context.Context, h *host, n int) ([]*presealed.Device, error) {
	desk, err := s.online(ctx, h)
	if err != nil {
		return nil, err
	}
	all, begin := make([]*presealed.Device, n), prefix()
	return all, parallel(n, func(i int) (err error) {
		all[i], err = desk.SignUp(ctx, fmt.Sprint(begin, i), nil)
		return err
	})
}

// presealed connects pre-sealed clients in pairs, who watch each other as
// contacts do.
func (s *stage) presealed(ctx context.Context, h *host) (*load, error) {
	devices, err := s.accounts(ctx, h, s.users)
	if err != nil {
		return nil, err
	}
	l := &load{senders: s.users}
	clients, letters := make([]*presealed.Client, s.users), make([]*presealed.Letter, s.users)
	s.stops = append(s.stops, func() error { return closeAll(clients) })
	if err := parallel(s.users, func(i int) (err error) {
		partner := devices[i^1].Account
		if letters[i], err = devices[i].Seal(partner, s.payload); err != nil {
			return err
		}
		clients[i], err = devices[i].Connect(ctx, func(a presealed.Arrival) {
			if a.Wraps > 0 {
				l.arrived(a.Message)
			}
		}, partner.ID)
		return err
	}); err != nil {
		return nil, err
	}
	l.send = func(ctx context.Context, sender int, posted func(message.ID)) error {
		header, req := letters[sender].Next()
		posted(header.ID)
		stale, err := clients[sender].Send(ctx, req)
		if err == nil && len(stale) > 0 {
			err = errors.New("the server says that the devices have changed")
		}
		return err
	}
	return l, nil
}

// closeAll takes clients offline, and tells what went wrong on one of them.
func closeAll(clients []*presealed.Client) error {
	return parallel(len(clients), func(i int) error {
		if clients[i] == nil {
			return nil
		}
		clients[i].Close()
		return clients[i].Err()
	})
}
