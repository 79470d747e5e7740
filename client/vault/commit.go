package vault

import (
	"fmt"
	"io"
	"os"
)

const (
	// compactAt is the least length at which a journal is folded into the
	// file; a large section waits until it has four times its slot.
	compactAt = 1 << 20
	// maxJournal is more than any journal grows to.
	maxJournal = 4*maxSlotSize + 64<<20
)

// commit is a batch that waits to be written.
type commit struct {
	batch Batch
	done  bool
	err   error
}

// Commit stores a batch as a whole: when it returns nil the batch is durable
// and Get sees it. Batches that come at the same time are written together,
// with one sync. The batch must not change until Commit returns.
//
// Errors: ErrTooLarge and ErrLocked mean that nothing was stored. After any
// other, ErrFull too, the batch does not show in this Section, and may be
// committed again; after a restart it may show, as if the process had died in
// the middle of Commit (a full disk that shows only at the sync, say).
func (s *Section) Commit(b Batch) error {
	if err := checkBatch(b); err != nil || len(b) == 0 {
		return err
	}
	c := &commit{batch: b}
	s.queueMu.Lock()
	s.queue = append(s.queue, c)
	s.queueMu.Unlock()
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	// Who gets here first writes for all that wait behind it.
	for !c.done {
		s.writeGroup()
	}
	return c.err
}

func checkBatch(b Batch) error {
	for _, w := range b {
		if len(w.Name) == 0 || len(w.Name) > MaxName || len(w.Value) > MaxValue {
			return fmt.Errorf("%w: record with a name of %d bytes and %d bytes", ErrTooLarge, len(w.Name), len(w.Value))
		}
	}
	if n := batchSize(b); n > MaxBatch {
		return fmt.Errorf("%w: batch of %d bytes", ErrTooLarge, n)
	}
	return nil
}

// writeGroup writes the commits that wait, as many as one frame takes.
func (s *Section) writeGroup() {
	group, batches := s.take()
	err := s.store(group, batches)
	for _, c := range group {
		if c.done = true; c.err == nil {
			c.err = err
		}
	}
	if err == nil {
		s.compactIfLong()
	}
}

// take returns the first commits of the queue that fit into one frame.
func (s *Section) take() (group []*commit, batches []Batch) {
	s.queueMu.Lock()
	defer s.queueMu.Unlock()
	size := 0
	for len(s.queue) > 0 {
		c := s.queue[0]
		if size += batchSize(c.batch); size > MaxBatch && len(group) > 0 {
			break
		}
		s.queue = s.queue[1:]
		group = append(group, c)
		// One that would outgrow the section fails alone.
		if n := s.records.sizeAfter(append(batches, c.batch)...); n > MaxSection {
			c.err = fmt.Errorf("%w: section of %d bytes", ErrTooLarge, n)
			continue
		}
		batches = append(batches, c.batch)
	}
	return group, batches
}

func (s *Section) store(group []*commit, batches []Batch) error {
	if s.isClosed() {
		return ErrLocked
	}
	if len(batches) == 0 {
		return nil
	}
	if s.broken || s.chain.seq >= maxFrames || s.chain.end > maxJournal-2*maxFrame {
		if err := s.reseal(s.share.get(), s.head.tag()); err != nil {
			return err
		}
	}
	next, err := s.write(batches)
	if err != nil {
		return err
	}
	// Durable: only now does anybody see it.
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chain = next
	for _, b := range batches {
		s.records.apply(b)
	}
	return nil
}

// write appends one frame and syncs it.
func (s *Section) write(batches []Batch) (chain, error) {
	c, fresh := s.chain, s.journal == nil
	if fresh {
		c = chain{end: journalHeaderSize}
	}
	frame, err := sealFrame(s.keys, c, s.v.rand, batches...)
	if err != nil {
		return c, err
	}
	next := chain{c.seq + 1, [tagSize]byte(frame[len(frame)-tagSize:]), c.end + int64(len(frame))}
	if fresh {
		return next, s.create(frame)
	}
	if _, err := s.journal.WriteAt(frame, c.end); err != nil {
		// What was written of it must not stand before the next frame.
		if s.journal.Truncate(c.end) != nil || s.journal.Sync() != nil {
			s.broken = true
		}
		return c, disk(err)
	}
	if err := s.journal.Sync(); err != nil {
		// The kernel may have dropped the pages: a second sync that succeeds
		// would prove nothing about this frame.
		s.broken = true
		return c, disk(err)
	}
	return next, nil
}

// create makes the journal with its first frame, durable with its name.
func (s *Section) create(frame []byte) error {
	name := journalName(&s.head)
	f, err := s.v.fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return disk(err)
	}
	_, err = f.WriteAt(append(journalHeader(s.head.journalHash()), frame...), 0)
	if err != nil {
		s.drop(f, name)
		return disk(err)
	}
	if err = f.Sync(); err == nil {
		err = s.v.fs.SyncDir()
	}
	if err != nil {
		s.broken = true
		_ = f.Close()
		return disk(err)
	}
	s.journal = f
	return nil
}

// drop takes back a journal that could not be written. What stays of it when
// that fails too is a torn frame, or is written over by the next attempt.
func (s *Section) drop(f io.Closer, name string) {
	_ = f.Close()
	_ = s.v.fs.Remove(name)
}

// compactIfLong folds a long journal into the file. The commit is durable
// already, so a failure is not its failure: it is tried again after as much
// growth once more.
func (s *Section) compactIfLong() {
	s.v.mu.Lock()
	limit := max(compactAt, min(4*int64(s.v.header.size), maxSlotSize))
	s.v.mu.Unlock()
	if s.chain.end < s.tried+limit {
		return
	}
	if end := s.chain.end; s.reseal(s.share.get(), s.head.tag()) != nil {
		s.tried = end
	}
}
