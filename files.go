package reseal

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// segmentsSuffix names the file with a ciphertext's segment list.
const segmentsSuffix = ".segments"

// fileKey names the ciphertext files of one device. All accounts of an
// installation keep theirs in one folder. A name is 16 bytes ‖ the first 16 of
// HMAC-SHA256(key, those): who has the folder cannot tell which files belong
// together, nor match them with the messages that a server knows, and an
// account tells its own from those of others, which are not its to remove even
// when those are logged out.
type fileKey [32]byte

// fileKeyOf derives the key from the device key, which is in the section alone.
func fileKeyOf(k identity.DeviceKey) (fileKey, error) {
	seed := k.Seed()
	defer clear(seed)
	b, err := hkdf.Key(sha256.New, seed, nil, "reseal/1 file names", len(fileKey{}))
	if err != nil {
		return fileKey{}, err
	}
	return fileKey(b), nil
}

func (k fileKey) mac(b []byte) []byte {
	h := hmac.New(sha256.New, k[:])
	_, _ = h.Write(b) // never fails
	return h.Sum(nil)[:16]
}

func (k fileKey) name(b [16]byte) string { return hex.EncodeToString(append(b[:], k.mac(b[:])...)) }

// incoming is where the ciphertext of a message to this device is fetched to.
func (k fileKey) incoming(id message.ID) string {
	return k.name([16]byte(k.mac(append([]byte("in"), id[:]...))))
}

// mine tells whether a file of the folder is this device's. Names of a segment
// list count as those of the file that it belongs to.
func (k fileKey) mine(name string) bool {
	b, err := hex.DecodeString(strings.TrimSuffix(name, segmentsSuffix))
	return err == nil && len(b) == 32 && hmac.Equal(b[16:], k.mac(b[:16]))
}

// newFile makes a file with a fresh name in the installation's folder.
func (a *Account) newFile() (*os.File, error) {
	var b [16]byte
	if _, err := io.ReadFull(a.in.o.Rand, b[:]); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(a.in.files, a.fileKey.name(b)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return f, diskError(err)
}

// writeFile writes a small file, durable but for its name.
func (a *Account) writeFile(name string, b []byte) error {
	f, err := os.OpenFile(filepath.Join(a.in.files, name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return diskError(err)
	}
	_, err = f.Write(b)
	return diskError(errors.Join(err, f.Sync(), f.Close()))
}

// forget removes a ciphertext file and its segment list.
func (a *Account) forget(name string) {
	if name != "" {
		_ = os.Remove(filepath.Join(a.in.files, name))
		_ = os.Remove(filepath.Join(a.in.files, name+segmentsSuffix))
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// dropOrphans removes the device's files that no record refers to: a crash came
// between writing a file and recording it. Half-fetched files of messages that
// are still here stay.
func (a *Account) dropOrphans() error {
	known, err := a.engine.Files()
	if err != nil {
		return engineError(err)
	}
	inbox, err := a.engine.Inbox(a.in.now(), false)
	if err != nil {
		return engineError(err)
	}
	for _, m := range inbox {
		known[a.fileKey.incoming(m.ID)] = true
	}
	return a.dropFiles(func(name string) bool { return !known[name] })
}

// dropFiles removes those of the device's files that which names.
func (a *Account) dropFiles(which func(name string) bool) error {
	entries, err := os.ReadDir(a.in.files)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !a.fileKey.mine(e.Name()) || !which(strings.TrimSuffix(e.Name(), segmentsSuffix)) {
			continue
		}
		if err := os.Remove(filepath.Join(a.in.files, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("reseal: left-over file: %w", err)
		}
	}
	return nil
}

// turns lets one goroutine at a time do something with a message: two that fetch
// it would write to one file.
type turns struct {
	mu    sync.Mutex
	taken map[MessageID]chan struct{}
}

// take waits for the turn and returns what ends it.
func (t *turns) take(ctx context.Context, id MessageID) (func(), error) {
	for {
		t.mu.Lock()
		busy, ok := t.taken[id]
		if !ok {
			if t.taken == nil {
				t.taken = map[MessageID]chan struct{}{}
			}
			mine := make(chan struct{})
			t.taken[id] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.taken, id)
				t.mu.Unlock()
				close(mine)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ended(ctx)
		}
	}
}
