//go:build unix

package vault

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// errQuota is what a file system says when the user's share of it is used up.
const errQuota = syscall.EDQUOT

// lockFile takes the lock on the open file, not on the process: the kernel
// frees it when the process dies, however that happens.
func lockFile(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrBusy
	}
	return err
}

func syncDir(d *os.File) error { return d.Sync() }

func sharedMode(m fs.FileMode) bool { return m.Perm()&0o077 != 0 }
