// Package keyring is where a system keeps small secrets for a user: what opens
// the session records of an installation (spec/shares.md, section 7), so that a
// copy of its folder alone opens nothing.
//
//   - macOS: the login keychain; Windows: the Credential Manager. Both survive a
//     restart and are there while the user is logged in.
//   - Linux: the kernel's keyring of the user, where the kernel lends it to this
//     process (containers often forbid it). It outlasts every process, and is in
//     memory only: after a restart of the machine it is empty, and the accounts ask
//     for their passwords once. A machine that nobody attends has "file".
//
// Keyrings may be used from several goroutines.
package keyring

import (
	"errors"
	"fmt"

	"github.com/reseal/reseal/client/vault"
)

// service is the name under which entries stand where they are shown to people.
const service = "Reseal"

// kernelName is what the keyring of Linux is called.
const kernelName = "the kernel's keyring"

// ErrNone: this system has no keyring of the kind.
var ErrNone = errors.New("keyring: this system has none")

// Choices are what Choose takes.
var Choices = []string{"auto", "file", "kernel"}

// Choose gives the keyring that a user's word means, and what it is called:
//
//   - "auto" or "": the system's where it has one for this process, else none (nil);
//   - "file": none;
//   - "kernel": that of Linux. Error ErrNone on other systems, and where the
//     kernel does not let this process use it.
func Choose(word string) (k vault.Keyring, name string, err error) {
	switch word {
	case "", "auto":
		k, name = system()
		return k, name, nil
	case "file":
		return nil, "", nil
	case "kernel":
		k, err = kernel()
		return k, kernelName, err
	}
	return nil, "", fmt.Errorf("keyring: %q is none of %q", word, Choices)
}
