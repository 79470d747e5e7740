package cassandra

import (
	"context"
	"fmt"
	"strings"

	"github.com/reseal/reseal/store"
)

// pageSize is the rows that the database sends at once: with values of
// [store.MaxValue] 6 MiB.
const pageSize = 100

// Range implements [store.Store].
func (s *Store) Range(ctx context.Context, p store.Partition, from, to store.Key, limit int, keysOnly bool) ([]store.Record, error) {
	if err := s.schema.CheckRange(p, from, to, limit); err != nil {
		return nil, err
	}
	if s.closed.Load() {
		return nil, store.ErrClosed
	}
	var records []store.Record
	for len(records) < limit && (to == "" || from < to) {
		want := limit - len(records)
		var rows []row
		serial := s.mayBeDecided(from, to)
		err := repeat(ctx, serial, func() (err error) {
			rows, err = s.rows(ctx, p, from, to, want, keysOnly, serial)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("cassandra: range: %w", err)
		}
		now := s.now()
		for _, r := range rows {
			rec, err := r.record(now, keysOnly)
			if err != nil {
				return nil, err
			}
			if rec.Present() {
				records = append(records, rec)
			}
		}
		if len(rows) < want {
			break
		}
		// Some had expired, and there may be more behind them.
		from = store.After(store.Key(rows[len(rows)-1].key))
	}
	return records, nil
}

func (s *Store) rows(ctx context.Context, p store.Partition, from, to store.Key, limit int, keysOnly, serial bool) ([]row, error) {
	args := []any{[]byte(p), []byte(from)}
	if to != "" {
		args = append(args, []byte(to))
	}
	q := s.query(rangeCQL(keysOnly, to != ""), serial, append(args, limit)...)
	if !keysOnly {
		q = q.PageSize(pageSize)
	}
	iter := q.IterContext(ctx)
	var rows []row
	for {
		var r row
		into := []any{&r.key, &r.rev, &r.expires, &r.token}
		if !keysOnly {
			into = append(into, &r.value)
		}
		if !iter.Scan(into...) {
			break
		}
		rows = append(rows, r)
	}
	s.examined.Add(uint64(len(rows)))
	return rows, iter.Close()
}

// mayBeDecided reports whether a decided record may lie in from <= key < to.
func (s *Store) mayBeDecided(from, to store.Key) bool {
	for _, r := range s.schema {
		low, high := store.Key(r.Prefix), store.After(store.Key(r.Prefix))
		if strings.HasSuffix(r.Prefix, "/") {
			high = store.PrefixEnd(low)
		}
		if r.Kind == store.Decided && from < high && (to == "" || low < to) {
			return true
		}
	}
	return false
}

// Partitions implements [store.Lister], in the order of the partitioner. It walks
// over the whole cluster: for operators. Of partitions whose names have one token
// of 64 bits, which chance does not make, a page border may repeat one.
func (s *Store) Partitions(ctx context.Context, prefix, after store.Partition, limit int) ([]store.Partition, error) {
	if limit < 1 || limit > store.MaxPage {
		return nil, fmt.Errorf("%w: page of %d", store.ErrLimit, limit)
	}
	if s.closed.Load() {
		return nil, store.ErrClosed
	}
	cql, args := "SELECT DISTINCT p FROM rec", []any(nil)
	if after != "" {
		cql += " WHERE token(p) >= token(?)"
		args = append(args, []byte(after))
	}
	iter := s.query(cql, false, args...).PageSize(store.MaxPage).IterContext(ctx)
	var all []store.Partition
	var p []byte
	for len(all) < limit && iter.Scan(&p) {
		name := store.Partition(p)
		p = nil
		if name != after && strings.HasPrefix(string(name), string(prefix)) {
			all = append(all, name)
		}
	}
	if err := iter.Close(); err != nil {
		return nil, fmt.Errorf("cassandra: listing: %w", err)
	}
	return all, nil
}
