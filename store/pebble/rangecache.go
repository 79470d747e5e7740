package pebble

import (
	"sync"
	"time"

	"github.com/reseal/reseal/internal/recent"
	"github.com/reseal/reseal/store"
)

// rangeCache keeps what short ranges of partitions gave that are read more often
// than written: where the newest certificate of a device is, say. A commit to a
// partition drops all that is kept of it.
type rangeCache struct {
	mu         sync.Mutex
	partitions recent.Map[store.Partition, *ranges]
}

// ranges are those of one partition since it was last written. The first range
// only makes it; later ones are kept.
type ranges struct {
	kept map[rangeKey][]keyedRow
}

type rangeKey struct {
	from, to store.Key
	limit    int
}

type keyedRow struct {
	key store.Key
	row row
}

// What is kept of one range at the most, and of one partition.
const (
	maxRangeSize = 4 << 10 // bytes
	maxRanges    = 32
)

// newRangeCache keeps limit bytes at the most; nil for none.
func newRangeCache(limit int64) *rangeCache {
	if limit <= 0 {
		return nil
	}
	return &rangeCache{partitions: recent.Sized(int(limit), sizeOfRanges)}
}

// get is what a range gave. If it is not kept, found has to be told what comes
// with it.
func (c *rangeCache) get(p store.Partition, k rangeKey) (rows []keyedRow, ok bool, of *ranges) {
	if c == nil {
		return nil, false, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	of, there := c.partitions.Get(p)
	if !there {
		c.partitions.Put(p, &ranges{})
		return nil, false, nil
	}
	rows, ok = of.kept[k]
	return rows, ok, of
}

// found keeps a whole range, unless the partition was written since get. It
// tells whether it did: the rows are shared then.
func (c *rangeCache) found(p store.Partition, k rangeKey, rows []keyedRow, of *ranges) bool {
	if c == nil || of == nil || k.size(rows) > maxRangeSize {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept, _ := c.partitions.Get(p); kept != of || len(of.kept) >= maxRanges {
		return false
	}
	if of.kept == nil {
		of.kept = map[rangeKey][]keyedRow{}
	}
	of.kept[k] = rows
	c.partitions.Put(p, of) // it takes more
	return true
}

// wrote forgets partitions that a group has written.
func (c *rangeCache) wrote(partitions map[store.Partition]bool) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range partitions {
		c.partitions.Delete(p)
	}
}

func sizeOfRanges(p store.Partition, r *ranges) int {
	n := rowOverhead + len(p)
	for k, rows := range r.kept {
		n += k.size(rows)
	}
	return n
}

func (k rangeKey) size(rows []keyedRow) int {
	n := rowOverhead + len(k.from) + len(k.to)
	for _, r := range rows {
		n += sizeOf(string(r.key), r.row)
	}
	return n
}

// records are the rows that have not expired, for the caller. Of those that are
// kept it gets bytes of its own.
func records(rows []keyedRow, now time.Time, keysOnly, kept bool) (out []store.Record) {
	for _, r := range rows {
		if store.Expired(r.row.expires, now) {
			continue
		}
		rec := r.row.record(r.key, keysOnly || !kept)
		if !keysOnly && !kept {
			rec.Value = r.row.value
		}
		out = append(out, rec)
	}
	return out
}
