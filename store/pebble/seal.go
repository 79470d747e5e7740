package pebble

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	iofs "io/fs"
	"sort"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reseal/reseal/store"
)

// sealName is a file that stands in the data folder from an orderly end to the
// next start, with a hash of what lies there. So damage between the two shows
// even at the very end of a manifest, which looks like a torn write otherwise.
const sealName = "closed"

// checkSeal compares and removes the seal, durably and before anything else
// changes. Without seal the last end was a crash, and there is none to compare.
func checkSeal(fs vfs.FS, folder string) error {
	name := fs.PathJoin(folder, sealName)
	want, err := readFile(fs, name)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	got, err := sealOf(fs, fs.PathJoin(folder, finalName))
	if err != nil {
		return missing(err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: files in %s were changed since the server ended", store.ErrDamaged, folder)
	}
	if err := fs.Remove(name); err != nil {
		return err
	}
	return syncFolder(fs, folder)
}

// writeSeal makes the seal. A crash before its rename is durable leaves none, and
// one after it finds what was hashed: all of it is synced first, since the rename
// may last where an older write or removal does not.
func writeSeal(fs vfs.FS, folder string) error {
	db := fs.PathJoin(folder, finalName)
	if err := syncAll(fs, db); err != nil {
		return err
	}
	seal, err := sealOf(fs, db)
	if err != nil {
		return err
	}
	name := fs.PathJoin(folder, sealName)
	f, err := fs.Create(name+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(seal)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(name+".new", name); err != nil {
		return err
	}
	return syncFolder(fs, folder)
}

// syncAll syncs every file of a folder that sealOf reads, and the folder.
func syncAll(fs vfs.FS, db string) error {
	names, err := fs.List(db)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == "LOCK" || strings.HasSuffix(name, ".sst") {
			continue // table files are synced before the manifest names them
		}
		f, err := fs.OpenReadWrite(fs.PathJoin(db, name), vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return syncFolder(fs, db)
}

// sealOf hashes names and sizes of all files and the bytes of those that have no
// checksum over all of them; table files check their own blocks.
func sealOf(fs vfs.FS, db string) ([]byte, error) {
	names, err := fs.List(db)
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	hash := sha256.New()
	for _, name := range names {
		if name == "LOCK" {
			continue
		}
		path := fs.PathJoin(db, name)
		info, err := fs.Stat(path)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(hash, "%q %d\n", name, info.Size())
		if !strings.HasSuffix(name, ".sst") {
			b, err := readFile(fs, path)
			if err != nil {
				return nil, err
			}
			hash.Write(b)
		}
	}
	return fmt.Appendf(nil, "%x\n", hash.Sum(nil)), nil
}
