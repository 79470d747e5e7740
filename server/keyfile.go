package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/store"
)

// Where the store notes which key file it belongs to.
const (
	keyPartition = records.ServerPartition
	keyRecord    = records.ServerKey
)

// What is wrong with a key file.
var (
	// ErrKeyMissing: the store has been used, and the key file is not there.
	ErrKeyMissing = errors.New("server: key file is missing")
	// ErrKeyOther: the key file is that of another store.
	ErrKeyOther = errors.New("server: key file belongs to another store")
	// ErrKeyDamaged: the file is no key file, or a damaged one.
	ErrKeyDamaged = errors.New("server: key file is damaged")
	// ErrKeyOpen: others than the owner may read the file.
	ErrKeyOpen = errors.New("server: key file is open to others")
)

// LoadKeyFile reads the key file at path, which holds what every login needs
// and the store must not have. In front of a fresh store it makes one, readable
// by its owner only and durable before it is used. A store notes which key file
// it belongs to: without that very file, every account would be told that its
// password is wrong, so the server does not start. The errors are the four
// above, with the way out in their text.
//
// If we crash after the file was made and before the store has its note, the
// next start finds the file and notes it.
func LoadKeyFile(ctx context.Context, s store.Store, path string, rand io.Reader) (opaque.Setup, error) {
	noted, err := s.Get(ctx, keyPartition, keyRecord)
	fresh := errors.Is(err, store.ErrAbsent)
	if err != nil && !fresh {
		return opaque.Setup{}, fmt.Errorf("server: store: %w", err)
	}
	setup, err := readKeyFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && fresh:
		setup, err = makeKeyFile(path, rand)
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%w: no file %s, and no account can log in without it: restore it from your backup, or start with an empty data folder", ErrKeyMissing, path)
	}
	if err != nil {
		return opaque.Setup{}, err
	}
	mark := records.EncodeServerKey(setup.Key("which key file"))
	if !fresh {
		if subtle.ConstantTimeCompare(noted.Value, mark) != 1 {
			return opaque.Setup{}, fmt.Errorf("%w: %s is not the file that this data folder was begun with: restore the right one from your backup", ErrKeyOther, path)
		}
		return setup, nil
	}
	token, err := store.NewToken(rand)
	if err != nil {
		return opaque.Setup{}, err
	}
	b := new(store.Batch).Create(keyRecord, mark, token, 0)
	if err := s.Commit(ctx, keyPartition, b); err != nil {
		return opaque.Setup{}, fmt.Errorf("server: store: %w", err)
	}
	return setup, nil
}

func readKeyFile(path string) (opaque.Setup, error) {
	info, err := os.Stat(path)
	if err != nil {
		return opaque.Setup{}, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return opaque.Setup{}, fmt.Errorf("%w: %s: run chmod 600 on it, and think about who may have read it", ErrKeyOpen, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return opaque.Setup{}, err
	}
	setup, err := opaque.ParseSetup(b)
	if err != nil {
		return opaque.Setup{}, fmt.Errorf("%w: %s: restore it from your backup", ErrKeyDamaged, path)
	}
	return setup, nil
}

// makeKeyFile writes a fresh key file under another name, syncs it, gives it its
// name unless somebody else was faster, and syncs the folder: when a login first
// depends on it, no loss of power takes it away.
func makeKeyFile(path string, rand io.Reader) (opaque.Setup, error) {
	setup, err := opaque.NewSetup(rand)
	if err != nil {
		return opaque.Setup{}, err
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return opaque.Setup{}, err
	}
	f, err := os.CreateTemp(folder, ".key-*") // 0600
	if err != nil {
		return opaque.Setup{}, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(setup.Encode())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return opaque.Setup{}, err
	}
	err = os.Link(f.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return readKeyFile(path) // somebody else was faster
	}
	if err != nil {
		err = os.Rename(f.Name(), path) // a file system without links
	}
	if err != nil {
		return opaque.Setup{}, err
	}
	return setup, syncFolder(folder)
}

func syncFolder(path string) error {
	if runtime.GOOS == "windows" { // folders cannot be synced there
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
