package vault_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/internal/crashfs"
)

// ring is a keyring in memory.
type ring struct {
	secrets map[string][]byte
	// refuses takes nothing; forgets takes it and keeps it nowhere.
	refuses, forgets bool
}

func newRing() *ring { return &ring{secrets: map[string][]byte{}} }

var errRing = errors.New("locked")

func (r *ring) Set(name string, secret []byte) error {
	if r.refuses {
		return errRing
	}
	if !r.forgets {
		r.secrets[name] = bytes.Clone(secret)
	}
	return nil
}

func (r *ring) Get(name string) ([]byte, error) {
	if r.refuses {
		return nil, errRing
	}
	if s, ok := r.secrets[name]; ok {
		return bytes.Clone(s), nil
	}
	return nil, vault.ErrNoSecret
}

func (r *ring) Delete(name string) error {
	if r.refuses {
		return errRing
	}
	delete(r.secrets, name)
	return nil
}

// With a keyring the record in the folder has nothing that opens it, not even
// the server; the secret goes with the record that it belongs to.
func TestSessionInAKeyring(t *testing.T) {
	w, a := alice(t)
	must(t, w.v.Close())
	k := newRing()
	w.ring = k
	must(t, w.openVault())
	must(t, w.unlock(a))
	must(t, w.save(a))
	name := "session-" + func() string { s := session(a); return s.Account.String() }()
	for range 3 { // each record has a secret of its own, and takes the one before away
		before := slices.Collect(func(yield func(string) bool) {
			for n := range k.secrets {
				yield(n)
			}
		})
		must(t, w.save(a))
		if len(k.secrets) != 1 || len(before) != 1 || k.secrets[before[0]] != nil {
			t.Fatalf("%d secrets", len(k.secrets))
		}
	}
	b, device := w.disk.Read(name), session(a).Device
	for _, part := range [][]byte{[]byte("http://"), session(a).Token, device[:]} {
		if bytes.Contains(b, part) {
			t.Errorf("%q is in the file", part)
		}
	}
	must(t, w.v.Close())

	r := w.on(w.disk.Restart(crashfs.Synced), 2)
	must(t, r.openVault())
	list, err := r.v.Sessions()
	must(t, err)
	if len(list) != 1 || list[0].Handle != "alice" || !list[0].Kept {
		t.Fatalf("%+v", list)
	}
	section, err := r.v.Resume(list[0], vault.SessionShare{7})
	must(t, err)
	must(t, section.Lock()) // a logout
	if len(k.secrets) != 0 {
		t.Error("the secret outlived the logout")
	}
}

// A keyring that is gone, locked, empty or another's costs a login and nothing
// else; with no keyring at all the record says by its name what is wrong.
func TestAKeyringThatDoesNotGive(t *testing.T) {
	w, a := alice(t)
	must(t, w.v.Close())
	k := newRing()
	w.ring = k
	must(t, first(w.openVault, func() error { return w.unlock(a) }, func() error { return w.save(a) }, func() error { return a.commit("last=1") }))
	disk := w.disk.Restart(crashfs.Everything)
	other := newRing()
	for n := range k.secrets {
		other.secrets[n] = bytes.Repeat([]byte{1}, 32)
	}
	for name, ring := range map[string]vault.Keyring{"none": nil, "empty": newRing(), "locked": &ring{refuses: true}, "another's": other} {
		r := w.on(disk.Restart(crashfs.Everything), 2)
		r.ring = ring
		must(t, r.openVault())
		if list, err := r.v.Sessions(); !errors.Is(err, vault.ErrKeyring) || len(list) != 0 {
			t.Fatalf("%s: %v, %d listed", name, err, len(list))
		}
		// The way out, with whatever keyring there is by now.
		u := r.users[0]
		must(t, r.unlock(u))
		if u.content()["last"] != "1" {
			t.Fatalf("%s: something is lost", name)
		}
		must(t, r.save(u))
		list, err := r.v.Sessions()
		must(t, err)
		if kept := name == "empty" || name == "another's"; len(list) != 1 || list[0].Kept != kept {
			t.Fatalf("%s: %+v", name, list)
		}
		must(t, r.v.RemoveSession(list[0].Account))
		must(t, r.v.Close())
	}
	// One that says yes and keeps nothing is noticed when the record is written.
	r := w.on(disk.Restart(crashfs.Everything), 3)
	r.ring = &ring{secrets: map[string][]byte{}, forgets: true}
	must(t, first(r.openVault, func() error { return r.unlock(r.users[0]) }, func() error { return r.save(r.users[0]) }))
	if list, err := r.v.Sessions(); err != nil || len(list) != 1 || list[0].Kept {
		t.Fatalf("%+v, %v", list, err)
	}
}

// A power loss at every step of a record that replaces another leaves one of the
// two, and a secret for it.
func TestCrashWhileARecordIsReplaced(t *testing.T) {
	for k := 0; ; k++ {
		w, a := alice(t)
		must(t, w.v.Close())
		w.ring = newRing()
		must(t, first(w.openVault, func() error { return w.unlock(a) }, func() error { return w.save(a) }))
		w.disk.StopAt = w.disk.Steps() + k
		done := w.save(a) == nil
		for _, s := range crashfs.Survivals {
			r := w.on(w.disk.Restart(s), 2)
			must(t, r.openVault())
			list, err := r.v.Sessions()
			if err != nil || len(list) != 1 || !list[0].Kept {
				t.Fatalf("step %d, survival %d: %v, %+v", k, s, err, list)
			}
			_, err = r.v.Resume(list[0], vault.SessionShare{7})
			must(t, err)
		}
		if done {
			if k < 3 {
				t.Fatalf("only %d steps", k)
			}
			return
		}
	}
}
