package store

// Op is what a write does to its record.
type Op uint8

// The operations of a batch.
const (
	OpPut        Op = 1 // decided: value or, empty, gone
	OpPutOnce    Op = 2
	OpDeleteOnce Op = 3
)

// Write is one record's change in a batch.
type Write struct {
	Op      Op
	Key     Key
	Value   []byte
	Token   Token // decided only
	Expires int64 // milliseconds since the Unix epoch; 0 is never
}

// Condition is what must hold of a decided record for a batch to happen: its
// revision is Rev, or with Rev 0 that it is absent.
type Condition struct {
	Key Key
	Rev uint64
}

// Holds reports whether the current record (Rev 0 if absent) meets c.
func (c Condition) Holds(current Record) bool { return c.Rev == current.Rev }

// Batch is what one Commit does, built by its methods; the zero value is
// empty. The order of the calls has no meaning. A key is written at most once
// and has at most one condition. A batch of conditions alone is allowed: it
// checks and writes nothing. Faults show in Commit, as [ErrBatch], [ErrKind] or
// [ErrLimit], before any effect.
//
// The values are not copied. A Batch is not safe for concurrent use.
type Batch struct {
	Writes     []Write
	Conditions []Condition
	// Unsynced says that Commit need not wait until the batch is durable: see
	// [Batch.Lazily].
	Unsynced bool
	badRev   bool
}

// Lazily lets Commit of a batch that only deletes once records return before that
// is durable. Every read sees it then, but after a crash any of the records may be
// back; they expire, or are deleted again. Engines may make it durable at once.
func (b *Batch) Lazily() *Batch {
	b.Unsynced = true
	return b
}

// Absent adds the condition that the decided record k does not exist or has
// expired. A gone record exists.
func (b *Batch) Absent(k Key) *Batch {
	b.Conditions = append(b.Conditions, Condition{Key: k})
	return b
}

// RevIs adds the condition that the decided record k exists with revision rev,
// which is not 0. The batch need not write k.
func (b *Batch) RevIs(k Key, rev uint64) *Batch {
	if rev == 0 { // would silently mean Absent
		b.badRev = true
	}
	b.Conditions = append(b.Conditions, Condition{Key: k, Rev: rev})
	return b
}

// Put writes the decided record k. The same batch must have a condition on k,
// and value must not be empty, which would mean gone.
func (b *Batch) Put(k Key, value []byte, token Token, expires int64) *Batch {
	// A nil value marks what Gone wrote, so an empty one stays apart from it.
	if value == nil {
		value = []byte{}
	}
	b.Writes = append(b.Writes, Write{Op: OpPut, Key: k, Value: value, Token: token, Expires: expires})
	return b
}

// Gone overwrites the decided record k with the empty value. The same batch
// must have a condition on k. The record stays, with a new revision, until it
// expires.
func (b *Batch) Gone(k Key, token Token, expires int64) *Batch {
	b.Writes = append(b.Writes, Write{Op: OpPut, Key: k, Token: token, Expires: expires})
	return b
}

// Create is [Batch.Absent] and [Batch.Put] of one decided record.
func (b *Batch) Create(k Key, value []byte, token Token, expires int64) *Batch {
	return b.Absent(k).Put(k, value, token, expires)
}

// Replace is [Batch.RevIs] and [Batch.Put] of one decided record.
func (b *Batch) Replace(k Key, rev uint64, value []byte, token Token, expires int64) *Batch {
	return b.RevIs(k, rev).Put(k, value, token, expires)
}

// PutOnce writes the once record k; allowed with and without conditions. It
// must never be put with other bytes. Of two puts with different expiries
// either may stand.
func (b *Batch) PutOnce(k Key, value []byte, expires int64) *Batch {
	b.Writes = append(b.Writes, Write{Op: OpPutOnce, Key: k, Value: value, Expires: expires})
	return b
}

// DeleteOnce deletes the once record k, for good. It is not allowed in a batch
// with conditions. Deleting what is absent is no error.
func (b *Batch) DeleteOnce(k Key) *Batch {
	b.Writes = append(b.Writes, Write{Op: OpDeleteOnce, Key: k})
	return b
}
