package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reseal/reseal/internal/bench/histogram"
	"github.com/reseal/reseal/message"
)

// patience is how long a message may take before it counts as lost.
const patience = 30 * time.Second

// load sends messages between clients and follows them.
type load struct {
	senders int
	// send makes a message of a sender and hands it over, and returns when the
	// server has it; it calls posted as soon as it knows the message's id.
	send func(ctx context.Context, sender int, posted func(message.ID)) error
	post
}

// post follows messages from the sender to the recipient.
type post struct {
	latency   histogram.Histogram
	delivered atomic.Int64

	mu   sync.Mutex
	away map[message.ID]letter
	// early came before their senders knew the ids.
	early map[message.ID]time.Time
	// from and to bound which are in the histogram, by when they were due; zero
	// for none.
	from, to time.Time
}

// letter is a message that is under way.
type letter struct {
	due  time.Time
	done chan<- struct{} // is sent to, without waiting, when it is delivered
}

// posted says that a message is under way.
func (p *post) posted(id message.ID, l letter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, ok := p.early[id]; ok {
		delete(p.early, id)
		p.take(l, at)
		return
	}
	if p.away == nil {
		p.away = map[message.ID]letter{}
	}
	p.away[id] = l
}

// arrived says that a message has been delivered. It is called by recipients; a
// second delivery of one is ignored.
func (p *post) arrived(id message.ID) {
	at := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.away[id]
	if !ok {
		if p.early == nil {
			p.early = map[message.ID]time.Time{}
		}
		p.early[id] = at
		return
	}
	delete(p.away, id)
	p.take(l, at)
}

// take counts a delivered message. The lock is held.
func (p *post) take(l letter, at time.Time) {
	p.delivered.Add(1)
	if !p.from.IsZero() && !l.due.Before(p.from) && (p.to.IsZero() || l.due.Before(p.to)) {
		p.latency.Record(at.Sub(l.due))
	}
	select {
	case l.done <- struct{}{}:
	default:
	}
}

// begin and end bound which messages are in the histogram, and return how many
// had been delivered at that moment.
func (p *post) begin() int64 { return p.mark(&p.from) }
func (p *post) end() int64   { return p.mark(&p.to) }

func (p *post) mark(at *time.Time) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	*at = time.Now()
	return p.delivered.Load()
}

// empty waits until everything that was sent is delivered.
func (p *post) empty(ctx context.Context) error {
	for end := time.Now().Add(patience); ; {
		p.mu.Lock()
		n := len(p.away)
		p.mu.Unlock()
		switch {
		case n == 0:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("%d messages that the server took were not delivered within %v", n, patience)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// measure runs the load, leaves it alone while it warms up, and then measures for
// a while. drive sends until its context ends.
func (s *stage) measure(ctx context.Context, h *host, l *load, drive func(ctx context.Context) error) (n int64, p span, err error) {
	driving, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	result := make(chan error, 1)
	go func() {
		err := drive(driving)
		stop(err) // also the waiting below
		result <- err
	}()
	wait := func(seconds float64) {
		select {
		case <-time.After(time.Duration(seconds * float64(time.Second))):
		case <-driving.Done():
		}
	}
	wait(s.warm)
	before, from := l.begin(), h.usage()
	wait(s.long)
	// A server that stands still for all of the time is measured until it moves.
	for end := time.Now().Add(patience); (l.delivered.Load() == before || l.latency.Count() == 0) && time.Now().Before(end) && driving.Err() == nil; {
		wait(0.01)
	}
	after, to := l.end(), h.usage()
	stop(nil)
	if err := errors.Join(<-result, context.Cause(ctx)); err != nil {
		return 0, p, err
	}
	if err := l.empty(ctx); err != nil {
		return 0, p, err
	}
	if after == before {
		return 0, p, fmt.Errorf("nothing was delivered within %v", patience)
	}
	return after - before, to.since(from), nil
}

// flood drives every sender on its own: the next message when the last one was
// taken and delivered. What is under way when ctx ends is finished.
func (l *load) flood(ctx context.Context) error {
	return l.together(func(sender int) error {
		done := make(chan struct{}, 1)
		for ctx.Err() == nil {
			due := time.Now()
			sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
			err := l.send(sending, sender, func(id message.ID) { l.posted(id, letter{due, done}) })
			cancel()
			if err != nil {
				return err
			}
			select {
			case <-done:
			case <-time.After(patience):
				return fmt.Errorf("a message that the server took was not delivered within %v", patience)
			}
		}
		return nil
	})
}

// together runs something for each sender at once, and returns the first error.
func (l *load) together(f func(sender int) error) error {
	errs := make(chan error, l.senders)
	for i := range l.senders {
		go func() { errs <- f(i) }()
	}
	var first error
	for range l.senders {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// rate sends so many messages a second in all, each when it is due, whatever has
// become of those before. It waits until all are taken by the server.
func (l *load) rate(ctx context.Context, perSecond float64) error {
	var all sync.WaitGroup
	defer all.Wait()
	failed := make(chan error, 1)
	start := time.Now()
	for k := 0; ; k++ {
		due := start.Add(time.Duration(float64(k) / perSecond * float64(time.Second)))
		select {
		case <-time.After(time.Until(due)):
		case err := <-failed:
			return err
		case <-ctx.Done():
			all.Wait()
			select {
			case err := <-failed:
				return err
			default:
				return nil
			}
		}
		// 7 has no factor in common with most numbers of senders: neighbours are
		// not busy at the same time.
		sender := k * 7 % l.senders
		all.Go(func() {
			sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
			defer cancel()
			if err := l.send(sending, sender, func(id message.ID) { l.posted(id, letter{due: due}) }); err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
}
