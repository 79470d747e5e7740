package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/reseal/reseal/internal/bench/histogram"
	"github.com/reseal/reseal/internal/bench/presealed"
)

// witnesses are people in pairs, who send each other a message now and then.
type witnesses struct {
	post
	clients []*presealed.Client
	letters []*presealed.Letter
	pause   time.Duration
}

func (s *stage) witnesses(ctx context.Context, h *host) (*witnesses, error) {
	w := &witnesses{pause: 50 * time.Millisecond}
	var err error
	w.clients, w.letters, err = s.pairs(ctx, h, s.witnessing, func(a presealed.Arrival) { w.arrived(a.Message) })
	return w, err
}

// pairs connects n pre-sealed clients, each with a letter to its partner.
func (s *stage) pairs(ctx context.Context, h *host, n int, arrived func(presealed.Arrival)) ([]*presealed.Client, []*presealed.Letter, error) {
	devices, err := s.accounts(ctx, h, n)
	if err != nil {
		return nil, nil, err
	}
	clients, letters, err := s.connected(ctx, devices, time.Hour, arrived)
	s.stops = append(s.stops, func() error { return closeAll(clients) })
	return clients, letters, err
}

// connected connects devices, each with a letter to its partner that lives so long.
func (s *stage) connected(ctx context.Context, devices []*presealed.Device, life time.Duration, arrived func(presealed.Arrival)) ([]*presealed.Client, []*presealed.Letter, error) {
	clients, letters := make([]*presealed.Client, len(devices)), make([]*presealed.Letter, len(devices))
	return clients, letters, parallel(len(devices), func(i int) (err error) {
		if letters[i], err = devices[i].Seal(devices[i^1].Account, s.payload); err != nil {
			return err
		}
		letters[i].Expires(life)
		clients[i], err = devices[i].Connect(ctx, func(a presealed.Arrival) {
			if a.Wraps > 0 {
				arrived(a)
			}
		})
		return err
	})
}

// one sends a message of a witness, asks again where the server sheds, as clients
// do, and waits until it is there.
func (w *witnesses) one(ctx context.Context, i int) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	due, done := time.Now(), make(chan struct{}, 1)
	header, req := w.letters[i].Next()
	w.posted(header.ID, letter{due, done})
	for {
		_, err := w.clients[i].Send(ctx, req)
		if err == nil {
			break
		}
		wait, shed := presealed.Shed(err)
		if !shed {
			return 0, fmt.Errorf("who was connected is not served: %w", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return 0, fmt.Errorf("who was connected is not served within %v", patience)
		}
	}
	select {
	case <-done:
		return time.Since(due), w.clients[i].Err()
	case <-ctx.Done():
		return 0, fmt.Errorf("a message that the server took was not delivered within %v", patience)
	}
}

// watched is what witnesses saw.
type watched struct {
	times histogram.Histogram
	err   error
}

// watch has all witnesses send for so many seconds, and until something has come
// about.
func (w *witnesses) watch(ctx context.Context, seconds float64, until func() bool) *watched {
	seen, end := new(watched), time.Now().Add(time.Duration(seconds*float64(time.Second)))
	all := &load{senders: len(w.clients)}
	seen.err = all.together(func(i int) error {
		for n := 0; n == 0 || time.Now().Before(end) || until != nil && !until(); n++ {
			took, err := w.one(ctx, i)
			if err != nil {
				return err
			}
			seen.times.Record(took)
			time.Sleep(w.pause)
		}
		return nil
	})
	return seen
}

// recovered is how long after a moment the first of ten messages in a row was sent
// that took no longer than they should.
func (w *witnesses) recovered(ctx context.Context, since time.Time, most time.Duration) (time.Duration, error) {
	var first time.Time
	for row, end := 0, since.Add(2*patience); row < 10; {
		at := time.Now()
		took, err := w.one(ctx, 0)
		if err != nil {
			return 0, err
		}
		if at.After(end) {
			return 0, fmt.Errorf("a promise is broken: %v after the rush a message still takes %v", at.Sub(since).Round(time.Second), took)
		}
		if row++; took > most {
			row = 0
		} else if row == 1 {
			first = at
		}
	}
	return first.Sub(since), nil
}
