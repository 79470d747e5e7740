package secretmem

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

func newPage() ([]byte, Kind, error) {
	at, err := windows.VirtualAlloc(0, pageSize, windows.MEM_COMMIT|windows.MEM_RESERVE, windows.PAGE_READWRITE)
	if err != nil {
		return nil, "", err
	}
	if err := windows.VirtualLock(at, pageSize); err != nil {
		_ = windows.VirtualFree(at, 0, windows.MEM_RELEASE)
		return nil, "", err
	}
	// Not memory of Go's: it neither moves nor is collected.
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&at))), pageSize), Locked, nil
}
