// Package quota bounds how much of something the server keeps for one account:
// messages, files, bytes.
//
// Nothing is counted in the store for it: what is there is counted when it is
// asked for, and remembered as how much room there was. Until that is used up,
// an addition costs no read; what goes meanwhile only makes more room, and is
// seen by the next count. So a node never lets more in than the quota; several
// nodes may, each by what it had counted as room.
package quota

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/reseal/reseal/api/refusal"
)

// Count is what is there of an account.
type Count struct {
	Items, Bytes int64
	// Next is when the first of it goes by itself; zero for never.
	Next time.Time
}

// Tally is one thing that is bounded by number and, where Bytes is not 0, by
// size. Its methods may be called from many goroutines.
type Tally struct {
	items, bytes         int64
	itemsName, bytesName string
	now                  func() time.Time

	mu      sync.Mutex
	entries map[string]*list.Element
	order   list.List // the one used last in front
}

const (
	// maxEntries bounds how many accounts one tally remembers; another one is
	// counted anew when it comes again.
	maxEntries = 100_000
	// recount is how long after a count that found no room the next one is made,
	// and the longest that any count puts off the next.
	recount = 10 * time.Second
	// perItem is how long a count puts off the next one for each thing that it
	// read, so that nobody has a full mailbox read for each message that comes.
	perItem = 200 * time.Microsecond
	// someTime is when to come back where nothing says when something goes.
	someTime = time.Hour
)

type room struct {
	key          string
	mu           sync.Mutex
	items, bytes int64 // left by the last count
	// under way: taken, and maybe not yet to be counted
	flying, flyingBytes int64
	counted             bool
	next                time.Time // when the first of what was there goes
	again               time.Time // not counted again before
}

// NewTally bounds what is named so by so much; 0 is no bound.
func NewTally(itemsName string, items int64, bytesName string, bytes int64, now func() time.Time) *Tally {
	return &Tally{items: items, bytes: bytes, itemsName: itemsName, bytesName: bytesName, now: now, entries: map[string]*list.Element{}}
}

// Take takes room for one more of so many bytes, or refuses by REASON_LIMIT with
// the name of the quota and when there may be room again. It calls count where
// it has to know what is there. Once the addition is where count finds it, or
// has failed, the caller calls done.
func (t *Tally) Take(ctx context.Context, key string, bytes int64, count func(context.Context) (Count, error)) (done func(), err error) {
	return t.take(ctx, key, bytes, count, spare{})
}

// TakeOfHalf is Take for those who may only use what is above half of the room:
// the other half is for others, whoever has filled the first.
func (t *Tally) TakeOfHalf(ctx context.Context, key string, bytes int64, count func(context.Context) (Count, error)) (done func(), err error) {
	if t == nil {
		return func() {}, nil
	}
	return t.take(ctx, key, bytes, count, spare{max(t.items, 0) / 2, max(t.bytes, 0) / 2})
}

// spare is room that has to be left.
type spare struct{ items, bytes int64 }

func (t *Tally) take(ctx context.Context, key string, bytes int64, count func(context.Context) (Count, error), sp spare) (done func(), err error) {
	if t == nil || (t.items <= 0 && t.bytes <= 0) {
		return func() {}, nil
	}
	r := t.room(key)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.take(bytes, sp) {
		return func() { r.land(bytes) }, nil
	}
	now := t.now()
	if r.counted && now.Before(r.again) && r.again.Sub(now) <= recount {
		return nil, t.refuse(r, bytes, now, sp)
	}
	c, err := count(ctx)
	if err != nil {
		return nil, err
	}
	r.items, r.bytes = left(t.items, c.Items+r.flying), left(t.bytes, c.Bytes+r.flyingBytes)
	r.counted, r.next, r.again = true, c.Next, now.Add(min(time.Duration(c.Items)*perItem, recount))
	if r.take(bytes, sp) {
		return func() { r.land(bytes) }, nil
	}
	r.again = now.Add(recount)
	return nil, t.refuse(r, bytes, now, sp)
}

// refuse says what there is no room for, and when there may be.
func (t *Tally) refuse(r *room, bytes int64, now time.Time, sp spare) error {
	name, after := t.itemsName, someTime
	if r.items > sp.items {
		name = t.bytesName
		if bytes > t.bytes-sp.bytes {
			return refusal.Limit(What(name)) // never
		}
	}
	if !r.next.IsZero() {
		after = max(r.next.Sub(now), recount)
	}
	return refusal.Quota(What(name), after)
}

// Room is how much more comes in before the next count, and false where nothing
// was counted yet. It is never more than there is room for.
func (t *Tally) Room(key string) (items, bytes int64, counted bool) {
	r := t.room(key)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.items, r.bytes, r.counted
}

// left is how much room there is; without a quota, more than is ever taken.
func left(quota, there int64) int64 {
	if quota <= 0 {
		return 1 << 62
	}
	return max(quota-there, 0)
}

func (r *room) take(bytes int64, sp spare) bool {
	if !r.counted || r.items-1 < sp.items || r.bytes-bytes < sp.bytes {
		return false
	}
	r.items, r.bytes = r.items-1, r.bytes-bytes
	r.flying, r.flyingBytes = r.flying+1, r.flyingBytes+bytes
	return true
}

func (r *room) land(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flying, r.flyingBytes = r.flying-1, r.flyingBytes-bytes
}

func (t *Tally) room(key string) *room {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.entries[key]; ok {
		t.order.MoveToFront(e)
		return e.Value.(*room)
	}
	if len(t.entries) >= maxEntries {
		last := t.order.Back()
		delete(t.entries, t.order.Remove(last).(*room).key)
	}
	r := &room{key: key}
	t.entries[key] = t.order.PushFront(r)
	return r
}
