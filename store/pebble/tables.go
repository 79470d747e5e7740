package pebble

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reseal/reseal/store"
)

// checkedAtStart is how many bytes of table files an ordinary start reads
// whole, newest first: less than a second's worth. Of the others it looks at
// length, footer and properties.
var checkedAtStart uint64 = 256 << 20 // tests change it

// noteName is a file that stands in the data folder from when a damaged table
// file was met until a start has read all of them and found none.
const noteName = "damaged"

// filter is the Bloom filter of table files, in bits a key.
var filter = bloom.FilterPolicy(10)

// checkTables looks for damage in the table files of the open database: in all
// of each, up to so many bytes, or without limit where an earlier run noted
// damage. So a server that met some does not start again to meet it later.
func (s *Store) checkTables(budget uint64) error {
	fs := s.options.FS
	note := fs.PathJoin(s.folder, noteName)
	before, err := readFile(fs, note)
	if err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	noted := err == nil
	var levels [][]pebble.SSTableInfo
	if err := s.apart(func() (err error) { levels, err = s.db.SSTables(); return err }); err != nil {
		return err
	}
	o := tableOptions().MakeReaderOptions()
	for _, level := range levels {
		for _, t := range level {
			path := fs.PathJoin(s.folder, finalName, fmt.Sprintf("%06d.sst", uint64(t.BackingSSTNum)))
			whole := noted || s.options.CheckAll || t.Size <= budget
			if whole {
				budget -= min(budget, t.Size)
			}
			if err := s.apart(func() error { return checkTable(fs, path, t.Size, whole, o) }); err != nil {
				return err
			}
		}
	}
	if noted {
		s.options.Logger.Warn("store: damage was met before and is not there any more", "file", strings.TrimSpace(string(before)))
		return errors.Join(fs.Remove(note), syncFolder(fs, s.folder))
	}
	return nil
}

// checkCopy reads all table files of a copy. What is damaged there and here is
// damage of this store.
func (s *Store) checkCopy(db string) error {
	fs, o := s.options.FS, tableOptions().MakeReaderOptions()
	names, err := fs.List(db)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		err := s.apart(func() error { return checkTable(fs, fs.PathJoin(db, name), 0, true, o) })
		if errors.Is(err, store.ErrDamaged) {
			own := fs.PathJoin(s.folder, finalName, name)
			if _, statErr := fs.Stat(own); statErr == nil && errors.Is(checkTable(fs, own, 0, true, o), store.ErrDamaged) {
				s.damaged(name)
				return s.failedErr()
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkTable reads one file: whole, which compares the checksum of each block,
// or where it begins to be read.
func checkTable(fs vfs.FS, path string, size uint64, whole bool, o sstable.ReaderOptions) error {
	name := fs.PathBase(path)
	bad := func(err error) error {
		if isDamage(err) || errors.Is(err, iofs.ErrNotExist) {
			return fmt.Errorf("%w: %s: %w", store.ErrDamaged, name, err)
		}
		return fmt.Errorf("store: reading %s: %w", path, err)
	}
	f, err := fs.Open(path)
	if err != nil {
		return bad(err)
	}
	info, err := f.Stat()
	if err == nil && size > 0 && uint64(info.Size()) != size {
		return errors.Join(fmt.Errorf("%w: %s has %d bytes and not %d", store.ErrDamaged, name, info.Size(), size), f.Close())
	}
	if err != nil {
		return errors.Join(bad(err), f.Close())
	}
	file, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(bad(err), f.Close())
	}
	r, err := sstable.NewReader(context.Background(), file, o)
	if err != nil {
		return errors.Join(bad(err), file.Close())
	}
	if whole {
		err = r.ValidateBlockChecksums()
	}
	if err != nil {
		return errors.Join(bad(err), r.Close())
	}
	return r.Close()
}

// tableOptions are those that table files are written and read with.
func tableOptions() *pebble.Options {
	o := new(pebble.Options)
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = filter
	}
	o.EnsureDefaults()
	return o
}

// isDamage tells what a read failed with because of what lies on the disk: a
// wrong checksum, or an end before the one that the manifest knows.
func isDamage(err error) bool {
	return pebble.IsCorruptionError(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// nameOf is the file that a read failed in, where it is known.
func nameOf(err error) string {
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		return filepath.Base(info.Path)
	}
	if !pebble.IsCorruptionError(err) {
		return "a table file (.sst) that is cut short"
	}
	// What a compaction meets first comes without a path, but with the number.
	if m := tableNumber.FindStringSubmatch(err.Error()); m != nil {
		return m[1] + ".sst"
	}
	return err.Error()
}

var tableNumber = regexp.MustCompile(`\bfile (\d{6,})\b`)

// damaged stops the store for good: it is to be put back from a backup, and what
// it went on to acknowledge would be lost with it.
func (s *Store) damaged(file string) {
	if !s.opened.Load() {
		return // the start looks for itself
	}
	s.stop("store: stopped, a file is damaged", fmt.Errorf(
		"%w: %w: %s; restore %s from a backup: what it would go on to store is lost with it", store.ErrFailed, store.ErrDamaged, file, s.folder,
	), func() { s.note(file) })
}

// note makes the next start read all table files.
func (s *Store) note(file string) {
	fs := s.options.FS
	f, err := fs.Create(fs.PathJoin(s.folder, noteName), vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write([]byte(file + "\n"))
		err = errors.Join(err, f.Sync(), f.Close(), syncFolder(fs, s.folder))
	}
	if err != nil { // then the next start looks only as far as it always does
		s.options.Logger.Warn("store: the damage is not noted", "err", err)
	}
}
