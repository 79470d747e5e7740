package secretmem

import "golang.org/x/sys/unix"

func newPage() ([]byte, Kind, error) {
	if b, err := secretPage(); err == nil {
		return b, Secret, nil
	}
	b, err := unix.Mmap(-1, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, "", err
	}
	// Out of core files first: that needs no leave.
	err = unix.Madvise(b, unix.MADV_DONTDUMP)
	if err == nil {
		err = unix.Mlock(b)
	}
	if err != nil {
		_ = unix.Munmap(b)
		return nil, "", err
	}
	return b, Locked, nil
}

// secretPage is a page that the kernel takes out of its own map of memory, too.
// It counts as locked, and older kernels, or their owners, refuse it.
func secretPage() ([]byte, error) {
	fd, err := unix.MemfdSecret(unix.O_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, pageSize); err != nil {
		return nil, err
	}
	return unix.Mmap(fd, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}
