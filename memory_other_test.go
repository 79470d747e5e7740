//go:build !linux

package reseal_test

// tellHidden has nothing to tell: only Linux has memory that a debugger cannot
// read.
func tellHidden(func(name string, b []byte)) error { return nil }
