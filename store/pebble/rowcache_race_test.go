package pebble

import (
	"testing"

	"github.com/reseal/reseal/store"
)

// A reader that looked into the database before a commit and puts away what it
// found after it must not bring back what was before.
func TestLateReaderKeepsNothing(t *testing.T) {
	key, before, after := []byte("rp\x00\x01o/x"), row{rev: 1, value: []byte("before")}, row{rev: 2, value: []byte("after")}
	c := newRowCache(1 << 20)
	_, _, writes := c.get(key)
	c.wrote(map[string]row{string(key): after})
	c.found(key, before, writes)
	if r, ok, _ := c.get(key); !ok || r.rev != 2 {
		t.Errorf("kept: %v %v, want what was committed", r, ok)
	}
	_, _, writes = c.get([]byte("other"))
	c.found([]byte("other"), before, writes)
	if _, ok, _ := c.get([]byte("other")); !ok {
		t.Error("what nobody wrote to is not kept")
	}

	const p = store.Partition("p")
	k := rangeKey{"a", "b", 10}
	rc := newRangeCache(1 << 20)
	rc.get(p, k) // the first range only makes the entry
	_, _, of := rc.get(p, k)
	rc.wrote(map[store.Partition]bool{p: true})
	if rc.found(p, k, []keyedRow{{"a", before}}, of) {
		t.Error("a range of before a commit is kept")
	}
	rc.get(p, k)
	if rc.found(p, k, []keyedRow{{"a", before}}, of) {
		t.Error("a range of before a commit is kept, once others range")
	}
	if _, ok, of := rc.get(p, k); ok || !rc.found(p, k, []keyedRow{{"a", after}}, of) {
		t.Error("what nobody wrote to is not kept")
	}
	if rows, ok, _ := rc.get(p, k); !ok || rows[0].row.rev != 2 {
		t.Errorf("kept: %v %v", rows, ok)
	}
}

// However much is read and written, the room is bounded.
func TestCachesAreBounded(t *testing.T) {
	const limit = 64 << 10
	c, rc := newRowCache(limit), newRangeCache(limit)
	for i := range 20_000 {
		key := []byte{byte(i), byte(i >> 8), 'k'}
		r := row{rev: 1, value: make([]byte, i%700)}
		_, _, writes := c.get(key)
		c.found(key, r, writes)
		p := store.Partition(key)
		rc.get(p, rangeKey{limit: 1})
		_, _, of := rc.get(p, rangeKey{limit: 1})
		rc.found(p, rangeKey{limit: 1}, []keyedRow{{"a", r}}, of)
	}
	size, kept := 0, 0
	for i := range c.shards {
		size += c.shards[i].rows.Size()
		kept += c.shards[i].rows.Len()
	}
	if size > limit || kept == 0 {
		t.Errorf("%d rows, %d bytes, at most %d were given", kept, size, limit)
	}
	if size := rc.partitions.Size(); size > limit || size == 0 {
		t.Errorf("ranges of %d bytes, at most %d were given", size, limit)
	}
}
