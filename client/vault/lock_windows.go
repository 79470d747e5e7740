package vault

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// errQuota is what a file system says when the user's share of it is used up.
const errQuota = windows.ERROR_DISK_FULL

// lockFile takes the lock on the open handle; the system frees it when the
// process ends, however that happens.
func lockFile(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrBusy
	}
	return err
}

// syncDir does nothing: a folder cannot be synced here, NTFS journals it.
func syncDir(*os.File) error { return nil }

// sharedMode is false: access is by the profile folder's own list, not by mode.
func sharedMode(fs.FileMode) bool { return false }
