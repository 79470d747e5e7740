package safename

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// maxTries bounds the search for a free name.
const maxTries = 10000

// Place gives the finished file temp, which lies in folder, the first free name
// out of name, "name (2)" and so on, makes that durable, and returns it. It
// never replaces a file. temp must have been synced; it is gone afterwards.
// Errors: fs.ErrExist after 10,000 taken names, or of the file system; temp is
// left then.
func Place(folder, temp, name string) (string, error) {
	for n := 1; n <= maxTries; n++ {
		next := Next(name, n)
		err := Only(temp, filepath.Join(folder, next))
		if !errors.Is(err, fs.ErrExist) {
			return next, err
		}
	}
	return "", &fs.PathError{Op: "create", Path: filepath.Join(folder, name), Err: fs.ErrExist}
}

// Only gives temp the one name target, in the same folder, unless something has
// it: then the error is fs.ErrExist. It is durable when it returns.
func Only(temp, target string) error {
	err := os.Link(temp, target)
	switch {
	case err == nil:
		err = os.Remove(temp)
	case errors.Is(err, fs.ErrExist):
		return fs.ErrExist
	default:
		// A file system without links (FAT): the name is taken first, by an
		// empty file that only this call can have made, and then replaced.
		err = reserve(temp, target)
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(target))
}

func reserve(temp, target string) error {
	f, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err = f.Close(); err == nil {
		err = os.Rename(temp, target)
	}
	if err != nil {
		_ = os.Remove(target)
	}
	return err
}

// Replace gives temp the name target, whatever has it, durable when it returns.
func Replace(temp, target string) error {
	if err := os.Rename(temp, target); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(target))
}

func syncFolder(path string) error {
	if runtime.GOOS == "windows" { // folders cannot be synced there
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}
