package store

import "fmt"

// CheckGet is the validation of a Get that every engine begins with.
func (s Schema) CheckGet(p Partition, k Key) error {
	if err := checkPartition(p); err != nil {
		return err
	}
	_, err := s.checkKey(k)
	return err
}

// CheckRange is the validation of a Range that every engine begins with. The
// bounds are any bytes up to one more than a key may have, since [After] of the
// longest key is a bound.
func (s Schema) CheckRange(p Partition, from, to Key, limit int) error {
	if err := checkPartition(p); err != nil {
		return err
	}
	if len(from) > MaxKey+1 || len(to) > MaxKey+1 {
		return fmt.Errorf("%w: bound of a range over %d bytes", ErrLimit, MaxKey+1)
	}
	if limit < 1 || limit > MaxPage {
		return fmt.Errorf("%w: page of %d records, 1 to %d are allowed", ErrLimit, limit, MaxPage)
	}
	return nil
}

// CheckBatch is the validation of a Commit that every engine begins with,
// before anything else, so that a batch at fault has no effect in any of them.
func (s Schema) CheckBatch(p Partition, b *Batch) error {
	if err := checkPartition(p); err != nil {
		return err
	}
	if b == nil || b.badRev || len(b.Writes)+len(b.Conditions) == 0 {
		return fmt.Errorf("%w: empty, or a condition on revision 0", ErrBatch)
	}
	if len(b.Writes) > MaxWrites || len(b.Conditions) > MaxConditions {
		return fmt.Errorf("%w: batch of %d records and %d conditions", ErrLimit, len(b.Writes), len(b.Conditions))
	}
	conditions, size, err := s.checkConditions(b.Conditions)
	if err != nil {
		return err
	}
	if b.Unsynced && len(b.Conditions) > 0 {
		return fmt.Errorf("%w: conditions in a batch that need not be durable", ErrBatch)
	}
	written := make(map[Key]bool, len(b.Writes))
	for i := range b.Writes {
		w := &b.Writes[i]
		if written[w.Key] {
			return fmt.Errorf("%w: %q is written twice", ErrBatch, clip(w.Key))
		}
		written[w.Key] = true
		if err := s.checkWrite(w, conditions); err != nil {
			return err
		}
		if b.Unsynced && w.Op != OpDeleteOnce {
			return fmt.Errorf("%w: %q is written by a batch that need not be durable", ErrBatch, clip(w.Key))
		}
		size += len(w.Key) + len(w.Value)
	}
	if size > MaxBatch {
		return fmt.Errorf("%w: batch of %d bytes, %d are allowed", ErrLimit, size, MaxBatch)
	}
	return nil
}

func (s Schema) checkConditions(list []Condition) (map[Key]bool, int, error) {
	seen, size := make(map[Key]bool, len(list)), 0
	for _, c := range list {
		kind, err := s.checkKey(c.Key)
		if err != nil {
			return nil, 0, err
		}
		// A once record is written without agreement, so what a condition
		// saw of it may already be untrue when the batch takes effect.
		if kind != Decided {
			return nil, 0, fmt.Errorf("%w: condition on once record %q", ErrKind, clip(c.Key))
		}
		if seen[c.Key] {
			return nil, 0, fmt.Errorf("%w: two conditions on %q", ErrBatch, clip(c.Key))
		}
		seen[c.Key] = true
		size += len(c.Key)
	}
	return seen, size, nil
}

func (s Schema) checkWrite(w *Write, conditions map[Key]bool) error {
	kind, err := s.checkKey(w.Key)
	if err != nil {
		return err
	}
	if len(w.Value) > MaxValue {
		return fmt.Errorf("%w: value of %d bytes, %d are allowed", ErrLimit, len(w.Value), MaxValue)
	}
	if w.Expires < 0 {
		return fmt.Errorf("%w: expiry before 1970", ErrBatch)
	}
	switch w.Op {
	case OpPut:
		if kind != Decided {
			return fmt.Errorf("%w: %q is a once record", ErrKind, clip(w.Key))
		}
		if !conditions[w.Key] {
			return fmt.Errorf("%w: decided record %q without a condition on it", ErrBatch, clip(w.Key))
		}
		if w.Token == (Token{}) {
			return fmt.Errorf("%w: decided record %q without a token", ErrBatch, clip(w.Key))
		}
		if w.Value != nil && len(w.Value) == 0 {
			return fmt.Errorf("%w: decided record %q put empty, which means gone", ErrBatch, clip(w.Key))
		}
	case OpPutOnce, OpDeleteOnce:
		if kind != Once {
			return fmt.Errorf("%w: %q is a decided record", ErrKind, clip(w.Key))
		}
		// A refused delete could not be told from one that happened.
		if w.Op == OpDeleteOnce && len(conditions) > 0 {
			return fmt.Errorf("%w: delete of %q under a condition", ErrBatch, clip(w.Key))
		}
	default:
		return fmt.Errorf("%w: operation %d", ErrBatch, w.Op)
	}
	return nil
}

func (s Schema) checkKey(k Key) (Kind, error) {
	if len(k) == 0 || len(k) > MaxKey {
		return 0, fmt.Errorf("%w: key of %d bytes, 1 to %d are allowed", ErrLimit, len(k), MaxKey)
	}
	return s.KindOf(k)
}

func checkPartition(p Partition) error {
	if len(p) == 0 || len(p) > MaxPartition {
		return fmt.Errorf("%w: partition name of %d bytes, 1 to %d are allowed", ErrLimit, len(p), MaxPartition)
	}
	return nil
}
