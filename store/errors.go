package store

import "errors"

// What a call can end in besides success and [*Refused]. After every one of
// them but [ErrUnknown] a commit has had no effect and will have none.
var (
	// ErrAbsent: there is no such record, or it has expired.
	ErrAbsent = errors.New("store: no such record")
	// ErrUnknown: the commit may have happened, may happen later, or never.
	ErrUnknown = errors.New("store: outcome of the commit is unknown")
	// ErrLimit: a name, value, batch or page is larger than the contract allows.
	ErrLimit = errors.New("store: beyond a limit")
	// ErrNewer: a newer version wrote the store. Nothing was changed.
	ErrNewer = errors.New("store: written by a newer version")
	// ErrKind: the schema has no such key, or the key is of the other kind.
	ErrKind = errors.New("store: key not allowed by the schema")
	// ErrBatch: the batch breaks a rule of the contract, such as a decided
	// record without its condition. A fault of the caller, not of the data.
	ErrBatch = errors.New("store: malformed batch")
	// ErrChanged: a once record was put again with other bytes. Engines that
	// can see it say so; nobody may rely on it.
	ErrChanged = errors.New("store: once record put again with other bytes")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store: closed")
	// ErrBusy: another process has the store open.
	ErrBusy = errors.New("store: in use by another process")
	// ErrDamaged: what lies on disk is not what was written.
	ErrDamaged = errors.New("store: damaged")
	// ErrFull: too little space left on the disk to write safely. Reads go on.
	ErrFull = errors.New("store: disk full")
	// ErrFailed: the engine stopped itself after a disk error; nothing is read
	// or written any more until the process is started anew.
	ErrFailed = errors.New("store: stopped after a disk error")
)

// Refused says that a condition did not hold. Nothing of the batch happened.
type Refused struct {
	// Current has the record of every condition, in the order in which the
	// batch named them; one that is absent has Rev 0.
	Current []Record
}

func (r *Refused) Error() string { return "store: refused, a condition did not hold" }

// Find returns the current record of the condition on k, and whether there
// is one.
func (r *Refused) Find(k Key) (rec Record, present bool) {
	for _, c := range r.Current {
		if c.Key == k {
			return c, c.Present()
		}
	}
	return Record{Key: k}, false
}
