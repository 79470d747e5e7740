//go:build unix

package handover

import (
	"errors"
	"syscall"
)

// noListener tells a socket that is not there, or that nobody listens on any
// more, from one that cannot be reached.
func noListener(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED)
}
