package vault

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"

	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/identity"
)

// Limits of a session record, in bytes.
const (
	MaxHandle = 255
	MaxServer = 2048
	MaxToken  = 256

	sessionMagic  = "reseal session"  // 14 bytes
	sessionSecret = 32 + 16 + 32 + 32 // slot nonce, share id, share, row
	maxSession    = 4096
	// pinned is the version of a record that has the server's key.
	pinned = 3
)

// Session is a session record: what a restart needs besides the server's half
// of the session share (spec/shares.md, "Session record").
type Session struct {
	Account identity.AccountID
	Device  identity.DeviceID
	// Handle is 1 to MaxHandle bytes of UTF-8.
	Handle string
	// Server is the URL, 1 to MaxServer bytes of UTF-8.
	Server string
	// ServerKey is the server's public AKE key (spec/login.md, section 6.1); zero
	// in a record of before it was noted.
	ServerKey [32]byte
	Token     Token
	// Kept tells that the system's keyring keeps what opens the record.
	Kept bool

	// share is this side's half of the key to sealed.
	share  SessionShare
	sealed [sessionSecret + tagSize]byte
}

func sessionName(a identity.AccountID) string { return sessionPrefix + a.String() }

// encodeOpen is the record up to what is sealed, which it authenticates.
func (r *Session) encodeOpen() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddBytes([]byte(sessionMagic))
	v := uint16(version)
	if r.ServerKey != [32]byte{} {
		v = pinned
	}
	b.AddUint16(v)
	b.AddBytes(r.Account[:])
	b.AddBytes(r.Device[:])
	for _, v := range [][]byte{[]byte(r.Handle), []byte(r.Server), r.Token} {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(v) })
	}
	if v == pinned {
		b.AddBytes(r.ServerKey[:])
	}
	b.AddBytes(r.share[:])
	return b.BytesOrPanic()
}

