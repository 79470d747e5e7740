package memory

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/reseal/reseal/store"
)

var _ store.Lister = (*Store)(nil)

// Partitions implements [store.Lister].
func (s *Store) Partitions(ctx context.Context, prefix, after store.Partition, limit int) (all []store.Partition, err error) {
	if limit < 1 || limit > store.MaxPage {
		return nil, fmt.Errorf("%w: page of %d", store.ErrLimit, limit)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d := s.shared
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, store.ErrClosed
	}
	for p, part := range d.partitions {
		if strings.HasPrefix(string(p), string(prefix)) && p > after && len(part.keys) > 0 {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	return all[:min(limit, len(all))], nil
}
