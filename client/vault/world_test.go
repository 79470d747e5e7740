package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/internal/crashfs"
)

// account is one account with what its server holds and what it was promised.
type account struct {
	name string
	key  capsule.RowKey
	// next is the row key of a rotation, from before the section is retagged
	// until that is known to have happened.
	next   *capsule.RowKey
	shares map[capsule.ShareID]capsule.Share // at the server: at most two

	section  *vault.Section
	created  bool              // Create returned nil
	acked    map[string]string // by commits that returned nil
	inFlight vault.Batch       // of a commit that did not return
}

// world is one installation's disk and the accounts that use it.
type world struct {
	// replaced are the steps of the disk before and after the newest
	// replacement of a share.
	replaced [2]int
	disk     *crashfs.Disk
	rand     *rand.ChaCha8
	ever     map[capsule.ShareID]capsule.Share // that the server had
	v        *vault.Vault
	users    []*account
	ring     vault.Keyring // survives everything here, as that of the system
}

func seeded(n byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{n}) }

func newWorld(disk *crashfs.Disk, names ...string) *world {
	w := &world{disk: disk, rand: seeded(1), ever: map[capsule.ShareID]capsule.Share{}}
	for i, name := range names {
		key, _ := capsule.NewRowKey(seeded(byte(100 + i)))
		w.users = append(w.users, &account{name: name, key: key, shares: map[capsule.ShareID]capsule.Share{}, acked: map[string]string{}})
	}
	return w
}

// on is the same world after a restart with another disk.
func (w *world) on(disk *crashfs.Disk, seed byte) *world {
	n := &world{disk: disk, rand: seeded(seed), ever: w.ever, ring: w.ring}
	for _, a := range w.users {
		c := *a
		c.section, c.acked, c.shares = nil, maps.Clone(a.acked), maps.Clone(a.shares)
		n.users = append(n.users, &c)
	}
	return n
}

func (w *world) openVault() (err error) {
	w.v, err = vault.Open("/home", vault.Options{FS: w.disk, Rand: w.rand, Keyring: w.ring})
	return err
}

// under is the share that a section is sealed under.
func under(shares map[capsule.ShareID]capsule.Share, slot *vault.Slot) (capsule.Share, bool) {
	for _, s := range shares {
		if slot.Under(s) {
			return s, true
		}
	}
	return capsule.Share{}, false
}

// put is the server taking a new share beside the ones it has.
func (w *world) put(a *account) capsule.Share {
	s, _ := capsule.NewShare(w.rand)
	a.shares[s.ID], w.ever[s.ID] = s, s
	return s
}

// confirm is the server dropping every other share.
func (a *account) confirm(s capsule.Share) {
	clear(a.shares)
	a.shares[s.ID] = s
}

func (w *world) create(a *account) (err error) {
	s := w.put(a)
	a.section, err = w.v.Create(a.key, s)
	a.created = a.created || err == nil
	return err
}

// unlock is what a login does up to the replacement of the share.
func (w *world) unlock(a *account) error {
	slot, err := w.v.Find(a.key)
	if a.next != nil {
		under, newErr := w.v.Find(*a.next)
		if (err == nil) == (newErr == nil) {
			return fmt.Errorf("%s: under the old key: %w, under the new one: %w", a.name, err, newErr)
		}
		if newErr == nil {
			slot, err, a.key, a.next = under, nil, *a.next, nil
		}
	}
	if err != nil {
		return err
	}
	s, ok := under(a.shares, slot)
	if !ok {
		return fmt.Errorf("%s: section is sealed under a share that the server never had", a.name)
	}
	a.section, err = slot.Unlock(s)
	return err
}

// replace is the rest of the login: put, reseal, confirm.
func (w *world) replace(a *account) error {
	if w.disk != nil { // it may be that of the machine
		w.replaced[0] = w.disk.Steps()
		defer func() { w.replaced[1] = w.disk.Steps() }()
	}
	s := w.put(a)
	if err := a.section.Reseal(s); err != nil {
		return err
	}
	a.confirm(s)
	return nil
}

