package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/reseal/reseal/store"
)

// Rows are swept a while after they expired, so that a clock put right by a few
// seconds does not find gone what it now takes for present.
const sweepAfter = 5 * store.ClockTolerance

// sweepPortion is how many rows one turn of the committer deletes at most: about
// a millisecond, so that commits hardly wait for it.
const sweepPortion = 256

// dueRow is an entry of the expiry index.
type dueRow struct {
	expires int64
	row     []byte
	index   []byte
}

// sweepLoop sweeps now and then until the store closes or fails.
func (s *Store) sweepLoop() {
	tick := time.NewTicker(s.options.SweepEvery)
	defer tick.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		select {
		case <-s.closing:
			return
		case <-s.failed:
			return
		case <-tick.C:
			if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
				s.options.Logger.Warn("store: sweep of expired rows ended early", "err", err)
			}
		}
	}
}

// Sweep deletes the rows that expired some seconds ago and returns how many
// entries it worked off. It need not be called: a goroutine does it every
// [Options].SweepEvery.
func (s *Store) Sweep(ctx context.Context) (int, error) {
	until := s.options.Clock().Add(-sweepAfter).UnixMilli()
	from, n := []byte{indexSpace}, 0
	for {
		portion, err := s.due(from, until)
		if err != nil || len(portion) == 0 {
			return n, err
		}
		if err := s.hand(&commit{ctx: ctx, sweep: portion, answer: make(chan error, 1)}); err != nil {
			return n, err
		}
		n += len(portion)
		from = append(portion[len(portion)-1].index, 0)
	}
}

// due is the next portion of the index up to an expiry.
func (s *Store) due(from []byte, until int64) (portion []dueRow, err error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	end := binary.BigEndian.AppendUint64([]byte{indexSpace}, uint64(max(until, 0)))
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return nil, s.readErr(err)
	}
	for ok := it.First(); ok && len(portion) < sweepPortion; ok = it.Next() {
		index := append([]byte{}, it.Key()...)
		if expires, row, ok := indexed(index); ok {
			portion = append(portion, dueRow{expires, row, index})
		}
	}
	if err := it.Close(); err != nil {
		return nil, s.readErr(err)
	}
	return portion, nil
}

func (s *Store) tellExpired(key []byte, r row) {
	f := s.expired.Load()
	if p, k, ok := rowOf(key); f != nil && ok {
		(*f)(p, store.Record{Key: k, Value: r.value, Rev: r.rev, Expires: r.expires, Token: r.token})
	}
}

// sweepRows is the committer's part: it looks at each row again, since it may
// have been written anew after the index was read, and then stays.
func (s *Store) sweepRows(g *group, portion []dueRow) error {
	floor, firstErr := s.floor, error(nil)
	for _, due := range portion {
		r, err := s.latest(g, due.row)
		switch {
		case err != nil: // leave it; the floor must still cover the others
			firstErr = errors.Join(firstErr, err)
		case r.rev == 0 || r.expires != due.expires:
			_ = g.batch.Delete(due.index, nil)
		default:
			if r.kind == store.Decided {
				floor = max(floor, r.rev)
			}
			s.tellExpired(due.row, r)
			g.add(change{key: due.row, old: r})
		}
	}
	if floor > s.floor {
		s.floor = floor
		_ = g.batch.Set(metaKey("floor"), binary.BigEndian.AppendUint64(nil, floor), nil)
	}
	return firstErr
}
