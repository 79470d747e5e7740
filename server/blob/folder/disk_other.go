//go:build !linux && !darwin && !freebsd

package folder

import (
	"errors"
	"math"
	"os"
	"runtime"
	"syscall"
)

// Names are made durable by these systems themselves, or cannot be.
func syncDir(*os.File) error { return nil }

// The floor is not kept where the free room cannot be asked for; a write that
// finds no room fails all the same.
func free(string) (uint64, error) { return math.MaxInt64, nil }

func full(err error) bool {
	const diskFull = syscall.Errno(112) // ERROR_DISK_FULL of Windows
	return errors.Is(err, syscall.ENOSPC) || runtime.GOOS == "windows" && errors.Is(err, diskFull)
}
