package floor

import (
	"os"
	"syscall"
)

// Sync makes what was written durable, without times that nobody reads.
func Sync(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
