package memory

import (
	"bytes"
	"context"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reseal/reseal/store"
)

// Outcome is how one commit ends.
type Outcome uint8

// The outcomes. All but Known answer [store.ErrUnknown].
const (
	Known Outcome = iota // committed or refused, and said so
	Now                  // takes effect (if its conditions hold) before the answer
	Later                // takes effect, if its conditions hold then, at [Store.Release]
	Never                // has no effect, ever
)

// Options of a store; the zero value is useful.
type Options struct {
	// Clock of the first node; default time.Now.
	Clock func() time.Time
	// Outcome is asked once for each valid commit how it shall end; default
	// Known. It is called without locks held, from the committing goroutine.
	Outcome func(p store.Partition, b *store.Batch) Outcome
}

// Store is one node's view of records in memory. Safe for concurrent use.
type Store struct {
	shared  *shared
	clock   func() time.Time
	outcome func(store.Partition, *store.Batch) Outcome
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Expirer = (*Store)(nil)
)

type shared struct {
	schema   store.Schema
	examined atomic.Uint64

	mu         sync.Mutex // guards everything below
	partitions map[store.Partition]*partition
	due        dueHeap
	forgotten  uint64 // the highest revision among swept decided records
	late       []lateCommit
	closed     bool
	expired    func(store.Partition, store.Record) // nil for nobody
}

type partition struct {
	rows map[store.Key]store.Record
	keys []store.Key // of rows, sorted
	// deleted has the once records deleted while late commits are
	// outstanding: a put from before the delete must not bring one back.
	deleted map[store.Key]bool
}

type lateCommit struct {
	partition store.Partition
	batch     *store.Batch
}

// New makes an empty store for the keys of schema, or reports what is wrong
// with the schema.
func New(schema store.Schema, o Options) (*Store, error) {
	if err := schema.Check(); err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Outcome == nil {
		o.Outcome = func(store.Partition, *store.Batch) Outcome { return Known }
	}
	data := &shared{schema: schema, partitions: make(map[store.Partition]*partition)}
	return &Store{shared: data, clock: o.Clock, outcome: o.Outcome}, nil
}

// Node is another view of the same records that reads clock. Closing any node
// closes all.
func (s *Store) Node(clock func() time.Time) *Store {
	return &Store{shared: s.shared, clock: clock, outcome: s.outcome}
}

// OnExpired implements [store.Expirer], for all nodes. f is called within commits,
// which sweep; it may be nil.
func (s *Store) OnExpired(f func(store.Partition, store.Record)) {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	s.shared.expired = f
}

// Examined counts the rows that reads have looked at so far, on all nodes.
func (s *Store) Examined() uint64 { return s.shared.examined.Load() }

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, p store.Partition, k store.Key) (store.Record, error) {
	d := s.shared
	if err := d.schema.CheckGet(p, k); err != nil {
		return store.Record{}, err
	}
	if err := ctx.Err(); err != nil {
		return store.Record{}, err
	}
	now := s.clock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return store.Record{}, store.ErrClosed
	}
	d.examined.Add(1)
	r := d.current(p, k, now)
	if !r.Present() {
		return store.Record{}, store.ErrAbsent
	}
	return r, nil
}

// Range implements [store.Store].
func (s *Store) Range(ctx context.Context, p store.Partition, from, to store.Key, limit int, keysOnly bool) ([]store.Record, error) {
	d := s.shared
	if err := d.schema.CheckRange(p, from, to, limit); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	now := s.clock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, store.ErrClosed
	}
	part := d.partitions[p]
	if part == nil {
		return nil, nil
	}
	var out []store.Record
	for i := part.find(from); i < len(part.keys) && len(out) < limit; i++ {
		k := part.keys[i]
		if to != "" && k >= to {
			break
		}
		d.examined.Add(1)
		if r := part.rows[k]; !store.Expired(r.Expires, now) {
			out = append(out, copied(r, keysOnly))
		}
	}
	return out, nil
}

// Commit implements [store.Store].
func (s *Store) Commit(ctx context.Context, p store.Partition, b *store.Batch) error {
	d := s.shared
	if err := d.schema.CheckBatch(p, b); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnknown, err)
	}
	outcome, now := s.outcome(p, b), s.clock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return store.ErrClosed
	}
	d.sweep(now)
	switch outcome {
	case Never:
		return store.ErrUnknown
	case Later:
		d.late = append(d.late, lateCommit{p, b})
		return store.ErrUnknown
	}
	err := d.apply(p, b, now, false)
	if outcome == Now {
		return store.ErrUnknown
	}
	return err
}

