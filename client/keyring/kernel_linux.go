package keyring

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/reseal/reseal/client/vault"
)

// kernelRing keeps secrets as keys of type "user" in the user's keyring (keyrings(7),
// user-keyring(7)).
type kernelRing struct{}

// ownerMay lets the possessor and processes of the user see, read, write, search,
// link and change a key, and nobody else anything (keyctl_setperm(2)).
const ownerMay = 0x3f3f0000

func system() (vault.Keyring, string) {
	k, err := kernel()
	if err != nil {
		return nil, ""
	}
	return k, kernelName
}

// kernel tries the keyring before it is relied on: containers often forbid it.
func kernel() (vault.Keyring, error) {
	if _, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, true); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	return kernelRing{}, nil
}

func (kernelRing) Set(name string, secret []byte) error {
	id, err := unix.AddKey("user", service+":"+name, secret, unix.KEY_SPEC_USER_KEYRING)
	if err != nil {
		return named("set", err)
	}
	if err := unix.KeyctlSetperm(id, ownerMay); err != nil {
		// One that later processes may not read is of no use.
		_, _ = unix.KeyctlInt(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_USER_KEYRING, 0, 0)
		return named("set", err)
	}
	return nil
}

func (kernelRing) Get(name string) ([]byte, error) {
	id, err := find(name)
	if err != nil {
		return nil, named("get", err)
	}
	b := make([]byte, 64)
	n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, b, 0)
	if err != nil {
		return nil, named("get", err)
	}
	if n > len(b) {
		return nil, errors.New("keyring: the entry is not what was set")
	}
	return b[:n], nil
}

func (kernelRing) Delete(name string) error {
	id, err := find(name)
	if err != nil {
		if errors.Is(err, unix.ENOKEY) {
			return nil
		}
		return named("delete", err)
	}
	_, err = unix.KeyctlInt(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_USER_KEYRING, 0, 0)
	return named("delete", err)
}

func find(name string) (int, error) {
	return unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, "user", service+":"+name, 0)
}

func named(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOKEY), errors.Is(err, unix.EKEYEXPIRED), errors.Is(err, unix.EKEYREVOKED):
		return vault.ErrNoSecret
	}
	return fmt.Errorf("keyring: %s: %w", what, err)
}
