package vault

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/reseal/reseal/capsule"
)

// The names of the files in the folder.
const (
	seedName      = "seed"
	lockName      = "lock"
	vaultName     = "vault"
	newSuffix     = ".new"
	journalPrefix = "journal-"
	sessionPrefix = "session-"
)

// Options are for tests and for systems without folders; the zero value is
// what a program uses.
type Options struct {
	// FS replaces the folder on disk.
	FS FS
	// Rand gives all randomness; nil is crypto/rand. It need not be safe for
	// concurrent use.
	Rand io.Reader
	// Keyring keeps what opens the session records; nil is none: the records are
	// files of mode 0600.
	Keyring Keyring
}

// Vault is the client database of one installation, owned by this process
// until Close. It may be used from several goroutines.
type Vault struct {
	dir  string
	fs   FS
	rand io.Reader
	lock io.Closer
	// keyring is nil for none.
	keyring Keyring

	// mu guards what follows and every change of the vault file: sections
	// that reseal at the same time do so one after the other, each copying
	// what the other wrote. A section's own mutex is taken before it.
	mu     sync.Mutex
	header header
	heads  []head
	open   map[nonce]*Section
	// stale holds journals to be removed once the folder is synced.
	stale  []string
	tidied bool // tidyJournals has run

	seedMu sync.Mutex // guards seed, and its file once the folder is open
	seed   [seedSize]byte
}

// Open takes the folder, which it makes if need be, for this process. Errors:
// ErrBusy, ErrDamaged, ErrNewer, ErrOpenFolder, or of the file system.
func Open(dir string, o Options) (*Vault, error) {
	v := &Vault{dir: dir, fs: o.FS, rand: rand.Reader, keyring: o.Keyring, open: map[nonce]*Section{}}
	if o.Rand != nil {
		v.rand = &serial{r: o.Rand}
	}
	if v.fs == nil {
		f, err := openFolder(dir)
		if err != nil {
			return nil, err
		}
		v.fs = f
	}
	var err error
	if v.lock, err = v.fs.Lock(lockName); err == nil {
		if err = v.load(); err == nil {
			v.tidy()
			err = v.found()
		}
		if err == nil {
			err = v.readSeed()
		}
		if err == nil {
			v.fs.Stamp(lockName)
			v.fs.Stamp(seedName)
			v.fs.Stamp(".")
			return v, nil
		}
		err = errors.Join(err, v.lock.Close())
	}
	return nil, errors.Join(disk(err), v.fs.Close())
}

// Dir is the folder that Open was given. Files of others lie in folders below.
func (v *Vault) Dir() string { return v.dir }

// Stamp gives a folder below this one, and this one, the time that all have:
// names came or went there, and their time would tell when.
func (v *Vault) Stamp(below string) {
	v.fs.Stamp(below)
	v.fs.Stamp(".")
}

// load reads the header and the heads of all slots.
func (v *Vault) load() error {
	f, err := v.fs.OpenFile(vaultName, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return err
	}
	b := make([]byte, min(size, headerSize))
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	h, err := parseHeader(b)
	if err != nil {
		return err
	}
	if size != h.fileSize() {
		return damaged(vaultName, "length")
	}
	heads := make([]head, h.slots)
	for i := range heads {
		if _, err := f.ReadAt(heads[i][:], h.offset(i)); err != nil {
			return err
		}
	}
	v.header, v.heads = h, heads
	return nil
}

// found makes the file where there is none: an installation that no account has
// ever used looks like any other.
func (v *Vault) found() error {
	if v.header.slots > 0 {
		return nil
	}
	names, err := v.fs.ReadDir()
	if err != nil {
		return err
	}
	for _, name := range names {
		// Both are made after the file: it was here. Made anew, it would cost
		// what the journal still has.
		if strings.HasPrefix(name, journalPrefix) || strings.HasPrefix(name, sessionPrefix) {
			return damaged(vaultName, "gone")
		}
	}
	decoys, err := v.below(firstTaken)
	if err != nil {
		return err
	}
	p := plan{header: header{firstSlots, minSlotSize, 1 + decoys}, slots: make([]piece, firstSlots)}
	for i := range p.slots {
		p.slots[i].from = -1
		if p.slots[i].head, err = v.decoy(); err != nil {
			return err
		}
	}
	return v.rewrite(p)
}

