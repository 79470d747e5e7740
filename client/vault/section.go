package vault

import (
	"errors"
	"io"
	"iter"
	"slices"
	"sync"

	"github.com/reseal/reseal/capsule"
)

// Section is one account's records, open. All its methods may be called from
// several goroutines. After Lock, Close or Erase every method fails.
type Section struct {
	v   *Vault
	row capsule.RowID

	// queueMu guards the commits that wait for the one being written.
	queueMu sync.Mutex
	queue   []*commit

	// writeMu is held while the journal or the section's slot is written. It
	// is taken before v.mu. It guards what follows.
	writeMu sync.Mutex
	head    head
	share   sealedUnder
	keys    keys
	journal File // nil until the first commit after a reseal
	chain   chain
	// broken is set when the journal cannot be trusted with another frame
	// (a sync failed): the section must be resealed, which starts another.
	broken bool
	// session is the name of the session record file, if there is one.
	session string
	// tried is how long the journal was at the last failed compaction.
	tried int64

	// mu guards the records; it is taken last and never held during I/O.
	mu      sync.RWMutex
	records *records
	closed  bool
}

func newSection(v *Vault, h *head, row capsule.RowID, share capsule.Share) *Section {
	server := share.Value.Bytes()
	return &Section{v: v, row: row, head: *h, share: keepShare(share), keys: databaseKeys(h, &server), records: newRecords()}
}

// Row is the name of the section's share at the server.
func (s *Section) Row() capsule.RowID {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	return s.row
}

// Get returns a copy of a record.
func (s *Section) Get(name string) (value []byte, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	value, ok = s.records.values[name]
	return slices.Clone(value), ok
}

// Range goes through the records whose names begin with prefix, in bytewise
// order, as they are at the call: a Commit in between changes nothing.
func (s *Section) Range(prefix string) iter.Seq2[string, []byte] {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.records.prefixed(prefix)
}

// Names are the names that begin with prefix, in bytewise order, without a copy
// of any value.
func (s *Section) Names(prefix string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.records.named(prefix)
}

// Size is what the records take of MaxSection, bytes.
func (s *Section) Size() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.records.size
}

// Reseal seals every record anew under the given server share and a fresh
// local share, and removes the journal. Before it returns, the section opens
// with the old server share or with the new one, whichever side of the rename
// a crash falls on; Slot.Unlock takes that one. Afterwards the new one alone opens
// it. On ErrFull the old state is intact.
func (s *Section) Reseal(share capsule.Share) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.isClosed() {
		return ErrLocked
	}
	return s.reseal(share, s.head.tag())
}

// Share is the server share that the section is sealed under, for whoever
// seals it anew for the server.
func (s *Section) Share() (capsule.Share, error) {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.isClosed() {
		return capsule.Share{}, ErrLocked
	}
	return s.share.get(), nil
}

// RowUnder is the name that the section's share has at the server under a row
// key.
func (s *Section) RowUnder(key capsule.RowKey) capsule.RowID {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	return rowID(key, s.head.nonce())
}

// Retag makes the section the one that Find gives for another row key, and
// seals it anew under the same server share. A crash leaves it under the old
// key or the new one. ErrExists if there is one for that key already.
func (s *Section) Retag(key capsule.RowKey) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.isClosed() {
		return ErrLocked
	}
	tag := currentTag(key, s.head.nonce())
	if tag == s.head.tag() {
		return nil // a repeat
	}
	s.v.mu.Lock()
	taken := len(s.v.find(key, currentTag)) > 0
	s.v.mu.Unlock()
	if taken {
		return ErrExists
	}
	if err := s.reseal(s.share.get(), tag); err != nil {
		return err
	}
	s.row = rowID(key, s.head.nonce())
	return nil
}

// Compact seals every record anew under a fresh local share, so that what was
// deleted can no longer be opened with the keys of this installation. Commit
// does it by itself when the journal has grown.
func (s *Section) Compact() error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.isClosed() {
		return ErrLocked
	}
	return s.reseal(s.share.get(), s.head.tag())
}

