package pebble

import (
	"bytes"
	"hash/maphash"
	"sync"

	"github.com/reseal/reseal/internal/recent"
)

// rowCache keeps rows in memory that were read or written lately, absent ones
// too: the same few lists, sessions and certificates are looked at for every
// message, and what was just written is read by whom it is for.
//
// It never says what the database would not. The committer puts in what a group
// leaves when the group is durable and before anybody is told; a reader puts in
// what it found only if no group changed anything in the shard meanwhile.
type rowCache struct {
	seed   maphash.Seed
	shards [16]rowShard
}

type rowShard struct {
	mu     sync.Mutex
	writes uint64 // counts calls of wrote
	rows   recent.Map[string, row]
}

// rowOverhead is what an entry takes beside its bytes: the row, the key's header
// and the map's share.
const rowOverhead = 160

// newRowCache keeps limit bytes at the most; nil for none.
func newRowCache(limit int64) *rowCache {
	if limit <= 0 {
		return nil
	}
	c := &rowCache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].rows = recent.Sized(int(limit)/len(c.shards), sizeOf)
	}
	return c
}

func (c *rowCache) shard(key []byte) *rowShard {
	return &c.shards[maphash.Bytes(c.seed, key)%uint64(len(c.shards))]
}

// get is a row that is kept. If none is, found has to be told the count that
// comes with it.
func (c *rowCache) get(key []byte) (r row, ok bool, writes uint64) {
	if c == nil {
		return row{}, false, 0
	}
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok = recent.Lookup(&s.rows, key)
	return r, ok, s.writes
}

// found keeps what the database has, unless somebody wrote since get.
func (c *rowCache) found(key []byte, r row, writes uint64) {
	if c == nil {
		return
	}
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writes == writes {
		s.rows.Put(string(key), r)
	}
}

// wrote keeps what a group leaves.
func (c *rowCache) wrote(rows map[string]row) {
	if c == nil {
		return
	}
	for key, r := range rows {
		s := c.shard([]byte(key))
		s.mu.Lock()
		s.writes++
		// What is deleted is not asked for again, mostly.
		if r.rev != 0 || s.rows.Has(key) {
			r.value = bytes.Clone(r.value) // whoever committed may write to theirs again
			s.rows.Put(key, r)
		}
		s.mu.Unlock()
	}
}

func sizeOf(key string, r row) int { return rowOverhead + len(key) + len(r.value) }
