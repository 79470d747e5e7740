package pebble

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
