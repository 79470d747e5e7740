package pebble

import "context"

// Flush begins to write the memtable to a file, as Pebble does by itself when it
// is full, and does not wait for the end of that.
func (s *Store) Flush() error {
	return s.apart(func() error {
		_, err := s.db.AsyncFlush()
		return err
	})
}

// FlushAndWait also waits.
func (s *Store) FlushAndWait() error { return s.apart(s.db.Flush) }

// Compact rewrites all table files.
func (s *Store) Compact(ctx context.Context) error {
	return s.apart(func() error { return s.db.Compact(ctx, []byte{0}, []byte{0xff}, false) })
}

// CheckLittle makes starts read no table file whole until the call of what it
// returns.
func CheckLittle() (undo func()) {
	before := checkedAtStart
	checkedAtStart = 0
	return func() { checkedAtStart = before }
}
