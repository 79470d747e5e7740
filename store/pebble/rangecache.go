package pebble

import (
	"sync"
	"time"

	"github.com/reseal/reseal/store"
)

// rangeCache keeps what short ranges of partitions gave that are read more often
// than written: where the newest certificate of a device is, say. A commit to a
// partition drops all that is kept of it.
type rangeCache struct {
	mu         sync.Mutex
	young, old map[store.Partition]*ranges
	size       int // of young, bytes
	limit      int
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
	return &rangeCache{limit: int(limit) / 2}
}

// get is what a range gave. If it is not kept, found has to be told what comes
// with it.
func (c *rangeCache) get(p store.Partition, k rangeKey) (rows []keyedRow, ok bool, of *ranges) {
	if c == nil {
		return nil, false, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.young[p]
	if r == nil {
		if r = c.old[p]; r == nil {
			c.put(p, &ranges{}, rowOverhead+len(p))
			return nil, false, nil
		}
		delete(c.old, p)
		n := rowOverhead + len(p)
		for k, rows := range r.kept {
			n += k.size(rows)
		}
		c.put(p, r, n)
	}
	rows, ok = r.kept[k]
	return rows, ok, r
}

// found keeps a whole range, unless the partition was written since get. It
// tells whether it did: the rows are shared then.
func (c *rangeCache) found(p store.Partition, k rangeKey, rows []keyedRow, of *ranges) bool {
	if c == nil || of == nil || k.size(rows) > maxRangeSize {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young[p] != of || len(of.kept) >= maxRanges {
		return false
	}
	if of.kept == nil {
		of.kept = map[rangeKey][]keyedRow{}
	}
	of.kept[k] = rows
	c.size += k.size(rows)
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
		delete(c.young, p)
		delete(c.old, p)
	}
}

func (c *rangeCache) put(p store.Partition, r *ranges, n int) {
	if c.young == nil || c.size+n > c.limit {
		c.young, c.old, c.size = map[store.Partition]*ranges{}, c.young, 0
	}
	c.young[p] = r
	c.size += n
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