// Lock is the logout: it reseals under a fresh local share, wipes all keys and
// values, and removes the session record that this section was saved in or
// resumed from. An error tells that the record is still there, or that
// resealing failed: the section is then still sealed as it was, under both its
// shares, with its journal. The keys are wiped in any case.
func (s *Section) Lock() error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.isClosed() {
		return ErrLocked
	}
	// The record first: a crash after it leaves a section that needs the
	// password, which is what the user asked for.
	return errors.Join(s.forget(), s.reseal(s.share.get(), s.head.tag()), s.close())
}

// Close wipes all keys and values; the section stays as it is on disk, journal
// included, and opens again with a session record or at a login.
func (s *Section) Close() error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.isClosed() {
		return ErrLocked
	}
	return s.close()
}

// Erase destroys the section: random bytes take its place, durable when it
// returns, and the session record is removed. On ErrFull nothing happened.
func (s *Section) Erase() error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.isClosed() {
		return ErrLocked
	}
	err := s.erase()
	if err != nil && !errors.Is(err, errNotDurable) {
		return err
	}
	// Not durable: the section is gone from the file that is seen now, and
	// would come back, sealed, with a power loss.
	return errors.Join(err, s.forget(), s.close())
}

func (s *Section) erase() error {
	v := s.v
	v.mu.Lock()
	defer v.mu.Unlock()
	d, err := v.decoy()
	if err != nil {
		return err
	}
	p := v.plan()
	// The last slot taken moves here, so that the free ones stay together.
	last := p.header.taken - 1
	p.slots[v.index(s.head.nonce())] = p.slots[last]
	p.slots[last] = piece{head: d, from: -1}
	if p.header.taken > 1 {
		p.header.taken = last
	}
	p.stale = journalName(&s.head)
	return v.rewrite(p)
}

func (s *Section) isClosed() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.closed
}

// reseal writes the section into a new file. The caller holds writeMu.
func (s *Section) reseal(share capsule.Share, tag fileTag) error {
	v := s.v
	v.mu.Lock()
	defer v.mu.Unlock()
	h, next, err := s.fresh(share, tag)
	if err != nil {
		return err
	}
	p := v.plan()
	if err := p.grow(s.records.size); err != nil {
		return err
	}
	body := sealContent(next, &h, p.header.size, s.records)
	p.slots[v.index(s.head.nonce())] = piece{head: h, body: body, from: -1}
	p.stale = journalName(&s.head)
	err = v.rewrite(p)
	if err != nil && !errors.Is(err, errNotDurable) {
		next.wipe()
		return err
	}
	// From here on the new file is the one that readers see. If the folder
	// could not be synced, a power loss may still bring back the old file and
	// its journal. The next commit makes a new journal and syncs the folder
	// before it is acknowledged, so it cannot outlive the file it belongs to.
	s.keys.wipe()
	s.share.wipe()
	s.head, s.share, s.keys, s.chain, s.tried = h, keepShare(share), next, chain{}, 0
	s.broken = false
	if s.journal != nil {
		_ = s.journal.Close()
		s.journal = nil
	}
	return err
}

// fresh is the head and the keys under which the section is sealed next.
func (s *Section) fresh(share capsule.Share, tag fileTag) (head, keys, error) {
	var local localShare
	if _, err := io.ReadFull(s.v.rand, local[:]); err != nil {
		return head{}, keys{}, err
	}
	h := makeHead(s.head.nonce(), tag, markOf(share, s.head.nonce()), local)
	server := share.Value.Bytes()
	return h, databaseKeys(&h, &server), nil
}

// close wipes everything. The caller holds writeMu.
func (s *Section) close() error {
	s.v.mu.Lock()
	delete(s.v.open, s.head.nonce())
	s.v.mu.Unlock()
	var err error
	if s.journal != nil {
		err = s.journal.Close()
		s.journal = nil
	}
	s.wipe()
	return err
}

func (s *Section) wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.records.wipe()
	s.keys.wipe()
	s.share.wipe()
}
