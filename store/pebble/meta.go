package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/reseal/reseal/store"
)

const layoutVersion = 1

// readMeta checks format and kinds, adds what is new, and reads the revision
// floor. A crash before it has written leaves a database without records,
// which the next start completes.
func (s *Store) readMeta() error {
	batch := s.db.NewBatch()
	version, err := s.metaValue("format")
	if err != nil {
		return err
	}
	switch {
	case version == nil:
		_ = batch.Set(metaKey("format"), []byte{layoutVersion}, nil)
	case len(version) != 1 || version[0] != layoutVersion:
		return fmt.Errorf("%w: layout %x in %s", store.ErrNewer, version, s.folder)
	}
	for _, rule := range s.schema {
		kind, err := s.metaValue("kind/" + rule.Prefix)
		if err != nil {
			return err
		}
		if kind == nil {
			_ = batch.Set(metaKey("kind/"+rule.Prefix), []byte{byte(rule.Kind)}, nil)
		} else if len(kind) != 1 || kind[0] != byte(rule.Kind) {
			return fmt.Errorf("%w: %q was not %v when %s was written", store.ErrKind, rule.Prefix, rule.Kind, s.folder)
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
	if !batch.Empty() {
		if err := s.apart(func() error { return s.db.Apply(batch, pebble.Sync) }); err != nil {
			return err
		}
	}
	// Only here: closing hands the batch to the next who wants one, and after
	// a failure Pebble may be using it still.
	return batch.Close()
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
