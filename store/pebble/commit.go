package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reseal/reseal/store"
)

// Sizes of the queue before the committer, in commits, and of what it takes at
// once. Senders beyond the queue wait, so memory stays bounded on a slow disk.
const (
	maxWaiting = 1024
	maxGroup   = 1 << 20 // bytes of keys and values, one batch more at most
)

// commit is batches that wait for each other, or one portion of a sweep, on its
// way to the committer.
type commit struct {
	ctx    context.Context
	steps  []store.Step
	sweep  []dueRow
	answer chan error // of size 1; nobody need wait for it
}

// group is what one Pebble batch holds. Readers see it through inflight, so it
// is not changed once it is there.
type group struct {
	rows       map[string]row // by row key: what the group leaves
	partitions map[store.Partition]bool
	done       chan struct{} // closed when it is durable
	batch      *pebble.Batch
	sync       bool
}

func (g *group) wrote(key []byte) bool {
	_, ok := g.rows[string(key)]
	return ok
}

// Commit implements [store.Store].
func (s *Store) Commit(ctx context.Context, p store.Partition, b *store.Batch) error {
	if err := s.schema.CheckBatch(p, b); err != nil {
		return err
	}
	return s.hand(&commit{ctx: ctx, steps: []store.Step{{Partition: p, Batch: b}}, answer: make(chan error, 1)})
}

// CommitAll implements [store.Chainer]: all steps are in one group, with one sync.
func (s *Store) CommitAll(ctx context.Context, steps []store.Step) error {
	var fault error
	for i, step := range steps {
		if fault = s.schema.CheckBatch(step.Partition, step.Batch); fault != nil {
			steps = steps[:i]
			break
		}
	}
	if len(steps) > 0 {
		if err := s.hand(&commit{ctx: ctx, steps: steps, answer: make(chan error, 1)}); err != nil {
			return err
		}
	}
	return fault
}

// hand gives c to the committer and waits for the answer.
func (s *Store) hand(c *commit) error {
	if err := s.enter(); err != nil {
		return err
	}
	select {
	case s.queue <- c:
		s.leave()
	case <-c.ctx.Done():
		s.leave()
		return fmt.Errorf("%w: %w", store.ErrUnknown, c.ctx.Err())
	case <-s.failed:
		s.leave()
		return s.failedErr()
	}
	select {
	case err := <-c.answer:
		return err
	case <-c.ctx.Done():
		return fmt.Errorf("%w: %w", store.ErrUnknown, c.ctx.Err())
	case <-s.failed:
		// It may have been answered before the failure.
		select {
		case err := <-c.answer:
			return err
		default:
			return fmt.Errorf("%w: %w", store.ErrUnknown, s.failedErr())
		}
	}
}

// commitLoop is the one committer. It ends when the queue is closed and empty,
// or, without answering, when the store has failed.
func (s *Store) commitLoop() {
	defer func() {
		if p := recover(); p != nil { // an assertion of Pebble's
			s.fail(fmt.Errorf("%v", p))
		}
	}()
	for first := range s.queue {
		// Whoever can run may have something for this group: one sync serves all.
		// With nobody else to run this is nothing, and there is no timer.
		runtime.Gosched()
		taken := s.take(first)
		if s.failedErr() != nil {
			return
		}
		answers := s.commitGroup(taken)
		for i, c := range taken {
			c.answer <- answers[i]
		}
	}
}

// take is first and all that waits behind it, up to maxGroup.
func (s *Store) take(first *commit) []*commit {
	taken, size := []*commit{first}, first.size()
	for size < maxGroup {
		select {
		case c, ok := <-s.queue:
			if !ok {
				return taken
			}
			taken, size = append(taken, c), size+c.size()
		default:
			return taken
		}
	}
	return taken
}

func (c *commit) size() (n int) {
	for _, step := range c.steps {
		for i := range step.Batch.Writes {
			n += len(step.Batch.Writes[i].Key) + len(step.Batch.Writes[i].Value)
		}
	}
	for i := range c.sweep {
		n += len(c.sweep[i].row)
	}
	return n
}

// commitGroup returns the answer to each. If we crash before Apply has synced,
// nobody was answered; after it, all of the group is there.
func (s *Store) commitGroup(taken []*commit) []error {
	answers := make([]error, len(taken))
	g := &group{
		rows: make(map[string]row), partitions: make(map[store.Partition]bool),
		done: make(chan struct{}), batch: s.db.NewBatch(),
	}
	full, veryFull := s.space()
	now := s.options.Clock()
	for i, c := range taken {
		switch {
		case c.ctx.Err() != nil:
			// Who waits may see the answer before the end of its context.
			answers[i] = fmt.Errorf("%w: %w", store.ErrUnknown, c.ctx.Err())
		case c.sweep != nil && veryFull == nil:
			answers[i] = s.sweepRows(g, c.sweep)
		case c.sweep != nil:
			answers[i] = veryFull
		case full != nil:
			answers[i] = full
		default:
			for _, step := range c.steps {
				if answers[i] = s.judge(g, step, now); answers[i] != nil {
					break
				}
			}
		}
	}
	if !g.batch.Empty() {
		s.inflight.Store(g)
		options := pebble.NoSync // sweeps and what is lazy, which is done again
		if g.sync {
			options = pebble.Sync
		}
		if err := s.db.Apply(g.batch, options); err != nil {
			s.fail(err)
			for i := range answers {
				answers[i] = fmt.Errorf("%w: %w", store.ErrUnknown, s.failedErr())
			}
			return answers
		}
		s.rows.wrote(g.rows)
		s.ranges.wrote(g.partitions)
		close(g.done)
		s.inflight.Store(nil)
	}
	// Pebble may keep using a batch it was given until Apply returns, no longer.
	if err := g.batch.Close(); err != nil {
		s.options.Logger.Warn("store: releasing a batch", "err", err)
	}
	return answers
}

