package pebble

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/reseal/reseal/store"
)

var _ store.Lister = (*Store)(nil)

// Partitions implements [store.Lister]: one seek for each partition, however
// many rows it has.
func (s *Store) Partitions(ctx context.Context, prefix, after store.Partition, limit int) (all []store.Partition, err error) {
	if limit < 1 || limit > store.MaxPage {
		return nil, fmt.Errorf("%w: page of %d", store.ErrLimit, limit)
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	lower := namePrefix(prefix)
	if after != "" && after >= prefix {
		lower = pastPartition(after)
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: bytesEnd(namePrefix(prefix))})
	if err != nil {
		return nil, s.readErr(err)
	}
	defer func() {
		if closeErr := it.Close(); closeErr != nil && err == nil {
			err = s.readErr(closeErr)
		}
	}()
	for ok := it.First(); ok && len(all) < limit; ok = it.SeekGE(pastPartition(all[len(all)-1])) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p, found := partitionOf(it.Key())
		if !found {
			return nil, fmt.Errorf("%w: a row without a partition", store.ErrDamaged)
		}
		all = append(all, p)
	}
	return all, nil
}

// namePrefix is what the Pebble keys of all partitions with this beginning start
// with.
func namePrefix(p store.Partition) []byte {
	b := rowPrefix(p)
	return b[:len(b)-len(partitionEnd)]
}

// pastPartition is the Pebble key after all rows of p.
func pastPartition(p store.Partition) []byte {
	_, upper := rowBounds(p, "", "")
	return upper
}

// bytesEnd is the smallest key above all that begin with b, whose first byte is
// no 0xff.
func bytesEnd(b []byte) []byte { return []byte(store.PrefixEnd(store.Key(b))) }

// partitionOf reads the partition out of a row's Pebble key.
func partitionOf(key []byte) (store.Partition, bool) {
	p, _, ok := rowOf(key)
	return p, ok
}
