package memory

import (
	"maps"
	"slices"
	"time"

	"github.com/reseal/reseal/store"
)

// Clone is a store of its own with the same records and late commits, which reads
// clock, has every outcome known, and tells nobody of what expires. For searches
// that go on from one state in many ways.
func (s *Store) Clone(clock func() time.Time) *Store {
	d := s.shared
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &shared{
		schema: d.schema, partitions: make(map[store.Partition]*partition, len(d.partitions)), due: slices.Clone(d.due),
		forgotten: d.forgotten, late: slices.Clone(d.late), closed: d.closed,
	}
	for p, part := range d.partitions {
		c.partitions[p] = &partition{maps.Clone(part.rows), slices.Clone(part.keys), maps.Clone(part.deleted)}
	}
	return &Store{shared: c, clock: clock, outcome: func(store.Partition, *store.Batch) Outcome { return Known }}
}
