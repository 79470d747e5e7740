package pebble

import (
	"errors"
	"fmt"
	iofs "io/fs"

	"github.com/cockroachdb/pebble/v2"

	"github.com/reseal/reseal/store"
)

// Checkpoint makes a copy of the store at one moment in folder, which must not
// hold one yet, while everything goes on: [Open] of that folder finds every
// commit that was acknowledged before Checkpoint was called, and of later ones
// either all of a batch or nothing. Table files are linked where the disk allows
// it, so a copy on the same disk takes little time and room, and no care of a
// disk that dies. The table files of the copy are read whole: damage is
// [store.ErrDamaged], and stops the store if it is its own. A copy that fails in
// another way, for lack of room say, leaves the store as it was; what is left in
// folder is of no use.
func (s *Store) Checkpoint(folder string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.copying.Lock()
	defer s.copying.Unlock()
	fs := s.options.FS
	db := fs.PathJoin(folder, finalName)
	if _, err := fs.Stat(db); err == nil {
		return fmt.Errorf("store: %s: %w", db, iofs.ErrExist)
	} else if !errors.Is(err, iofs.ErrNotExist) {
		return fmt.Errorf("store: %w", err)
	}
	if full, _ := s.space(); full != nil {
		return full
	}
	if err := makeFolder(fs, folder); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	aside := folder
	s.guard.aside.Store(&aside)
	defer s.guard.aside.Store(nil)
	err := s.apart(func() error { return s.db.Checkpoint(db, pebble.WithFlushedWAL()) })
	if errors.Is(err, store.ErrFailed) {
		return err
	}
	if err == nil {
		err = s.checkCopy(db) // a copy of what is damaged brings nothing back
	}
	if errors.Is(err, store.ErrFailed) {
		return err
	}
	if err == nil {
		err = writeSeal(fs, folder) // so that damage to the copy shows
	}
	if err != nil {
		return fmt.Errorf("store: copy to %s: %w", folder, err)
	}
	return nil
}
