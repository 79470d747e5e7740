package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reseal/reseal/internal/bench/histogram"
	"github.com/reseal/reseal/internal/bench/presealed"
	"github.com/reseal/reseal/message"
)

var (
	staleTold   = Meaning{"told", "ms", "from handing the message over to the server's answer, which names the device that was missed", false}
	staleCaught = Meaning{"caught", "ms", "from handing the message over to the missed device's having its wrap; the sender wraps when it is told", false}
	staleCost   = Meaning{"server_cpu", "ms", "processor time of the server for one such message", true}
)

// stale measures sends to an account of which the sender does not know a device.
func stale(ctx context.Context, s *stage) error {
	h, err := s.host(ctx)
	if err != nil {
		return err
	}
	desk, err := s.online(ctx, h)
	if err != nil {
		return err
	}
	begin := prefix()
	sender, err := desk.SignUp(ctx, begin+"sender", nil)
	if err != nil {
		return err
	}
	first, err := desk.SignUp(ctx, begin+"owner", []byte(passphrase))
	if err != nil {
		return err
	}
	letter, err := sender.Seal(first.Account, s.payload)
	if err != nil {
		return err
	}
	joining, err := first.LogIn(ctx)
	if err != nil {
		return err
	}
	missed, err := joining.Join(ctx)
	if err != nil {
		return err
	}
	wraps := make(chan message.ID, 16)
	clients := make([]*presealed.Client, 2)
	s.stops = append(s.stops, func() error { return closeAll(clients) })
	if clients[0], err = sender.Connect(ctx, nil); err != nil {
		return err
	}
	if clients[1], err = missed.Connect(ctx, func(a presealed.Arrival) {
		if a.Wraps > 0 {
			wraps <- a.Message
		}
	}); err != nil {
		return err
	}
	var told, caught histogram.Histogram
	from := h.usage()
	for range s.stales {
		if err := s.miss(ctx, clients[0], letter, missed, wraps, &told, &caught); err != nil {
			return err
		}
	}
	p := h.usage().since(from)
	each := Value{Value: float64(p.server) / float64(s.stales) / float64(time.Millisecond)}
	return errors.Join(s.tell(staleCaught, p.around(latency(&caught))), s.tell(staleTold, p.around(latency(&told))), s.tell(staleCost, p.around(each)))
}

// miss sends one message past a device, is told, and catches up.
func (s *stage) miss(ctx context.Context, from *presealed.Client, l *presealed.Letter, missed *presealed.Device, wraps <-chan message.ID, told, caught *histogram.Histogram) error {
	header, req := l.Next()
	began := time.Now()
	stale, err := from.Send(ctx, req)
	if err != nil {
		return err
	}
	told.Record(time.Since(began))
	if len(stale) != 1 {
		return fmt.Errorf("the server says that %d accounts have other devices, not 1", len(stale))
	}
	w, err := l.Wrap(header, missed)
	if err != nil {
		return err
	}
	if err := from.AddWraps(ctx, header, w); err != nil {
		return err
	}
	for {
		select {
		case id := <-wraps:
			if id == header.ID {
				caught.Record(time.Since(began))
				return nil
			}
		case <-time.After(patience):
			return errors.New("the missed device does not get its wrap")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
