// Package storetest is the suite that every engine of package store must pass:
// each line of the contract is a named subtest that tries to break it from
// outside. An engine hooks in with an [Open] function and one call of [Run];
// what only some engines can do (lose power, leave commits undecided) stands in
// optional fields of [Harness].
//
// Nothing is judged by how long it took.
package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/reseal/reseal/store"
)

// Schema is what the suite writes: the decided keys "d" and "d/...", the once
// keys "o/...".
func Schema() store.Schema {
	return store.Schema{{Prefix: "d", Kind: store.Decided}, {Prefix: "d/", Kind: store.Decided}, {Prefix: "o/", Kind: store.Once}}
}

// Open makes a fresh, empty engine for [Schema] and arranges for its end.
type Open func(t *testing.T) *Harness

// Harness is one engine under test.
type Harness struct {
	// Nodes are over the same data, at least one; engines that have several
	// nodes give at least two, with clocks [store.ClockTolerance] apart.
	Nodes []store.Store
	// Clock is what the nodes' clocks follow.
	Clock *Clock
	// Late hands over b, whose conditions hold, through a caller that stops
	// waiting (or is told unknown) before b takes effect, and returns what
	// Commit said. The effect comes at release, which returns after it.
	Late func(t *testing.T, p store.Partition, b *store.Batch) (release func(), outcome error)
	// Examined counts the rows that reads have passed.
	Examined func() uint64
	// Sweep removes expired rows for good, now. Nil if the engine does so
	// by itself in Commit.
	Sweep func(t *testing.T)
	// PowerLoss ends the engine without warning, keeping what was synced,
	// and starts it again; Nodes are new after it. Nil without durability.
	PowerLoss func(t *testing.T)

	release func() // see RunLinearizable
}

// Clock is a clock that tests move. Safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts at a fixed time.
func NewClock() *Clock { return &Clock{now: time.UnixMilli(1_800_000_000_000)} }

// Now is the time that was set.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Move adds d, which may be negative.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Skewed is a clock that is off by d.
func (c *Clock) Skewed(d time.Duration) func() time.Time {
	return func() time.Time { return c.Now().Add(d) }
}

// In is the expiry that lies d ahead.
func (c *Clock) In(d time.Duration) int64 { return c.Now().Add(d).UnixMilli() }

// Run runs the suite. The numbers are those of the list that the storage
// design ends with.
func Run(t *testing.T, open Open) {
	for _, check := range []struct {
		name string
		run  func(*testing.T, *Harness)
	}{
		{"01 batch is all or nothing", atomicBatch},
		{"02 committed survives and refused leaves no trace", durable},
		{"03 read after commit sees it from any node", readAfterCommit},
		{"04 one of many commits wins a condition", oneWinner},
		{"05 refused has the record of every condition", refusedCurrent},
		{"06 unknown then repeated takes effect once", unknownRepeated},
		{"07 unknown appears later and breaks nothing", unknownLater},
		{"08 condition on a record not written", conditionElsewhere},
		{"09 expired is absent everywhere", expiredIsAbsent},
		{"10 expired key can be won again", wonAgain},
		{"11 once delete wins over its put", deleteWins},
		{"12 repeated once put is a no-op", repeatedPut},
		{"13 decided write needs its condition", decidedNeedsCondition},
		{"14 range is ordered and without gaps", rangeOrder},
		{"15 keys and partitions stay apart", keysApart},
		{"16 empty differs from absent", emptyIsNotAbsent},
		{"17 limits are refused before any effect", limits},
		{"18 range from low water examines what is above it", lowWater},
		{"19 commit then look", commitThenLook},
		{"20 cancelling gives unknown, never refused", cancelling},
		{"commits one after the other", chained},
		{"views", viewed},
		{"decided records are linearizable", linearizable},
		{"revisions are never used twice", revisions},
		{"partitions are listed", listing},
		{"expired records are told of", toldOfExpiry},
		{"closed", closed},
	} {
		t.Run(check.name, func(t *testing.T) { check.run(t, open(t)) })
	}
}

func (h *Harness) node(i int) store.Store { return h.Nodes[i%len(h.Nodes)] }

// token is fresh for each call.
func token() (t store.Token) {
	rand.Read(t[:])
	return t
}

func batch() *store.Batch { return new(store.Batch) }

// must commits b on the first node.
func (h *Harness) must(t *testing.T, p store.Partition, b *store.Batch) {
	t.Helper()
	if err := h.node(0).Commit(t.Context(), p, b); err != nil {
		t.Fatalf("commit in %q: %v", p, err)
	}
}

// refused commits b and wants it refused.
func (h *Harness) refused(t *testing.T, p store.Partition, b *store.Batch) *store.Refused {
	t.Helper()
	err := h.node(0).Commit(t.Context(), p, b)
	var refused *store.Refused
	if !errors.As(err, &refused) {
		t.Fatalf("commit in %q: %v, want refused", p, err)
	}
	return refused
}

// get wants the record to be there, on every node.
func (h *Harness) get(t *testing.T, p store.Partition, k store.Key) (r store.Record) {
	t.Helper()
	for i, node := range h.Nodes {
		var err error
		if r, err = node.Get(t.Context(), p, k); err != nil {
			t.Fatalf("node %d, get %q in %q: %v", i, k, p, err)
		}
		if r.Key != k || r.Rev == 0 {
			t.Fatalf("node %d, get %q: %+v", i, k, r)
		}
	}
	return r
}

// absent wants no record, for Get and Range, on every node.
func (h *Harness) absent(t *testing.T, p store.Partition, keys ...store.Key) {
	t.Helper()
	for i, node := range h.Nodes {
		for _, k := range keys {
			if r, err := node.Get(t.Context(), p, k); !errors.Is(err, store.ErrAbsent) {
				t.Fatalf("node %d, get %q in %q: %+v, %v, want absent", i, k, p, r, err)
			}
			rs, err := node.Range(t.Context(), p, k, store.After(k), 1, true)
			if err != nil || len(rs) != 0 {
				t.Fatalf("node %d, range at %q in %q: %v, %v, want none", i, k, p, rs, err)
			}
		}
	}
}

// all is every record of p from the first node.
func (h *Harness) all(t *testing.T, p store.Partition) (rs []store.Record) {
	t.Helper()
	for r, err := range store.Scan(t.Context(), h.node(0), p, "", "", false) {
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

// together runs f for 0 to n-1 at once and reports the errors they return.
func together(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	errs, start := make([]error, n), make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func number(prefix string, n int) store.Key { return store.Key(fmt.Sprintf("%s%08d", prefix, n)) }

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
