package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reseal/reseal/internal/bench/presealed"
)

// crowd is many connections that ask for more than the server can do.
type crowd struct {
	took, shed atomic.Int64
	work       []func(ctx context.Context) error
}

// crowd connects pre-sealed clients, and people without a session who begin logins.
func (s *stage) crowd(ctx context.Context, h *host) (*crowd, error) {
	c := new(crowd)
	clients, letters, err := s.pairs(ctx, h, s.crowded, func(presealed.Arrival) {})
	if err != nil {
		return nil, err
	}
	for i := range clients {
		send := func(ctx context.Context) error {
			_, req := letters[i].Next()
			_, err := clients[i].Send(ctx, req)
			return err
		}
		for range s.eager {
			c.work = append(c.work, send)
		}
	}
	for range s.knocking {
		desk, err := s.online(ctx, h)
		if err != nil {
			return nil, err
		}
		for range s.eager {
			c.work = append(c.work, desk.Knock)
		}
	}
	return c, nil
}

// begin lets all of them loose; stop ends them, and returns what they met besides
// being refused by name.
func (c *crowd) begin(ctx context.Context) (stop func() error) {
	running, end := context.WithCancel(ctx)
	var all sync.WaitGroup
	errs := make(chan error, len(c.work))
	for _, work := range c.work {
		all.Go(func() {
			for running.Err() == nil {
				calling, cancel := context.WithTimeout(ctx, 2*patience)
				err := work(calling)
				cancel()
				wait, shed := presealed.Shed(err)
				switch {
				case err == nil:
					c.took.Add(1)
				case shed:
					c.shed.Add(1)
					select {
					case <-time.After(wait):
					case <-running.Done():
					}
				default:
					errs <- fmt.Errorf("refused, and not by the name of overload: %w", err)
					return
				}
			}
		})
	}
	return func() error {
		end()
		all.Wait()
		close(errs)
		return <-errs
	}
}

// memories is the most that a server held, while it is watched.
type memories struct {
	stop chan struct{}
	done chan []float64
}

// remember looks at a server's memory ten times a second.
func (h *host) remember(context.Context) *memories {
	m := &memories{stop: make(chan struct{}), done: make(chan []float64, 1)}
	go func() {
		var all []float64
		for {
			if n, err := h.memory(); err == nil {
				all = append(all, float64(n))
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-m.stop:
				m.done <- all
				return
			}
		}
	}()
	return m
}

// end is the most of the first half and of the second, bytes.
func (m *memories) end() (first, second float64) {
	close(m.stop)
	all := <-m.done
	for i, n := range all {
		if i < len(all)/2 {
			first = max(first, n)
		} else {
			second = max(second, n)
		}
	}
	return max(first, 1), second
}
