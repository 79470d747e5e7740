package memory

import (
	"cmp"
	"container/heap"
	"time"

	"github.com/reseal/reseal/store"
)

// Rows are swept well after they expired, so that a node whose clock is behind
// still sees what it may see.
const sweepAfter = 5 * store.ClockTolerance

// Each commit sweeps at most so many rows, which keeps up with any number of
// commits that write fewer.
const sweepRows = 2 * store.MaxWrites

type dueRow struct {
	expires   int64
	partition store.Partition
	key       store.Key
}

type dueHeap []dueRow

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return compareDue(h[i], h[j]) < 0 }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

func compareDue(a, b dueRow) int {
	return cmp.Or(cmp.Compare(a.expires, b.expires), cmp.Compare(a.partition, b.partition), cmp.Compare(a.key, b.key))
}

func (h *dueHeap) Push(x any) { *h = append(*h, x.(dueRow)) }
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// remember puts a row that expires on the heap. Caller holds mu.
func (d *shared) remember(p store.Partition, r store.Record) {
	if r.Expires != 0 {
		heap.Push(&d.due, dueRow{r.Expires, p, r.Key})
	}
}

// sweep drops rows that expired a while ago. Caller holds mu.
func (d *shared) sweep(now time.Time) {
	for range sweepRows {
		if len(d.due) == 0 || !store.Expired(d.due[0].expires, now.Add(-sweepAfter)) {
			return
		}
		due := heap.Pop(&d.due).(dueRow)
		part := d.partitions[due.partition]
		if part == nil {
			continue
		}
		// A row written again since has another expiry and its own place
		// on the heap.
		r, ok := part.rows[due.key]
		if !ok || r.Expires != due.expires {
			continue
		}
		if r.Token != (store.Token{}) {
			d.forgotten = max(d.forgotten, r.Rev)
		}
		if d.expired != nil {
			d.expired(due.partition, r)
		}
		part.remove(due.key)
		if len(part.rows) == 0 && len(part.deleted) == 0 {
			delete(d.partitions, due.partition)
		}
	}
}
