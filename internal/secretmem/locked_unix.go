//go:build unix && !linux && !aix && !solaris

package secretmem

import "golang.org/x/sys/unix"

func newPage() ([]byte, Kind, error) {
	b, err := unix.Mmap(-1, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, "", err
	}
	if err := unix.Mlock(b); err != nil {
		_ = unix.Munmap(b)
		return nil, "", err
	}
	return b, Locked, nil
}