// space returns why commits, and why even sweeps, must not write now.
func (s *Store) space() (full, veryFull error) {
	usage, err := s.options.FS.GetDiskUsage(s.folder)
	if errors.Is(err, vfs.ErrUnsupported) {
		return nil, nil
	}
	if err != nil {
		err = fmt.Errorf("store: asking for free space on %s: %w", s.folder, err)
		return err, err
	}
	if usage.AvailBytes >= s.options.MinFree {
		return nil, nil
	}
	full = fmt.Errorf("%w: %d MiB free for %s, %d MiB needed; free some space",
		store.ErrFull, usage.AvailBytes>>20, s.folder, s.options.MinFree>>20)
	if usage.AvailBytes < s.options.MinFree/2 {
		veryFull = full
	}
	return full, veryFull
}

// judge adds a batch to the group if its conditions hold. Every reason not to is
// looked for before the first row is added.
func (s *Store) judge(g *group, step store.Step, now time.Time) error {
	p, b := step.Partition, step.Batch
	current := make([]store.Record, len(b.Conditions))
	refused := false
	for i, condition := range b.Conditions {
		r, err := s.latest(g, rowKey(p, condition.Key))
		if err != nil {
			return err
		}
		current[i] = store.Record{Key: condition.Key}
		if r.rev != 0 && !store.Expired(r.expires, now) {
			current[i] = r.record(condition.Key, false)
		}
		refused = refused || !condition.Holds(current[i])
	}
	if refused {
		return &store.Refused{Current: current}
	}
	changes := make([]change, 0, len(b.Writes))
	for i := range b.Writes {
		next, err := s.change(g, p, &b.Writes[i], now)
		if err != nil {
			return err
		}
		changes = append(changes, next)
	}
	for _, next := range changes {
		g.add(next)
	}
	g.partitions[p] = true
	g.sync = g.sync || !b.Unsynced
	return nil
}

// change is one row before and after a batch; equal revision 0 is absent.
type change struct {
	key      []byte
	old, new row
	none     bool // nothing to do
}

func (s *Store) change(g *group, p store.Partition, w *store.Write, now time.Time) (change, error) {
	key := rowKey(p, w.Key)
	old, err := s.latest(g, key)
	if err != nil {
		return change{}, err
	}
	next := change{key: key, old: old}
	switch w.Op {
	case store.OpDeleteOnce:
		next.none = old.rev == 0
		return next, nil
	case store.OpPutOnce:
		if old.rev != 0 && !store.Expired(old.expires, now) {
			if !bytes.Equal(old.value, w.Value) {
				return change{}, fmt.Errorf("%w: %d bytes, before %d", store.ErrChanged, len(w.Value), len(old.value))
			}
			next.none = true
			return next, nil
		}
		next.new = row{kind: store.Once, rev: 1, expires: w.Expires, value: w.Value}
	case store.OpPut:
		next.new = row{kind: store.Decided, rev: s.floor + 1, expires: w.Expires, token: w.Token, value: w.Value}
		if old.rev != 0 {
			next.new.rev = old.rev + 1
		}
	}
	return next, nil
}

// latest is a row as the group so far leaves it. It is not kept: if it is
// written, what is written will be.
func (s *Store) latest(g *group, key []byte) (row, error) {
	if r, ok := g.rows[string(key)]; ok {
		return r, nil
	}
	return s.load(key, false)
}

// add puts a change into the group. Writing to a batch in memory cannot fail.
func (g *group) add(c change) {
	if c.none {
		return
	}
	if c.old.expires != 0 && c.old.expires != c.new.expires {
		_ = g.batch.Delete(indexKey(c.old.expires, c.key), nil)
	}
	if c.new.rev == 0 {
		_ = g.batch.Delete(c.key, nil)
	} else {
		op := g.batch.SetDeferred(len(c.key), c.new.size())
		copy(op.Key, c.key)
		c.new.appendTo(op.Value[:0])
		_ = op.Finish()
		if c.new.expires != 0 {
			_ = g.batch.Set(indexKey(c.new.expires, c.key), nil, nil)
		}
	}
	g.rows[string(c.key)] = c.new
}
