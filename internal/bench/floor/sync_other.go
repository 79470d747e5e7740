//go:build !linux

package floor

import "os"

func Sync(f *os.File) error { return f.Sync() }
