package pebble

import (
	"bytes"
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/reseal/reseal/store"
)

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, p store.Partition, k store.Key) (store.Record, error) {
	r, err := s.current(ctx, p, k)
	if err != nil {
		return store.Record{}, err
	}
	return r.record(k, false), nil
}

// View implements [store.Viewer].
func (s *Store) View(ctx context.Context, p store.Partition, k store.Key, f func(store.Record) error) error {
	r, err := s.current(ctx, p, k)
	if err != nil {
		return err
	}
	rec := r.record(k, true)
	rec.Value = r.value
	return f(rec)
}

// current is a row that is there and durable, whose value must not be changed.
func (s *Store) current(ctx context.Context, p store.Partition, k store.Key) (row, error) {
	if err := s.schema.CheckGet(p, k); err != nil {
		return row{}, err
	}
	if err := ctx.Err(); err != nil {
		return row{}, err
	}
	if err := s.enter(); err != nil {
		return row{}, err
	}
	defer s.leave()
	now := s.options.Clock()
	key := rowKey(p, k)
	r, err := s.load(key, true)
	if err != nil {
		return row{}, err
	}
	if g := s.inflight.Load(); g != nil && g.wrote(key) {
		if err := s.settled(ctx, g); err != nil {
			return row{}, err
		}
	}
	if r.rev == 0 || store.Expired(r.expires, now) {
		return row{}, store.ErrAbsent
	}
	return r, nil
}

// load is the row as it lies there, expired or not; the zero row if none. Its
// value must not be changed. keep says that it is likely to be read again.
func (s *Store) load(key []byte, keep bool) (row, error) {
	r, ok, writes := s.rows.get(key)
	if ok {
		return r, nil
	}
	s.examined.Add(1)
	r, err := s.fetch(key)
	if err == nil && keep {
		s.rows.found(key, r, writes)
	}
	return r, err
}

// fetch is the row as it lies in the database.
//
// It is no Get of Pebble's, which uses no filter for the lowest level, the largest,
// and so reads a block there for each row that is absent, as most are that have not
// been read lately: whoever sends a message asks whether it is there already.
func (s *Store) fetch(key []byte) (r row, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return row{}, s.readErr(err)
	}
	defer func() {
		if closeErr := it.Close(); closeErr != nil && err == nil {
			r, err = row{}, s.readErr(closeErr)
		}
	}()
	if !it.SeekPrefixGE(key) || !bytes.Equal(it.Key(), key) {
		if err := it.Error(); err != nil {
			return row{}, s.readErr(err)
		}
		return row{}, nil
	}
	b, err := it.ValueAndErr()
	if err != nil {
		return row{}, s.readErr(err)
	}
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
	k := rangeKey{from, to, limit}
	rows, kept, of := s.ranges.get(p, k)
	if !kept {
		var whole bool
		var err error
		if rows, whole, err = s.collect(ctx, p, k, keysOnly && of == nil); err != nil {
			return nil, err
		}
		kept = whole && s.ranges.found(p, k, rows, of)
	}
	if g := s.inflight.Load(); g != nil && g.partitions[p] {
		if err := s.settled(ctx, g); err != nil {
			return nil, err
		}
	}
	return records(rows, s.options.Clock(), keysOnly, kept), nil
}

// collect reads a range. whole tells that it has all rows that lie there, also
// those that another time or a larger limit would show.
func (s *Store) collect(ctx context.Context, p store.Partition, k rangeKey, keysOnly bool) (out []keyedRow, whole bool, err error) {
	lower, upper := rowBounds(p, k.from, k.to)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, false, s.readErr(err)
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
	whole = true
	for ok := it.First(); ok && len(out) < k.limit; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		b, err := it.ValueAndErr()
		if err != nil {
			return nil, false, s.readErr(err)
		}
		r, err := decodeRow(b)
		if err != nil {
			return nil, false, err
		}
		if store.Expired(r.expires, now) {
			whole = false
			continue
		}
		if keysOnly {
			r.value = nil
		} else {
			r.value = bytes.Clone(r.value)
		}
		out = append(out, keyedRow{store.Key(it.Key()[prefix:]), r})
	}
	return out, whole && len(out) < k.limit, nil
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