// Release lets all commits that were to take effect later do so now, in the
// order in which they were handed over, and reports how many there were.
func (s *Store) Release() int {
	now := s.clock()
	d := s.shared
	d.mu.Lock()
	defer d.mu.Unlock()
	late := d.late
	d.late = nil
	for _, c := range late {
		// Nobody waits for the answer any more.
		_ = d.apply(c.partition, c.batch, now, true)
	}
	for _, part := range d.partitions {
		part.deleted = nil
	}
	return len(late)
}

// Forget lets all commits that were to take effect later never do, as a loss of
// power does, and reports how many there were.
func (s *Store) Forget() int {
	d := s.shared
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.late)
	d.late = nil
	for _, part := range d.partitions {
		part.deleted = nil
	}
	return n
}

// Close implements [store.Store]. Late commits never take effect.
func (s *Store) Close() error {
	d := s.shared
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed, d.partitions, d.due, d.late = true, nil, nil, nil
	return nil
}

// current is the row with an expired one taken for absent (only its key set).
func (d *shared) current(p store.Partition, k store.Key, now time.Time) store.Record {
	part := d.partitions[p]
	if part == nil {
		return store.Record{Key: k}
	}
	r, ok := part.rows[k]
	if !ok || store.Expired(r.Expires, now) {
		return store.Record{Key: k}
	}
	return copied(r, false)
}

// apply does all of b or nothing: every reason to refuse is looked for before
// the first row changes.
func (d *shared) apply(p store.Partition, b *store.Batch, now time.Time, late bool) error {
	current := make([]store.Record, len(b.Conditions))
	refused := false
	for i, c := range b.Conditions {
		current[i] = d.current(p, c.Key, now)
		refused = refused || !c.Holds(current[i])
	}
	if refused {
		return &store.Refused{Current: current}
	}
	part := d.partitions[p]
	if part == nil {
		part = &partition{rows: make(map[store.Key]store.Record)}
	}
	for _, w := range b.Writes {
		old, ok := part.rows[w.Key]
		if w.Op == store.OpPutOnce && ok && !store.Expired(old.Expires, now) && !bytes.Equal(old.Value, w.Value) {
			return fmt.Errorf("%w: %d bytes, before %d", store.ErrChanged, len(w.Value), len(old.Value))
		}
	}
	for _, w := range b.Writes {
		d.write(p, part, w, now, late)
	}
	if len(part.rows) > 0 || len(part.deleted) > 0 {
		d.partitions[p] = part
	} else {
		delete(d.partitions, p)
	}
	return nil
}

func (d *shared) write(p store.Partition, part *partition, w store.Write, now time.Time, late bool) {
	old, ok := part.rows[w.Key]
	r := store.Record{Key: w.Key, Value: bytes.Clone(w.Value), Rev: 1, Expires: w.Expires, Token: w.Token}
	switch w.Op {
	case store.OpDeleteOnce:
		if len(d.late) > 0 {
			if part.deleted == nil {
				part.deleted = make(map[store.Key]bool)
			}
			part.deleted[w.Key] = true
		}
		part.remove(w.Key)
		return
	case store.OpPutOnce:
		if late && part.deleted[w.Key] || ok && !store.Expired(old.Expires, now) {
			return
		}
	case store.OpPut:
		// What was swept has taken its revision along, so a record that
		// comes anew starts above all that ever were.
		r.Rev = d.forgotten + 1
		if ok {
			r.Rev = old.Rev + 1
		}
	}
	if !ok {
		part.insert(w.Key)
	}
	part.rows[w.Key] = r
	d.remember(p, r)
}

func (part *partition) find(k store.Key) int {
	return sort.Search(len(part.keys), func(i int) bool { return part.keys[i] >= k })
}

func (part *partition) insert(k store.Key) {
	i := part.find(k)
	part.keys = append(part.keys, "")
	copy(part.keys[i+1:], part.keys[i:])
	part.keys[i] = k
}

func (part *partition) remove(k store.Key) {
	if _, ok := part.rows[k]; !ok {
		return
	}
	delete(part.rows, k)
	i := part.find(k)
	if i == 0 { // queues are emptied from the front
		part.keys = part.keys[1:]
		return
	}
	part.keys = append(part.keys[:i], part.keys[i+1:]...)
}

func copied(r store.Record, keysOnly bool) store.Record {
	if keysOnly {
		r.Value = nil
		return r
	}
	r.Value = append([]byte{}, r.Value...)
	return r
}
