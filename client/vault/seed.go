package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
)

// seedSize is the length of the installation's seed, bytes.
const seedSize = 32

// readSeed reads the installation's seed, or makes one. It is the same for all
// accounts and made before any, so it tells nothing of them; without it logins
// count as a stranger's, and nothing else is lost.
func (v *Vault) readSeed() error {
	f, err := v.fs.OpenFile(seedName, os.O_RDONLY)
	switch {
	case err == nil:
		size, serr := f.Size()
		b := make([]byte, seedSize)
		_, rerr := f.ReadAt(b, 0)
		if err := errors.Join(serr, f.Close()); err != nil {
			return disk(err)
		}
		if size == seedSize && (rerr == nil || errors.Is(rerr, io.EOF)) {
			v.seed = [seedSize]byte(b)
			return nil
		}
	case !errors.Is(err, fs.ErrNotExist):
		return disk(err)
	}
	if _, err := io.ReadFull(v.rand, v.seed[:]); err != nil {
		return err
	}
	return v.replace(seedName, v.seed[:])
}

// RenewSeed puts a fresh seed in the place of the present one: no server can tell
// any more at which handles this installation was used, whoever holds it. Each
// account that is used here counts as a stranger's until its next login. Where
// the file cannot be written, this process shows the fresh one all the same.
func (v *Vault) RenewSeed() error {
	v.seedMu.Lock()
	defer v.seedMu.Unlock()
	if _, err := io.ReadFull(v.rand, v.seed[:]); err != nil {
		return err
	}
	err := v.replace(seedName, v.seed[:])
	v.Stamp(seedName)
	return err
}

// Known is what this installation is known by to a server at a handle, 32 bytes
// (spec/shares.md, section 1). It is no secret of any account.
func (v *Vault) Known(origin, handle string) []byte {
	v.seedMu.Lock()
	seed := v.seed
	v.seedMu.Unlock()
	m := hmac.New(sha256.New, seed[:])
	m.Write([]byte("reseal/1 installation\x00" + origin + "\x00" + handle))
	return m.Sum(nil)
}
