//go:build unix

package main

import "golang.org/x/sys/unix"

// harden keeps keys out of core files, as far as the system lets us: a crash
// must not leave on the disk what logout is said to remove.
func harden() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	hardenMore()
}

// coreFiles tells whether a crash may write memory to a file.
func coreFiles() bool {
	var l unix.Rlimit
	return unix.Getrlimit(unix.RLIMIT_CORE, &l) != nil || l.Cur != 0
}

// freeDisk is how many bytes of the disk of a folder are free to us.
func freeDisk(folder string) (uint64, bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, false
	}
	return uint64(s.Bavail) * uint64(s.Bsize), true
}
