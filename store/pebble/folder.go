package pebble

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reseal/reseal/store"
)

// Inside the data folder. A database is made complete under its first name, then
// renamed, so that one under the second name is complete: should it lack files,
// it is damaged and never taken for a new one, as if nobody had signed up yet.
const (
	freshName = "db.new"
	finalName = "db"
)

// openFolder opens the database, after making it where there is none.
func (s *Store) openFolder() error {
	fs := s.options.FS
	if err := makeFolder(fs, s.folder); err != nil {
		return s.named(err)
	}
	lock, err := pebble.LockDirectory(s.folder, fs)
	if err != nil {
		return s.named(locked(err))
	}
	if err := s.openLocked(); err != nil {
		return s.named(errors.Join(err, lock.Close()))
	}
	s.lock = lock
	return nil
}

func (s *Store) openLocked() error {
	fs := s.options.FS
	final := fs.PathJoin(s.folder, finalName)
	if _, err := fs.Stat(final); errors.Is(err, iofs.ErrNotExist) {
		if err := s.makeDatabase(final); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if err := checkSeal(fs, s.folder); err != nil {
		return err
	}
	if err := checkLogs(fs, final); err != nil {
		return err
	}
	if err := s.openPebble(final, true); err != nil {
		return missing(err)
	}
	err := s.checkTables(checkedAtStart)
	if err == nil {
		err = s.readMeta()
	}
	if err != nil {
		return errors.Join(err, s.closePebble())
	}
	s.opened.Store(true)
	return nil
}

// makeDatabase leaves either nothing under its final name or a database that is
// complete and durable. What an earlier try left is thrown away: nothing was
// ever acknowledged from it.
func (s *Store) makeDatabase(final string) error {
	fs := s.options.FS
	fresh := fs.PathJoin(s.folder, freshName)
	if err := fs.RemoveAll(fresh); err != nil {
		return err
	}
	if err := s.openPebble(fresh, false); err != nil {
		return err
	}
	if err := s.closePebble(); err != nil {
		return err
	}
	if err := syncFolder(fs, fresh); err != nil {
		return err
	}
	if err := fs.Rename(fresh, final); err != nil {
		return err
	}
	return syncFolder(fs, s.folder)
}

// openPebble opens in a goroutine of its own, since the one in which Pebble
// meets something fatal does not come back.
func (s *Store) openPebble(folder string, exists bool) error {
	cache := pebble.NewCache(s.options.Cache)
	defer cache.Unref()
	l := &logger{s.options.Logger, s.fail, s.damaged}
	options := &pebble.Options{
		FS: s.guard, Cache: cache, Logger: l, EventListener: l.events(),
		// Fixed, so that a newer library does not make folders that an older
		// server cannot read. It has sync marks in the log, by which damage
		// in its middle is told from an end torn by a crash.
		FormatMajorVersion:          pebble.FormatTableFormatV6,
		ErrorIfNotExists:            exists,
		MemTableSize:                8 << 20, // far above maxGroup: a group is never split
		MemTableStopWritesThreshold: 4,
	}
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = filter
	}
	return s.apart(func() (err error) {
		s.db, err = pebble.Open(folder, options)
		return err
	})
}

func (s *Store) closePebble() error { return s.apart(s.db.Close) }

// apart calls f, in which Pebble may stop for ever, and waits for it or for the
// failure.
func (s *Store) apart(f func() error) error {
	done := make(chan error, 1)
	go func() {
		var err error
		defer func() {
			if p := recover(); p != nil { // Pebble panics on some damaged files
				err = fmt.Errorf("%w: %v", store.ErrDamaged, p)
			}
			done <- err
		}()
		err = f()
	}()
	select {
	case err := <-done:
		return err
	case <-s.failed:
		return s.failedErr()
	}
}

func locked(err error) error {
	if errors.Is(err, syscall.EAGAIN) || strings.Contains(err.Error(), "lock held by current process") {
		return fmt.Errorf("%w: %w", store.ErrBusy, err)
	}
	return err
}

func missing(err error) error {
	if errors.Is(err, pebble.ErrDBDoesNotExist) || errors.Is(err, iofs.ErrNotExist) ||
		strings.Contains(err.Error(), "object size mismatch") { // a table file cut short, which has no name in Pebble
		return fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	return err
}

// named gives an error of opening the name by which a caller knows what to do.
func (s *Store) named(err error) error {
	switch {
	case errors.Is(err, store.ErrBusy):
		return fmt.Errorf("%w; %s is open in another server, stop that one first", err, s.folder)
	case vfs.IsNoSpaceError(err):
		return fmt.Errorf("%w: free some space for %s, then start again: %w", store.ErrFull, s.folder, err)
	case errors.Is(err, store.ErrDamaged):
		return fmt.Errorf("%w; restore %s from a copy, or move it away to start empty", err, s.folder)
	case pebble.IsCorruptionError(err):
		return fmt.Errorf("%w: %w; restore %s from a copy, or move it away to start empty", store.ErrDamaged, err, s.folder)
	case errors.Is(err, store.ErrKind), errors.Is(err, store.ErrNewer):
		return err
	}
	return fmt.Errorf("store: opening %s: %w", s.folder, err)
}

// makeFolder makes folder and those above it that lack, each durable in its
// parent.
func makeFolder(fs vfs.FS, folder string) error {
	if _, err := fs.Stat(folder); !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	parent := fs.PathDir(folder)
	if parent != folder {
		if err := makeFolder(fs, parent); err != nil {
			return err
		}
	}
	if err := fs.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return syncFolder(fs, parent)
}

func syncFolder(fs vfs.FS, folder string) error {
	dir, err := fs.OpenDir(folder)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