// tidy removes half-written files that a crash left. It is not needed for
// correctness, so its errors do not matter.
func (v *Vault) tidy() {
	names, err := v.fs.ReadDir()
	if err != nil {
		return
	}
	for _, name := range names {
		if name == vaultName+newSuffix || name == seedName+newSuffix || name == endedName+newSuffix || strings.HasPrefix(name, sessionPrefix) && strings.HasSuffix(name, newSuffix) {
			_ = v.fs.Remove(name)
		}
	}
}

// tidyJournals removes the journals that a crash left stale. With a damaged
// head in the file, no journal is known to be stale. Nor is any before a
// section was unlocked: the file itself may be another installation's, put
// here by mistake, and then the journals are the newest that there is of the
// right one. The caller holds v.mu.
func (v *Vault) tidyJournals() {
	if v.tidied {
		return
	}
	v.tidied = true
	live := map[string]bool{}
	for i := range v.heads {
		if !v.heads[i].intact() {
			return
		}
		live[journalName(&v.heads[i])] = true
	}
	names, err := v.fs.ReadDir()
	if err != nil {
		return
	}
	for _, name := range names {
		if strings.HasPrefix(name, journalPrefix) && !live[name] {
			_ = v.fs.Remove(name)
		}
	}
}

func journalName(h *head) string {
	hash := h.journalHash()
	return journalPrefix + hex.EncodeToString(hash[:16])
}

// Close wipes what is open, as Section.Close does, and gives the folder up.
func (v *Vault) Close() error {
	v.mu.Lock()
	var open []*Section
	for _, s := range v.open {
		open = append(open, s)
	}
	v.mu.Unlock()
	var err error
	for _, s := range open {
		if e := s.Close(); !errors.Is(e, ErrLocked) {
			err = errors.Join(err, e)
		}
	}
	v.fs.Stamp(".")
	return errors.Join(err, v.lock.Close(), v.fs.Close())
}

// Slot is where a section lies, found but not opened. It is a value of the
// moment: a reseal or SetAside makes it out of date.
type Slot struct {
	v     *Vault
	head  head
	row   capsule.RowID
	aside fileTag
}

// Row is the name of the section's share at the server.
func (s *Slot) Row() capsule.RowID { return s.row }

// Under tells whether the section is sealed under this server share.
func (s *Slot) Under(share capsule.Share) bool {
	return markOf(share, s.head.nonce()) == s.head.mark()
}

// Find looks for the section of an account. Errors: ErrAbsent; ErrDamaged if
// it is absent but a slot's head is damaged, so that it might have been there.
func (v *Vault) Find(key capsule.RowKey) (*Slot, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if found := v.find(key, currentTag); len(found) > 0 {
		return found[0], nil
	}
	for i := range v.heads {
		if !v.heads[i].intact() {
			return nil, damaged(vaultName, fmt.Sprintf("slot %d", i))
		}
	}
	return nil, ErrAbsent
}

// Aside returns the sections of an account that were set aside. They can be
// unlocked like any other, should their share come back, and Section.Retag makes
// one the account's section again.
func (v *Vault) Aside(key capsule.RowKey) []*Slot {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.find(key, asideTag)
}

func (v *Vault) find(key capsule.RowKey, tag func(capsule.RowKey, nonce) fileTag) (found []*Slot) {
	for i := range v.heads {
		h := &v.heads[i]
		want, got := tag(key, h.nonce()), h.tag()
		if hmac.Equal(want[:], got[:]) && h.intact() {
			found = append(found, &Slot{v, *h, rowID(key, h.nonce()), asideTag(key, h.nonce())})
		}
	}
	return found
}

func (v *Vault) index(n nonce) int {
	for i := range v.heads {
		if v.heads[i].nonce() == n {
			return i
		}
	}
	return -1
}

// SetAside takes a section that no share opens out of the way: Find no longer
// finds it and Create makes another. Its content and its journal are kept,
// see Aside. Durable when it returns.
func (v *Vault) SetAside(s *Slot) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := s.head.nonce()
	i := v.index(n)
	if i < 0 || v.heads[i] != s.head {
		return ErrAbsent
	}
	if v.open[n] != nil {
		return ErrUnlocked
	}
	p := v.plan()
	p.slots[i].head = makeHead(n, s.aside, s.head.mark(), s.head.local())
	return v.rewrite(p)
}
