//go:build linux || darwin || freebsd

package folder

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func syncDir(d *os.File) error { return d.Sync() }

func free(path string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	// The types differ between systems, and Bavail may be negative where root
	// has used what is kept for it.
	if avail := int64(st.Bavail); avail > 0 {
		return uint64(avail) * uint64(st.Bsize), nil
	}
	return 0, nil
}

// full also takes a quota and a limit on the size of files for a full disk: the
// way out is the same.
func full(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}
