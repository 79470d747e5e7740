package vault

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"

	"github.com/reseal/reseal/identity"
)

// Keyring keeps small secrets outside the folder, for this user only: the
// system's keyring. Names are of letters, digits and hyphens. Its methods may be
// called from several goroutines.
type Keyring interface {
	// Set keeps a secret of 32 bytes under a name.
	Set(name string, secret []byte) error
	// Get gives it back; ErrNoSecret where there is none.
	Get(name string) ([]byte, error)
	// Delete removes it; without one it does nothing.
	Delete(name string) error
}

var (
	// ErrNoSecret is what a Keyring returns for a name that it does not have.
	ErrNoSecret = errors.New("vault: no such secret in the keyring")

	// ErrKeyring is returned for a session record that needs a secret which the
	// keyring does not give. The section is as it was; way out: log in again.
	ErrKeyring = errors.New("vault: the keyring has nothing that opens the session record")
)

const (
	// wrapped is the version of a session record that a keyring's secret opens.
	wrapped = 2
	// minWrapped is the least length of one: an empty record within.
	minWrapped   = len(sessionMagic) + 2 + 16 + entrySize + tagSize + sha256.Size
	entrySize    = 16
	keyringInfo  = "reseal/1 session record in a keyring"
	keyringEntry = "reseal-"
)

// entry names a secret in the keyring. It is random, and says nothing of whom
// the record belongs to.
type entry [entrySize]byte

func (e entry) name() string { return keyringEntry + hex.EncodeToString(e[:]) }

func wrapKey(secret []byte, account identity.AccountID, e entry) []byte {
	return must(hkdf.Key(sha256.New, secret, nil, keyringInfo+string(account[:])+string(e[:]), 32))
}

func wrappedHead(account identity.AccountID, e entry) []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddBytes([]byte(sessionMagic))
	b.AddUint16(wrapped)
	b.AddBytes(account[:])
	b.AddBytes(e[:])
	return b.BytesOrPanic()
}

// wrapRecord seals an encoded record under a secret. The nonce is zero: each
// record has a secret of its own.
func wrapRecord(account identity.AccountID, e entry, secret, record []byte) []byte {
	head := wrappedHead(account, e)
	key := wrapKey(secret, account, e)
	defer clear(key)
	b := gcm(key).Seal(head, make([]byte, 12), record, head)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// parseWrapped reads a wrapped record up to what is sealed.
func parseWrapped(file string, b []byte) (account identity.AccountID, e entry, sealed []byte, err error) {
	if len(b) < minWrapped {
		return account, e, nil, damaged(file, "session record")
	}
	body, check := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	sum := sha256.Sum256(body)
	rest := body[len(sessionMagic)+2:]
	copy(account[:], rest)
	copy(e[:], rest[16:])
	if string(sum[:]) != string(check) || sessionName(account) != file {
		return account, e, nil, damaged(file, "session record")
	}
	return account, e, rest[16+entrySize:], nil
}

// unwrap opens a wrapped record with the keyring's help.
func (v *Vault) unwrap(file string, b []byte) (*Session, error) {
	account, e, sealed, err := parseWrapped(file, b)
	if err != nil {
		return nil, err
	}
	if v.keyring == nil {
		return nil, fmt.Errorf("%w: %q: no keyring is used", ErrKeyring, file)
	}
	secret, err := v.keyring.Get(e.name())
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrKeyring, file, err)
	}
	defer clear(secret)
	key := wrapKey(secret, account, e)
	defer clear(key)
	record, err := gcm(key).Open(nil, make([]byte, 12), sealed, wrappedHead(account, e))
	if err != nil {
		return nil, fmt.Errorf("%w: %q", ErrKeyring, file)
	}
	defer clear(record)
	r, err := parseSession(file, record)
	if err == nil {
		r.Kept = true
	}
	return r, err
}

// inKeyring wraps an encoded record under a fresh secret that the keyring keeps.
// Where the keyring does not take it, the record is stored as it is.
func (v *Vault) inKeyring(account identity.AccountID, record []byte) ([]byte, error) {
	if v.keyring == nil {
		return record, nil
	}
	var e entry
	secret := make([]byte, 32)
	defer clear(secret)
	if _, err := io.ReadFull(v.rand, e[:]); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(v.rand, secret); err != nil {
		return nil, err
	}
	if v.keyring.Set(e.name(), secret) != nil {
		return record, nil
	}
	// Some take a secret and keep it nowhere.
	got, err := v.keyring.Get(e.name())
	defer clear(got)
	if err != nil || string(got) != string(secret) {
		return record, nil
	}
	return wrapRecord(account, e, secret, record), nil
}

// entryOf is the keyring's entry of a record's file, as far as it has one.
func (v *Vault) entryOf(file string) (e entry, ok bool) {
	b, err := readAll(v.fs, file, maxSession)
	if err != nil || v.keyring == nil || versionOf(b) != wrapped {
		return e, false
	}
	_, e, _, err = parseWrapped(file, b)
	return e, err == nil
}

// versionOf is the version of a session record; 0 for what is none.
func versionOf(b []byte) uint16 {
	s := cryptobyte.String(b)
	var magic []byte
	var n uint16
	if !s.ReadBytes(&magic, len(sessionMagic)) || string(magic) != sessionMagic || !s.ReadUint16(&n) {
		return 0
	}
	return n
}
