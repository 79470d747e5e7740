package vault

import (
	"errors"
	"io/fs"
	"os"

	"github.com/reseal/reseal/capsule"
)

// Unlock opens the section with the server share that it is sealed under and
// brings it to where its journal ends. Errors: ErrOpen, ErrUnlocked,
// ErrDamaged (the journal), ErrNewer, ErrAbsent if the slot is out of date.
// Nothing is changed on disk, except that a torn frame at the end of the
// journal is cut off.
func (s *Slot) Unlock(share capsule.Share) (*Section, error) {
	v := s.v
	v.mu.Lock()
	defer v.mu.Unlock()
	i := v.index(s.head.nonce())
	if i < 0 || v.heads[i] != s.head {
		return nil, ErrAbsent
	}
	return v.unlock(i, s.row, share)
}

func (v *Vault) unlock(i int, row capsule.RowID, share capsule.Share) (*Section, error) {
	h := v.heads[i]
	if v.open[h.nonce()] != nil {
		return nil, ErrUnlocked
	}
	if markOf(share, h.nonce()) != h.mark() {
		return nil, ErrOpen
	}
	s := newSection(v, &h, row, share)
	err := s.read(i)
	if err == nil {
		err = s.resume()
	}
	if err != nil {
		s.wipe()
		return nil, err
	}
	v.open[h.nonce()] = s
	v.tidyJournals()
	return s, nil
}

// read opens the section's slot of the file.
func (s *Section) read(i int) error {
	v := s.v
	f, err := v.fs.OpenFile(vaultName, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	body := make([]byte, v.header.size-headSize)
	if _, err := f.ReadAt(body, v.header.offset(i)+headSize); err != nil {
		return err
	}
	r, err := openContent(s.keys, &s.head, body)
	if err != nil {
		return err
	}
	s.records = r
	return nil
}

// resume replays the journal and cuts a torn frame off, durably: the frame
// that will be written in its place must not mix with what is left of it.
func (s *Section) resume() error {
	name := journalName(&s.head)
	f, err := s.v.fs.OpenFile(name, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	c, size, err := s.replay(f, name)
	if err == nil && c.end < size {
		if err = f.Truncate(c.end); err == nil {
			err = f.Sync()
		}
	}
	if err != nil || c.end == 0 {
		// Without a header the next commit makes the journal anew.
		return errors.Join(disk(err), f.Close())
	}
	s.journal, s.chain = f, c
	return nil
}

func (s *Section) replay(f File, name string) (chain, int64, error) {
	size, err := f.Size()
	if err != nil {
		return chain{}, 0, err
	}
	if size > maxJournal {
		return chain{}, 0, damaged(name, "length")
	}
	b := make([]byte, size)
	if size > 0 {
		if _, err := f.ReadAt(b, 0); err != nil {
			return chain{}, 0, err
		}
	}
	c, err := replay(s.keys, name, s.head.journalHash(), b, s.records)
	return c, size, err
}
