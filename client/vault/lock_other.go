//go:build !unix && !windows

package vault

import (
	"errors"
	"io/fs"
	"os"
)

// errQuota never occurs on systems without a lock.
var errQuota = errors.New("vault: quota")

// lockFile refuses: without a lock two owners could write one file.
func lockFile(*os.File) error { return errors.ErrUnsupported }

func syncDir(d *os.File) error { return d.Sync() }

func sharedMode(fs.FileMode) bool { return false }
