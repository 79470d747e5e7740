package pebble

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/reseal/reseal/store"
)

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, p store.Partition, k store.Key) (store.Record, error) {
	if err := s.schema.CheckGet(p, k); err != nil {
		return store.Record{}, err
	}
	if err := ctx.Err(); err != nil {
		return store.Record{}, err
	}
	if err := s.enter(); err != nil {
		return store.Record{}, err
	}
	defer s.leave()
	now := s.options.Clock()
	key := rowKey(p, k)
	r, err := s.load(key)
	if err != nil {
		return store.Record{}, err
	}
	if g := s.inflight.Load(); g != nil && g.wrote(key) {
		if err := s.settled(ctx, g); err != nil {
			return store.Record{}, err
		}
	}
	if r.rev == 0 || store.Expired(r.expires, now) {
		return store.Record{}, store.ErrAbsent
	}
	return r.record(k, false), nil
}

// load is the row as it lies there, expired or not; the zero row if none.
func (s *Store) load(key []byte) (row, error) {
	s.examined.Add(1)
	b, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return row{}, nil
	}
	if err != nil {
		return row{}, s.readErr(err)
	}
	defer closer.Close()
	return decodeRow(append([]byte{}, b...))
}

// Range implements [store.Store].
func (s *Store) Range(ctx context.Context, p store.Partition, from, to store.Key, limit int, keysOnly bool) ([]store.Record, error) {
	if err := s.schema.CheckRange(p, from, to, limit); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if to != "" && to <= from {
		return nil, nil
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	out, err := s.collect(ctx, p, from, to, limit, keysOnly)
	if err != nil {
		return nil, err
	}
	if g := s.inflight.Load(); g != nil && g.partitions[p] {
		if err := s.settled(ctx, g); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Store) collect(ctx context.Context, p store.Partition, from, to store.Key, limit int, keysOnly bool) (out []store.Record, err error) {
	lower, upper := rowBounds(p, from, to)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, s.readErr(err)
	}
	defer func() {
		stats := it.Stats()
		steps := stats.ForwardStepCount[pebble.InternalIterCall] + stats.ForwardSeekCount[pebble.InternalIterCall]
		s.examined.Add(uint64(steps))
		if closeErr := it.Close(); closeErr != nil && err == nil {
			err = s.readErr(closeErr)
		}
	}()
	now, prefix := s.options.Clock(), len(rowPrefix(p))
	for ok := it.First(); ok && len(out) < limit; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := it.ValueAndErr()
		if err != nil {
			return nil, s.readErr(err)
		}
		r, err := decodeRow(b)
		if err != nil {
			return nil, err
		}
		if !store.Expired(r.expires, now) {
			out = append(out, r.record(store.Key(it.Key()[prefix:]), keysOnly))
		}
	}
	return out, nil
}

// settled waits until what a read may have seen of g is durable.
func (s *Store) settled(ctx context.Context, g *group) error {
	select {
	case <-g.done:
		return nil
	case <-s.failed:
		return s.failedErr()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) readErr(err error) error {
	if isDamage(err) {
		s.damaged(nameOf(err)) // where Pebble has not named the file before
		return fmt.Errorf("%w: stop the server and restore %s from a copy: %w", store.ErrDamaged, s.folder, err)
	}
	return fmt.Errorf("store: reading %s: %w", s.folder, err)
}
