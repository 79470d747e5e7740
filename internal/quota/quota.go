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
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/reseal/reseal/api/refusal"
)

// Limits are the quotas of an account. 0 is none.
type Limits struct {
	Pending      int64 // messages that wait for an account
	PendingBytes int64 // and their bytes, as stored
	Sent         int64 // messages that an account sent and that are not over
	Blobs        int64 // files that an account uploaded
	BlobBytes    int64 // and their bytes
	Blocked      int64 // accounts that an account has blocked, at most 1,000
	Book         int64 // bytes of the contact book, sealed, at most 1.25 MiB
}

// Default are the quotas of a server for people: far above what they have.
func Default() Limits {
	return Limits{
		Pending: 50_000, PendingBytes: 1 << 30, Sent: 50_000, Blobs: 20_000, BlobBytes: 256 << 30, Blocked: 1000, Book: 1 << 20,
	}
}

// kinds are the names of the quotas, as operators and refusals have them.
var kinds = []struct {
	name, what string
	field      func(*Limits) *int64
}{
	{"pending", "messages that wait for the recipient", func(l *Limits) *int64 { return &l.Pending }},
	{"pending-bytes", "bytes of messages that wait for the recipient", func(l *Limits) *int64 { return &l.PendingBytes }},
	{"sent", "messages sent that are not over", func(l *Limits) *int64 { return &l.Sent }},
	{"blobs", "files kept at the server", func(l *Limits) *int64 { return &l.Blobs }},
	{"blob-bytes", "bytes of files kept at the server", func(l *Limits) *int64 { return &l.BlobBytes }},
	{"blocked", "accounts blocked", func(l *Limits) *int64 { return &l.Blocked }},
	{"book", "bytes of the contact book", func(l *Limits) *int64 { return &l.Book }},
}

// What are the words in which a refusal names a quota.
func What(name string) string {
	for _, k := range kinds {
		if k.name == name {
			return k.what
		}
	}
	return name
}

// Names are the names of all quotas, in the order of [Limits].
func Names() (all []string) {
	for _, k := range kinds {
		all = append(all, k.name)
	}
	return all
}

// Set changes one quota, by "NAME=N" as operators write it; NAME=off is none, and
// N may end in K, M or G for 2^10, 2^20, 2^30.
func (l *Limits) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	i := slices.Index(Names(), name)
	if !ok || i < 0 {
		return fmt.Errorf("quota: %q: not NAME=N with a name among %s", text, strings.Join(Names(), ", "))
	}
	n, err := parse(value)
	if err != nil {
		return fmt.Errorf("quota: %q: not a number above 0, as in %s=%d", text, name, *kinds[i].field(ptr(Default())))
	}
	*kinds[i].field(l) = n
	return nil
}

func ptr(l Limits) *Limits { return &l }

func parse(value string) (int64, error) {
	if value == "off" {
		return 0, nil
	}
	shift := 0
	if i := len(value) - 1; i >= 0 {
		if at := strings.IndexByte("KMG", value[i]); at >= 0 {
			value, shift = value[:i], 10*(at+1)
		}
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 1 || n > 1<<60>>shift {
		return 0, strconv.ErrRange
	}
	return n << shift, nil
}

// String is all quotas, as Set reads them.
func (l Limits) String() string {
	var all []string
	for _, k := range kinds {
		v := "off"
		if n := *k.field(&l); n > 0 {
			v = strconv.FormatInt(n, 10)
		}
		all = append(all, k.name+"="+v)
	}
	return strings.Join(all, " ")
}

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
	if t == nil || (t.items <= 0 && t.bytes <= 0) {
		return func() {}, nil
	}
	r := t.room(key)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.take(bytes) {
		return func() { r.land(bytes) }, nil
	}
	now := t.now()
	if r.counted && now.Before(r.again) && r.again.Sub(now) <= recount {
		return nil, t.refuse(r, bytes, now)
	}
	c, err := count(ctx)
	if err != nil {
		return nil, err
	}
	r.items, r.bytes = left(t.items, c.Items+r.flying), left(t.bytes, c.Bytes+r.flyingBytes)
	r.counted, r.next, r.again = true, c.Next, now.Add(min(time.Duration(c.Items)*perItem, recount))
	if r.take(bytes) {
		return func() { r.land(bytes) }, nil
	}
	r.again = now.Add(recount)
	return nil, t.refuse(r, bytes, now)
}

// refuse says what there is no room for, and when there may be.
func (t *Tally) refuse(r *room, bytes int64, now time.Time) error {
	name, after := t.itemsName, someTime
	if r.items > 0 {
		name = t.bytesName
		if bytes > t.bytes {
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

func (r *room) take(bytes int64) bool {
	if !r.counted || r.items < 1 || r.bytes < bytes {
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