func (r *Session) encode() []byte {
	b := append(r.encodeOpen(), r.sealed[:]...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func (r *Session) valid() bool {
	text := func(s string, limit int) bool { return len(s) > 0 && len(s) <= limit && utf8.ValidString(s) }
	return text(r.Handle, MaxHandle) && text(r.Server, MaxServer) && len(r.Token) > 0 && len(r.Token) <= MaxToken
}

// parseSession reads the file of the given name.
func parseSession(file string, b []byte) (*Session, error) {
	s := cryptobyte.String(b)
	var magic, sum []byte
	var v uint16
	if !s.ReadBytes(&magic, len(sessionMagic)) || string(magic) != sessionMagic || !s.ReadUint16(&v) || v == 0 {
		return nil, damaged(file, "no session record")
	}
	if v > pinned {
		return nil, newer(file)
	}
	var handle, server, token cryptobyte.String
	r := new(Session)
	ok := s.CopyBytes(r.Account[:]) && s.CopyBytes(r.Device[:]) && s.ReadUint16LengthPrefixed(&handle) &&
		s.ReadUint16LengthPrefixed(&server) && s.ReadUint16LengthPrefixed(&token) &&
		(v == version || v == pinned && s.CopyBytes(r.ServerKey[:]) && r.ServerKey != [32]byte{}) &&
		s.CopyBytes(r.share[:]) && s.CopyBytes(r.sealed[:]) && s.ReadBytes(&sum, sha256.Size) && s.Empty()
	r.Handle, r.Server, r.Token = string(handle), string(server), slices.Clone(Token(token))
	want := sha256.Sum256(b[:max(0, len(b)-sha256.Size)])
	if !ok || !r.valid() || string(sum) != string(want[:]) || sessionName(r.Account) != file {
		return nil, damaged(file, "session record")
	}
	return r, nil
}

func (r *Session) key(server *SessionShare) []byte {
	secret := append(r.share[:len(r.share):len(r.share)], server[:]...)
	defer clear(secret)
	info := "reseal/1 session record" + string(r.Account[:]) + string(r.Device[:])
	return must(hkdf.Key(sha256.New, secret, nil, info, 32))
}

// SaveSession writes the session record (0600) that lets Resume open this
// section without the password, as long as the server gives out its half of
// the session share. It replaces an earlier record of the account. What it
// seals is the server share, not the database key: so the section can be
// resealed without touching the record, and a process that was restarted can
// still reseal at logout. A Reseal under another server share makes it void.
func (s *Section) SaveSession(r Session, server SessionShare) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.isClosed() {
		return ErrLocked
	}
	if !r.valid() {
		return fmt.Errorf("%w: session record", ErrTooLarge)
	}
	if _, err := io.ReadFull(s.v.rand, r.share[:]); err != nil {
		return err
	}
	n, id, value := s.head.nonce(), s.share.id, s.share.get().Value.Bytes()
	plain := slices.Concat(n[:], id[:], value[:], s.row[:])
	defer clear(plain)
	key := r.key(&server)
	defer clear(key)
	// The nonce is zero: the key is used once, its share is fresh.
	gcm(key).Seal(r.sealed[:0], make([]byte, 12), plain, r.encodeOpen())
	name := sessionName(r.Account)
	before, kept := s.v.entryOf(name)
	record := r.encode()
	defer clear(record)
	b, err := s.v.inKeyring(r.Account, record)
	if err != nil {
		return err
	}
	if err := s.v.replace(name, b); err != nil {
		return err
	}
	if kept { // of the record that was replaced; a crash leaves it, and it opens nothing
		_ = s.v.keyring.Delete(before.name())
	}
	s.session = name
	return nil
}

// replace writes a small file durably, all or nothing.
func (v *Vault) replace(name string, b []byte) error {
	half := name + newSuffix
	f, err := v.fs.OpenFile(half, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return disk(err)
	}
	if _, err = f.WriteAt(b, 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = v.fs.Rename(half, name)
	}
	if err != nil {
		_ = v.fs.Remove(half)
		return disk(err)
	}
	return disk(v.fs.SyncDir())
}

// Sessions returns the records of all accounts that are logged in, by account
// id. A record that cannot be read does not hide the others: they are
// returned beside an error that names the file (ErrDamaged, ErrNewer,
// ErrKeyring).
func (v *Vault) Sessions() ([]*Session, error) {
	names, err := v.fs.ReadDir()
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []*Session
	for _, name := range names {
		if !strings.HasPrefix(name, sessionPrefix) || strings.HasSuffix(name, newSuffix) {
			continue
		}
		b, e := readAll(v.fs, name, maxSession)
		if e == nil {
			var r *Session
			if r, e = v.readSession(name, b); e == nil {
				all = append(all, r)
			}
		}
		err = errors.Join(err, e)
	}
	return all, err
}

// readSession reads a record of either version.
func (v *Vault) readSession(file string, b []byte) (*Session, error) {
	if versionOf(b) == wrapped {
		return v.unwrap(file, b)
	}
	return parseSession(file, b)
}

// Resume opens the section of a session record with the server's half of the
// session share. Errors as of Slot.Unlock; ErrOpen too when the record belongs
// to a section that is gone or was resealed under another server share since.
func (v *Vault) Resume(r *Session, server SessionShare) (*Section, error) {
	key := r.key(&server)
	defer clear(key)
	plain, err := gcm(key).Open(nil, make([]byte, 12), r.sealed[:], r.encodeOpen())
	if err != nil {
		return nil, ErrOpen
	}
	defer clear(plain)
	v.mu.Lock()
	defer v.mu.Unlock()
	i := v.index(nonce(plain[:32]))
	if i < 0 {
		return nil, ErrOpen
	}
	share := capsule.Share{ID: capsule.ShareID(plain[32:48]), Value: capsule.ServerShareOf([32]byte(plain[48:80]))}
	s, err := v.unlock(i, capsule.RowID(plain[80:]), share)
	if err == nil {
		s.session = sessionName(r.Account)
	}
	return s, err
}

// RemoveSession deletes the session record of an account, readable or not. Its
// section stays as it is, sealed, journal included: the next login finds
// everything. It is no error if there is no record.
func (v *Vault) RemoveSession(a identity.AccountID) error { return v.removeRecord(sessionName(a)) }

// removeRecord removes a session record, and then the keyring's secret: without
// the record that is random bytes.
func (v *Vault) removeRecord(file string) error {
	e, kept := v.entryOf(file)
	err := v.removeFile(file)
	if kept {
		_ = v.keyring.Delete(e.name())
	}
	return err
}

func (v *Vault) removeFile(name string) error {
	if err := v.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := v.fs.SyncDir()
	v.fs.Stamp(".")
	return err
}

// forget removes the session record. The caller holds writeMu.
func (s *Section) forget() error {
	if s.session == "" {
		return nil
	}
	err := s.v.removeRecord(s.session)
	if err == nil {
		s.session = ""
	}
	return err
}
