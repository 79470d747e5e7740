package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	iofs "io/fs"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reseal/reseal/store"
)

// markFile stands in the folder once a database was made in it. Without it
// Pebble would take a folder that lost its manifest for a new one, and the
// server would start empty as if nobody had ever signed up.
const markFile = "RESEAL-STORE"

const layoutVersion = 1

// openFolder opens Pebble, then reads or writes what the store keeps about
// itself. A crash in between leaves a database without mark or format, which
// the next start completes.
func (s *Store) openFolder() error {
	fs := s.options.FS
	mark := fs.PathJoin(s.folder, markFile)
	_, err := fs.Stat(mark)
	marked := err == nil
	if err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return fmt.Errorf("store: opening %s: %w", s.folder, err)
	}
	if err := s.openPebble(marked); err != nil {
		return s.named(err, marked)
	}
	err = s.readMeta()
	if err == nil && !marked {
		err = writeMark(fs, s.folder, mark)
	}
	if err != nil {
		_ = s.db.Close() // the first error is the one to tell
		return s.named(err, marked)
	}
	return nil
}

// openPebble opens in a goroutine of its own, since the logger ends the one in
// which Pebble meets something fatal.
func (s *Store) openPebble(marked bool) error {
	cache := pebble.NewCache(s.options.Cache)
	defer cache.Unref()
	l := &logger{s.options.Logger, s.fail}
	options := &pebble.Options{
		FS: s.options.FS, Cache: cache, Logger: l, EventListener: l.events(),
		// Fixed, so that a newer library does not make folders that an older
		// server cannot read. It has sync marks in the log, by which damage
		// in its middle is told from an end torn by a crash.
		FormatMajorVersion:          pebble.FormatTableFormatV6,
		ErrorIfNotExists:            marked,
		MemTableSize:                8 << 20, // far above maxGroup: a group is never split
		MemTableStopWritesThreshold: 4,
	}
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	done := make(chan error, 1)
	go func() {
		err := errors.New("the engine gave up")
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("%w: %v", store.ErrDamaged, p)
			}
			done <- err
		}()
		s.db, err = pebble.Open(s.folder, options)
	}()
	err := <-done
	if failure := s.failedErr(); failure != nil {
		return failure
	}
	return err
}

// named gives an error of opening the name by which a caller knows what to do.
func (s *Store) named(err error, marked bool) error {
	switch {
	case errors.Is(err, syscall.EAGAIN) || strings.Contains(err.Error(), "lock held by current process"):
		return fmt.Errorf("%w: %s is open in another server; stop that one first", store.ErrBusy, s.folder)
	case vfs.IsNoSpaceError(err):
		return fmt.Errorf("%w: free some space for %s, then start again: %w", store.ErrFull, s.folder, err)
	case pebble.IsCorruptionError(err), errors.Is(err, pebble.ErrDBDoesNotExist),
		errors.Is(err, store.ErrDamaged), marked && errors.Is(err, iofs.ErrNotExist):
		return fmt.Errorf("%w: restore %s from a copy, or move it away to start empty: %w", store.ErrDamaged, s.folder, err)
	case errors.Is(err, store.ErrKind):
		return err
	}
	return fmt.Errorf("store: opening %s: %w", s.folder, err)
}

// readMeta checks format and kinds, adds rules that are new, and reads the
// revision floor.
func (s *Store) readMeta() error {
	batch := s.db.NewBatch()
	defer batch.Close()
	version, err := s.metaValue("format")
	if err != nil {
		return err
	}
	switch {
	case version == nil:
		_ = batch.Set(metaKey("format"), []byte{layoutVersion}, nil)
	case len(version) != 1 || version[0] != layoutVersion:
		return fmt.Errorf("store: layout version %x is not known to this server; use a newer one", version)
	}
	for _, rule := range s.schema {
		kind, err := s.metaValue("kind/" + rule.Prefix)
		if err != nil {
			return err
		}
		if kind == nil {
			_ = batch.Set(metaKey("kind/"+rule.Prefix), []byte{byte(rule.Kind)}, nil)
		} else if len(kind) != 1 || kind[0] != byte(rule.Kind) {
			return fmt.Errorf("%w: %q was not %v when this store was written", store.ErrKind, rule.Prefix, rule.Kind)
		}
	}
	floor, err := s.metaValue("floor")
	if err != nil {
		return err
	}
	if floor != nil {
		if len(floor) != 8 {
			return fmt.Errorf("%w: revision floor of %d bytes", store.ErrDamaged, len(floor))
		}
		s.floor = binary.BigEndian.Uint64(floor)
	}
	if batch.Empty() {
		return nil
	}
	return s.applySafely(batch)
}

// applySafely is Apply for callers outside of the committer.
func (s *Store) applySafely(batch *pebble.Batch) error {
	done := make(chan error, 1)
	go func() {
		err := store.ErrFailed
		defer func() { done <- err }()
		err = s.db.Apply(batch, pebble.Sync)
	}()
	return <-done
}

// metaValue is nil if there is none.
func (s *Store) metaValue(name string) ([]byte, error) {
	b, closer, err := s.db.Get(metaKey(name))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return append([]byte{}, b...), nil
}

// writeMark makes the mark durable. It is written after the database, so a mark
// without a database means loss.
func writeMark(fs vfs.FS, folder, mark string) error {
	f, err := fs.Create(mark, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte("reseal store 1\n"))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	dir, err := fs.OpenDir(folder)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
