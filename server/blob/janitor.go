package blob

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// kick asks the janitor to look at once. It is lost with the process; the
// reminder in the store is not.
type kick struct {
	blob   message.BlobID
	object Object
}

// lowLag is how many hours back the janitor always reads again. A reminder is
// acknowledged before its hour is over or is written again into a later one, so
// one hour covers commits under way and one the clocks of other nodes.
const lowLag = 2

// remind writes d into the hour of d.At, or into the present one if that is
// over.
func (s *Service) remind(ctx context.Context, d due) error {
	for range tries {
		hour := max(hourOf(d.At), hourOf(s.now()))
		batch := new(store.Batch).PutOnce(d.key(), d.encode(), 0)
		if err := s.commit(ctx, partDue(hour, shardOf(d.Blob)), batch); err != nil {
			return err
		}
		if hourOf(s.now()) <= hour {
			return nil
		}
		// The commit took past the end of its hour: the janitor may have been
		// there before it.
	}
	return ErrUnavailable
}

// Run does the janitor's work until ctx ends: what was dropped at once, what is
// due at every tick. It returns the cause of the end.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(s.Tick)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("blob: sweep", "error", err)
		}
	wait:
		for {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-tick.C:
				break wait
			case k := <-s.kicks:
				if err := s.collect(ctx, k.blob, k.object); err != nil && ctx.Err() == nil {
					s.Log.Warn("blob: collect", "error", err)
				}
			}
		}
	}
}

// Sweep looks once at everything that is due by now. A blob that cannot be
// dealt with is logged and left for the next sweep; an error says that due
// records could not be read, in how many parts, and why in the first of them.
// Safe to call at any time.
func (s *Service) Sweep(ctx context.Context) error {
	first, rev, err := s.readLow(ctx)
	if err != nil {
		return err
	}
	now := low(hourOf(s.now()))
	back := now - min(now, lowLag)
	// A clock that was far ahead has moved the mark ahead of everybody.
	next := min(first, back)
	var cause error
	parts, failed := 0, 0
	for hour := next; hour <= now; hour++ {
		clean := true
		for shard := range byte(shards) {
			left, err := s.sweepPart(ctx, partDue(uint32(hour), shard))
			parts++
			if err != nil {
				failed++
				if cause == nil {
					cause = err
				}
			}
			clean = clean && !left && err == nil
		}
		if ctx.Err() != nil {
			return unavailable(context.Cause(ctx))
		}
		if clean && hour == next && hour < back {
			next++
		}
	}
	if cause != nil {
		cause = fmt.Errorf("%d of %d parts, the first: %w", failed, parts, cause)
	}
	if next != first {
		cause = errors.Join(cause, s.writeLow(ctx, next, rev))
	}
	return cause
}

// sweepPart looks at what is due in one hour and shard. left says that
// something there is to be looked at again: it is not due yet, or failed.
func (s *Service) sweepPart(ctx context.Context, p store.Partition) (left bool, err error) {
	for r, err := range store.Scan(ctx, s.Store, p, preDue, store.PrefixEnd(preDue), false) {
		if err != nil {
			return true, unavailable(err)
		}
		d, err := parseDue([]byte(r.Key[len(preDue):]), r.Value)
		if err == nil && d.At > s.now() {
			left = true
			continue
		}
		if err == nil {
			err = s.look(ctx, d)
		}
		if err == nil {
			err = s.commit(ctx, p, new(store.Batch).DeleteOnce(r.Key))
		}
		if err != nil {
			// One blob that cannot be dealt with must not keep the others.
			left = true
			s.Log.Error("blob: left to the next sweep", "error", err)
		}
		if ctx.Err() != nil {
			return true, unavailable(context.Cause(ctx))
		}
	}
	return left, nil
}

func (s *Service) look(ctx context.Context, d due) error {
	if d.Reason == dueUpload {
		return s.abandon(ctx, d.Account, d.Blob, d.Object)
	}
	return s.collect(ctx, d.Blob, d.Object)
}

// markLow writes the mark into a store that has none. It must be there before
// the first reminder: a janitor that starts without a mark knows no hour to
// begin with.
func (s *Service) markLow(ctx context.Context) error {
	_, _, err := s.readLow(ctx)
	for range tries {
		if !errors.Is(err, store.ErrAbsent) {
			return err
		}
		now := low(hourOf(s.now()))
		if err := s.writeLow(ctx, now-min(now, lowLag), 0); err != nil {
			return err
		}
		_, _, err = s.readLow(ctx)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

func (s *Service) readLow(ctx context.Context) (low, uint64, error) {
	r, err := s.Store.Get(ctx, partLow, keyLow)
	if err != nil {
		return 0, 0, unavailable(err)
	}
	hour, err := parseLow(r.Value)
	if err != nil {
		return 0, 0, fmt.Errorf("blob: damaged record: %w", err)
	}
	return hour, r.Rev, nil
}

// writeLow moves the mark; if another node moved it meanwhile, or nobody knows,
// the next sweep finds out.
func (s *Service) writeLow(ctx context.Context, hour low, rev uint64) error {
	token, err := s.token()
	if err != nil {
		return err
	}
	batch := new(store.Batch)
	if rev == 0 {
		batch.Create(keyLow, hour.encode(), token, 0)
	} else {
		batch.Replace(keyLow, rev, hour.encode(), token, 0)
	}
	return lookAgain(s.Store.Commit(ctx, partLow, batch))
}
