package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// chunk is how many lives a process plays: enough that its start costs little, and
// few enough that the processes end together.
const chunk = 100

// errBroke is the error of lives that broke.
var errBroke = errors.New("lives broke")

// span is a range of seeds.
type span struct{ first, n uint64 }

func (s span) end() uint64 { return s.first + s.n }

// rest is what is left of a span once the seeds up to one were played.
func (s span) rest(played uint64) span { return span{played + 1, s.end() - played - 1} }

// broke is a life that broke a promise, or its process.
type broke struct {
	seed uint64
	said string // by the process; only the first of its seeds has it
}

func (b broke) String() string {
	return fmt.Sprintf("%sseed %d broke, again: go test ./internal/sim -run TestLives -sim.seed %d -sim.trace FILE", b.said, b.seed, b.seed)
}

// pool plays lives in processes. One goroutine uses it.
type pool struct {
	bin, dir   string   // the tests of package sim, and where they run
	args       []string // for the tests
	jobs, most int
	progress   func(played uint64, broke int) // is told some times a minute

	mu     sync.Mutex // of what follows, while lives are played
	next   span       // who was given to nobody
	played uint64
	broke  []broke
	err    error
}

// play plays the lives of a span. The error is [errBroke] if any broke, and
// another one if not all could be played.
func (p *pool) play(ctx context.Context, all span) error {
	p.next = all
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var workers sync.WaitGroup
	for range p.jobs {
		workers.Go(func() {
			for s := p.take(ctx); s.n > 0; s = p.take(ctx) {
				if err := p.lives(ctx, s); err != nil {
					p.mu.Lock()
					p.err = cmp.Or(p.err, err)
					p.mu.Unlock()
					stop()
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { workers.Wait(); close(done) }()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.mu.Lock()
			played, n := p.played, len(p.broke)
			p.mu.Unlock()
			p.progress(played, n)
			continue
		case <-done:
		}
		slices.SortFunc(p.broke, func(a, b broke) int { return cmp.Compare(a.seed, b.seed) })
		switch {
		case len(p.broke) > 0:
			return errBroke
		case p.err != nil:
			return p.err
		}
		return ctx.Err()
	}
}

// take gives somebody the next lives, none if there are none or enough broke.
func (p *pool) take(ctx context.Context) span {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil || len(p.broke) >= p.most {
		return span{}
	}
	s := p.next
	s.n = min(s.n, chunk)
	p.next = span{s.end(), p.next.n - s.n}
	return s
}

// lives plays the lives of a span, in one process more for each that ends early.
func (p *pool) lives(ctx context.Context, s span) error {
	for s.n > 0 && ctx.Err() == nil {
		e, err := p.process(ctx, s)
		if ctx.Err() != nil {
			return nil // somebody ended it
		}
		if err == nil {
			return e.complete(s)
		}
		found := e.found()
		switch {
		case e.unwilling():
			return fmt.Errorf("%w\n%s", err, e.said)
		case e.last+1 < s.end() && !e.gaveUp():
			e.last++ // the life that it played when it died
			found = append(found, e.last)
			p.count()
		case len(found) == 0:
			return fmt.Errorf("seeds %d to %d: %w\n%s", s.first, s.end()-1, err, e.said)
		}
		p.mu.Lock()
		for _, seed := range found {
			p.broke = append(p.broke, broke{seed, e.said})
			e.said = ""
		}
		enough := len(p.broke) >= p.most
		p.mu.Unlock()
		if enough {
			return nil
		}
		s = s.rest(e.last)
	}
	return nil
}

// count counts a life that was played.
func (p *pool) count() {
	p.mu.Lock()
	p.played++
	p.mu.Unlock()
}