// retag is what a rotation does: the section is found under another row key.
func (w *world) retag(a *account) error {
	if a.next == nil {
		key, _ := capsule.NewRowKey(w.rand)
		a.next = &key
	}
	if err := a.section.Retag(*a.next); err != nil {
		return err
	}
	old := a.key
	a.key, a.next = *a.next, nil
	if _, err := w.v.Find(old); !errors.Is(err, vault.ErrAbsent) {
		return fmt.Errorf("%s: under the old key: %w", a.name, err)
	}
	return nil
}

// commit writes "name=value" pairs; "name" alone deletes.
func (a *account) commit(writes ...string) error {
	var b vault.Batch
	for _, w := range writes {
		name, value, put := strings.Cut(w, "=")
		r := vault.Write{Name: name}
		if put {
			r.Value = []byte(value)
		}
		b = append(b, r)
	}
	a.inFlight = b
	if err := a.section.Commit(b); err != nil {
		return err
	}
	a.inFlight = nil
	apply(a.acked, b)
	return nil
}

func apply(m map[string]string, b vault.Batch) {
	for _, w := range b {
		if w.Value == nil {
			delete(m, w.Name)
		} else {
			m[w.Name] = string(w.Value)
		}
	}
}

func (a *account) content() map[string]string {
	m := map[string]string{}
	for name, value := range a.section.Range("") {
		m[name] = string(value)
	}
	return m
}

// check opens every section and compares it with what was promised.
func (w *world) check() error {
	for _, a := range w.users {
		err := w.unlock(a)
		if errors.Is(err, vault.ErrAbsent) && !a.created {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		got, with := a.content(), maps.Clone(a.acked)
		apply(with, a.inFlight)
		if !maps.Equal(got, a.acked) && !maps.Equal(got, with) {
			return fmt.Errorf("%s: holds %v, promised %v and perhaps %v", a.name, got, a.acked, a.inFlight)
		}
		a.acked, a.inFlight, a.created = got, nil, true
	}
	return nil
}

// goOn uses the world as if nothing had happened and closes it.
func (w *world) goOn() error {
	for _, a := range w.users {
		if !a.created {
			continue
		}
		if err := a.commit("after=restart", "again=1"); err != nil {
			return err
		}
		if a.next != nil {
			if err := w.retag(a); err != nil {
				return err
			}
		}
		if err := w.replace(a); err != nil {
			return err
		}
		if err := a.commit("again"); err != nil {
			return err
		}
	}
	return w.v.Close()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

// story is everything that happens to two accounts on one installation.
func (w *world) story() error {
	a, b := w.users[0], w.users[1]
	long := strings.Repeat("x", 70<<10) // makes every slot grow
	return first(
		w.openVault,
		func() error { return w.create(a) },
		func() error { return a.commit("self=a", "in/1=secret") },
		func() error { return w.create(b) },
		func() error { return b.commit("self=b") },
		func() error { return a.commit("in/2=more", "in/1") },
		func() error { return w.replace(a) },
		func() error { return b.commit("big=" + long) },
		func() error { return a.commit("in/3=three") },
		func() error { return w.retag(a) },
		func() error { return a.commit("retagged=1") },
		func() error { return b.section.Compact() },
		func() error { return b.commit("big", "small=1") },
		func() error { return w.save(a) },
		func() error { return w.retag(a) },
		func() error { return b.section.Lock() },
		func() error { return a.commit("in/4=") },
		func() error { return a.section.Lock() },
		func() error { return w.v.Close() },
	)
}

func (w *world) save(a *account) error {
	return a.section.SaveSession(session(a), vault.SessionShare{7})
}

func session(a *account) vault.Session {
	s := vault.Session{Handle: a.name, Server: "http://127.0.0.1:8470", Token: bytes.Repeat([]byte{1}, 48)}
	copy(s.Account[:], a.name)
	copy(s.Device[:], "device")
	return s
}

func first(steps ...func() error) error {
	for i, f := range steps {
		if err := f(); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

func (a *account) lock() error     { return a.section.Lock() }
func (a *account) erase() error    { return a.section.Erase() }
func (w *world) closeVault() error { return w.v.Close() }
