package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/reseal/reseal/internal/bench/presealed"
	"github.com/reseal/reseal/message"
)

var (
	takenIn   = Meaning{"taken_in", "msg/s", "messages stored a second while the recipients are offline", false}
	takenCPU  = Meaning{"taken_in_cpu", "s/1000", "processor time of the server for taking in 1,000 messages", true}
	drained   = Meaning{"delivered", "msg/s", "messages a second, from the first recipient's dialling to the last delivery", false}
	drainCost = Meaning{"server_cpu", "s/1000", "processor time of the server for delivering 1,000 of them, connecting and acknowledging included", true}
)

func drain(ctx context.Context, s *stage) error {
	h, err := s.host(ctx)
	if err != nil {
		return err
	}
	devices, err := s.accounts(ctx, h, s.users)
	if err != nil {
		return err
	}
	pairs := s.users / 2
	total := int64(pairs * s.queue)
	senders := make([]*presealed.Client, pairs)
	letters := make([]*presealed.Letter, pairs)
	s.stops = append(s.stops, func() error { return closeAll(senders) })
	if err := parallel(pairs, func(i int) (err error) {
		if letters[i], err = devices[2*i].Seal(devices[2*i+1].Account, s.payload); err != nil {
			return err
		}
		senders[i], err = devices[2*i].Connect(ctx, nil)
		return err
	}); err != nil {
		return err
	}
	in := &load{senders: pairs}
	from := h.usage()
	if err := in.together(func(i int) error {
		for range s.queue {
			_, req := letters[i].Next()
			if _, err := senders[i].Send(ctx, req); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	p := h.usage().since(from)
	if err := errors.Join(s.tell(takenIn, p.each(total)), s.tell(takenCPU, p.perThousand(total))); err != nil {
		return err
	}
	return s.drain(ctx, h, devices, total)
}

// drain connects every second device at once, and waits until all that waits for
// them has come and is acknowledged.
func (s *stage) drain(ctx context.Context, h *host, devices []*presealed.Device, total int64) error {
	var came atomic.Int64
	all := make(chan struct{})
	recipients := make([]*presealed.Client, len(devices)/2)
	s.stops = append(s.stops, func() error { return closeAll(recipients) })
	in := &load{senders: len(recipients)}
	from := h.usage()
	if err := in.together(func(i int) (err error) {
		seen := map[message.ID]bool{}
		recipients[i], err = devices[2*i+1].Connect(ctx, func(a presealed.Arrival) {
			if a.Wraps > 0 && !seen[a.Message] { // one goroutine calls
				seen[a.Message] = true
				if came.Add(1) == total {
					close(all)
				}
			}
		})
		return err
	}); err != nil {
		return err
	}
	select {
	case <-all:
	case <-time.After(patience):
		return fmt.Errorf("%d of %d messages came", came.Load(), total)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p := h.usage().since(from)
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		owed := 0
		for _, c := range recipients {
			owed += c.Owed()
		}
		if owed == 0 {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d messages were not acknowledged", owed)
		}
	}
	whole := h.usage().since(from)
	return errors.Join(s.tell(drained, p.each(total)), s.tell(drainCost, whole.perThousand(total)))
}
