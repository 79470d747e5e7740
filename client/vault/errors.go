package vault

import (
	"errors"
	"fmt"
	"syscall"
)

var (
	// ErrBusy is returned by Open when another process owns the folder. Hand
	// the command over to it (package handover).
	ErrBusy = errors.New("vault: another process owns this folder")

	// ErrDamaged is returned for a file that is not what was written. The
	// error names the file. Way out: put the file back from a copy, or move it
	// away (vault: every account signs in as a new device; a journal: the
	// section is as it was last sealed; a session: log in again).
	ErrDamaged = errors.New("vault: damaged file")

	// ErrNewer is returned for a file that a newer version wrote. Nothing is
	// changed. Way out: update.
	ErrNewer = errors.New("vault: file of a newer version")

	// ErrOpen is the one error of a section or a session record that the given
	// shares do not open, whatever the reason.
	ErrOpen = errors.New("vault: shares do not open the section")

	// ErrFull is returned when the disk has no room. What was stored before is
	// intact and the call may be repeated.
	ErrFull = errors.New("vault: disk is full")

	// ErrAbsent is returned by Find when the file has no section for the key.
	ErrAbsent = errors.New("vault: no section for this account")

	// ErrExists is returned by Create when the file has a section for the key
	// that was not set aside.
	ErrExists = errors.New("vault: account has a section already")

	// ErrUnlocked is returned for a slot whose section is open.
	ErrUnlocked = errors.New("vault: section is open already")

	// ErrLocked is returned by every call on a section that was locked, closed
	// or erased.
	ErrLocked = errors.New("vault: section is locked")

	// ErrTooLarge is returned for a batch or a record over the limits. Nothing
	// of the batch was stored.
	ErrTooLarge = errors.New("vault: record or section too large")

	// ErrOpenFolder is returned by Open for a folder with files in it that
	// other users may enter. Way out: chmod 700.
	ErrOpenFolder = errors.New("vault: folder is open to other users")
)

// damaged quotes the name: "vault" is both a file and this package, whose name
// does not stand in what a user is told.
func damaged(file, what string) error { return fmt.Errorf("%w: %q: %s", ErrDamaged, file, what) }

func newer(file string) error { return fmt.Errorf("%w: %q", ErrNewer, file) }

// disk names a full disk, which a quota and a limit on the size of files are as
// well: the way out is the same. Other errors stay as they are.
func disk(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, errQuota) || errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
