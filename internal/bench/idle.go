package bench

import (
	"context"
	"errors"
	"time"

	"github.com/reseal/reseal/internal/bench/histogram"
	"github.com/reseal/reseal/internal/bench/presealed"
)

var (
	perUser  = Meaning{"memory", "KiB", "memory of the server for one more connected user: the difference over the number of users", true}
	forNone  = Meaning{"server_memory", "MiB", "memory of the server before anybody came", true}
	atConn   = Meaning{"connect", "ms", "from dialling until everything that waits (nothing) has come, 16 at once", false}
	connCost = Meaning{"connect_cpu", "ms", "processor time of the server for one user who connects", true}
)

func idle(ctx context.Context, s *stage) error { return s.idle(ctx, nil) }

func idleTLS(ctx context.Context, s *stage) error {
	c, err := s.certify()
	if err != nil {
		return err
	}
	return s.idle(ctx, c)
}

// idle makes the accounts, starts the server again, so that what making them left
// is not counted, and looks at its memory before and after all have connected.
func (s *stage) idle(ctx context.Context, c *certificate) error {
	h, err := s.serve(ctx, c)
	if err != nil {
		return err
	}
	devices, err := s.accounts(ctx, h, s.idleUsers)
	if err != nil {
		return err
	}
	if err := h.stop(); err != nil {
		return err
	}
	if h, err = s.serve(ctx, c); err != nil {
		return err
	}
	desk, err := s.online(ctx, h)
	if err != nil {
		return err
	}
	var took histogram.Histogram
	clients := make([]*presealed.Client, len(devices))
	s.stops = append(s.stops, func() error { return closeAll(clients) })
	var p span
	if err := s.memory(ctx, h, func() error {
		from := h.usage()
		err := parallel(len(devices), func(i int) (err error) {
			began := time.Now()
			clients[i], err = devices[i].At(desk).Connect(ctx, nil)
			took.Record(time.Since(began))
			return err
		})
		p = h.usage().since(from)
		return err
	}); err != nil {
		return err
	}
	return errors.Join(
		s.tell(atConn, p.around(latency(&took))),
		s.tell(connCost, p.around(Value{Value: float64(p.server) / float64(len(devices)) / float64(time.Millisecond)})),
	)
}

// memory looks at the memory of a server before and after idleUsers of them have
// connected, and tells what that took.
func (s *stage) memory(ctx context.Context, h *host, connect func() error) error {
	if err := s.settle(ctx); err != nil {
		return err
	}
	none, err := h.memory()
	if err != nil {
		return err
	}
	if err := connect(); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	all, err := h.memory()
	if err != nil {
		return err
	}
	return errors.Join(
		s.tell(perUser, Value{Value: (float64(all) - float64(none)) / float64(s.idleUsers) / (1 << 10)}),
		s.tell(forNone, Value{Value: float64(none) / (1 << 20)}),
	)
}

// settle leaves a server alone for a while, to give back what it does not need.
func (s *stage) settle(ctx context.Context) error {
	select {
	case <-time.After(time.Duration(s.settled * float64(time.Second))):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
