package vault_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/client/vault/internal/crashfs"
)

// alice is a world with one account, logged in, that has committed something.
func alice(t testing.TB) (*world, *account) {
	t.Helper()
	w := newWorld(crashfs.New(), "alice", "bob")
	a := w.users[0]
	must(t, first(w.openVault, func() error { return w.create(a) }, func() error { return a.commit("self=a", "in/1=one", "in/2=two", "out/1=three") }))
	return w, a
}

func TestGetRange(t *testing.T) {
	w, a := alice(t)
	v, ok := a.section.Get("in/2")
	if !ok || string(v) != "two" {
		t.Fatalf("Get: %q %v", v, ok)
	}
	v[0] = 'X' // a copy: changes nothing
	var got []string
	for name, value := range a.section.Range("in/") {
		got = append(got, name+"="+string(value))
		must(t, a.commit("in/3=new")) // writing while ranging is fine
	}
	if fmt.Sprint(got) != "[in/1=one in/2=two]" {
		t.Fatal(got)
	}
	must(t, a.commit("in/1", "in/empty=", "in/1=again", "in/1"))
	if _, ok := a.section.Get("in/1"); ok {
		t.Fatal("the last write of a name wins")
	}
	if v, ok := a.section.Get("in/empty"); !ok || v == nil || len(v) != 0 {
		t.Fatal("an empty record is a record")
	}
	r := w.on(w.disk.Restart(crashfs.Synced), 2)
	must(t, first(r.openVault, r.check))
}

func TestLimits(t *testing.T) {
	_, a := alice(t)
	for _, b := range []vault.Batch{
		{{Name: "", Value: []byte{1}}},
		{{Name: strings.Repeat("n", vault.MaxName+1), Value: []byte{1}}},
		{{Name: "n", Value: make([]byte, vault.MaxValue+1)}},
		{{Name: "good", Value: []byte{1}}, {Name: "n", Value: make([]byte, vault.MaxValue+1)}},
	} {
		wantErr(t, a.section.Commit(b), vault.ErrTooLarge)
	}
	if _, ok := a.section.Get("good"); ok {
		t.Fatal("half of a batch was stored")
	}
	must(t, a.section.Commit(nil))
	must(t, a.section.Commit(vault.Batch{{Name: strings.Repeat("n", vault.MaxName), Value: make([]byte, vault.MaxValue)}}))
}

func TestErrors(t *testing.T) {
	w, a := alice(t)
	b := w.users[1]
	_, err := w.v.Find(b.key)
	wantErr(t, err, vault.ErrAbsent)
	_, err = w.v.Create(a.key, w.put(a))
	wantErr(t, err, vault.ErrExists)
	slot, err := w.v.Find(a.key)
	must(t, err)
	_, err = slot.Unlock(a.shares[slot.Share()])
	wantErr(t, err, vault.ErrUnlocked)
	wantErr(t, w.v.SetAside(slot), vault.ErrUnlocked)
	_, err = vault.Open("/home", vault.Options{FS: w.disk})
	wantErr(t, err, vault.ErrBusy)
	must(t, a.section.Lock())
	for _, err := range []error{a.section.Commit(vault.Batch{{Name: "x", Value: nil}}), a.section.Lock(), a.section.Close(),
		a.section.Compact(), a.section.Erase(), a.section.Reseal(w.put(a)), a.section.SaveSession(session(a), vault.SessionShare{})} {
		wantErr(t, err, vault.ErrLocked)
	}
	if len(a.content()) != 0 {
		t.Fatal("a locked section still shows records")
	}
	_, err = slot.Unlock(a.shares[slot.Share()])
	wantErr(t, err, vault.ErrAbsent) // Lock resealed it: the slot is out of date
	must(t, w.unlock(a))
}

// TestNoPlain looks for names and values in every file, open and locked.
func TestNoPlain(t *testing.T) {
	w, a := alice(t)
	must(t, a.commit("a/very/long/name=a very long value indeed"))
	look := func() {
		t.Helper()
		names, _ := w.disk.ReadDir()
		for _, n := range names {
			for _, s := range []string{"very/long", "long value", "in/2"} {
				if bytes.Contains(w.disk.Read(n), []byte(s)) {
					t.Fatalf("%s shows %q", n, s)
				}
			}
		}
	}
	look()
	must(t, a.section.Lock())
	look()
}

// TestWhoOpens tries everything that a thief (files), a server (shares) and
// both have, without the password and so without K_row and K_share.
func TestWhoOpens(t *testing.T) {
	w, a := alice(t)
	b := w.users[1]
	must(t, first(func() error { return w.create(b) }, func() error { return b.commit("self=b") }, a.lock, b.lock))

	for _, u := range w.users {
		slot, err := w.v.Find(u.key)
		must(t, err)
		// The files and K_row, with another account's share or a made-up one.
		for _, other := range w.users {
			for _, s := range other.shares {
				if other != u {
					s.ID = slot.Share()
					_, err := slot.Unlock(s)
					wantErr(t, err, vault.ErrOpen)
				}
			}
		}
		forged, _ := capsule.NewShare(seeded(9))
		_, err = slot.Unlock(forged)
		wantErr(t, err, vault.ErrOpen)
		forged.ID = slot.Share()
		_, err = slot.Unlock(forged)
		wantErr(t, err, vault.ErrOpen)
		// What the server knows of the section stands nowhere in the file.
		row := slot.Row()
		if bytes.Contains(w.disk.Read("vault"), row[:]) {
			t.Fatal("the file names the server's row")
		}
		// Nor does the sealed share: the server has no key for it.
		s := u.shares[slot.Share()]
		k, _ := capsule.NewShareKey(seeded(8))
		sealed, err := s.Seal(seeded(7), k, session(u).Account, row)
		must(t, err)
		value := s.Value.Bytes()
		if bytes.Contains(sealed, value[:]) || bytes.Contains(w.disk.Read("vault"), value[:]) {
			t.Fatal("a server share in clear")
		}
	}
}

// TestLookAlike: after logout the file has one length and random bytes for
// one account as for three.
func TestLookAlike(t *testing.T) {
	sizes := map[int]bool{}
	for n := 1; n <= 2; n++ {
		w := newWorld(crashfs.New(), "alice", "bob")
		must(t, w.openVault())
		for _, a := range w.users[:n] {
			must(t, first(func() error { return w.create(a) }, func() error { return a.commit("self=" + strings.Repeat("same", 5000)) }, a.lock))
		}
		must(t, w.v.Close())
		file := w.disk.Read("vault")
		sizes[len(file)] = true
		var packed bytes.Buffer
		z, _ := flate.NewWriter(&packed, flate.BestCompression)
		z.Write(file[32:])
		z.Close()
		if packed.Len() < len(file)-32 {
			t.Errorf("%d accounts: the slots compress from %d to %d bytes", n, len(file)-32, packed.Len())
		}
		if names, _ := w.disk.ReadDir(); fmt.Sprint(names) != "[lock vault]" {
			t.Errorf("%d accounts: %v", n, names)
		}
	}
	if len(sizes) != 1 {
		t.Errorf("lengths %v tell the number of accounts", sizes)
	}
}

// TestTakenIsBlurred: the one public count that grows with accounts has the
// same values for one, two and three of them.
func TestTakenIsBlurred(t *testing.T) {
	seen := make([]map[byte]bool, 3)
	for seed := range 60 {
		w := newWorld(crashfs.New(), "a", "b", "c")
		w.rand = seeded(byte(seed))
		must(t, w.openVault())
		for i, a := range w.users {
			must(t, w.create(a))
			if seen[i] == nil {
				seen[i] = map[byte]bool{}
			}
			seen[i][w.disk.Read("vault")[19]] = true
		}
	}
	for _, both := range [][2]int{{0, 1}, {1, 2}, {0, 2}} {
		common := 0
		for n := range seen[both[0]] {
			if seen[both[1]][n] {
				common++
			}
		}
		if common == 0 {
			t.Errorf("counts %v and %v have none in common", seen[both[0]], seen[both[1]])
		}
	}
	for n := range seen[0] {
		if n < 3 || n > 5 {
			t.Errorf("first section among %d slots", n)
		}
	}
}

// TestManyAccounts: no section is ever lost to another, as slots double.
func TestManyAccounts(t *testing.T) {
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprint("user", i))
	}
	w := newWorld(crashfs.New(), names...)
	must(t, w.openVault())
	for _, a := range w.users {
		must(t, first(func() error { return w.create(a) }, func() error { return a.commit("self=" + a.name) }, a.lock))
	}
	must(t, first(w.check, w.users[3].erase, w.users[11].erase))
	w.users = append(append([]*account{}, w.users[:3]...), w.users[4:11]...)
	must(t, w.v.Close())
	r := w.on(w.disk.Restart(crashfs.Synced), 2)
	must(t, first(r.openVault, r.check))
}

// TestClone copies the folder and lets the original go on: the copy opens
// nothing, because its share is gone, and nothing of it is overwritten.
func TestClone(t *testing.T) {
	for _, loggedOut := range []bool{false, true} {
		w, a := alice(t)
		must(t, w.save(a))
		if loggedOut {
			must(t, a.section.Lock())
		}
		clone := w.on(w.disk.Restart(crashfs.Everything), 5)
		if loggedOut {
			must(t, w.unlock(a))
		}
		must(t, w.replace(a)) // the original: another login, confirmed
		must(t, w.v.Close())

		c := clone.users[0]
		c.shares = a.shares // there is one server
		must(t, clone.openVault())
		slot, err := clone.v.Find(c.key)
		must(t, err)
		if _, ok := c.shares[slot.Share()]; ok {
			t.Fatal("the old share is still there")
		}
		for _, s := range c.shares {
			_, err := slot.Unlock(s)
			wantErr(t, err, vault.ErrOpen)
		}
		sessions, err := clone.v.Sessions()
		must(t, err)
		if loggedOut != (len(sessions) == 0) {
			t.Fatalf("%d session records", len(sessions))
		}
		for _, s := range sessions { // its session has ended: no right half
			_, err := clone.v.Resume(s, vault.SessionShare{8})
			wantErr(t, err, vault.ErrOpen)
		}
		must(t, clone.v.SetAside(slot))
		c.acked = map[string]string{}
		must(t, clone.create(c))
		must(t, c.commit("self=new device"))
		must(t, clone.v.Close())
		// Even later: should the old share come back, all of it is there.
		again := clone.on(clone.disk.Restart(crashfs.Synced), 6)
		must(t, first(again.openVault, again.check))
		aside := again.v.Aside(c.key)
		if len(aside) != 1 || aside[0].Share() != slot.Share() {
			t.Fatal("the section set aside is gone")
		}
		old := again.users[0]
		old.section, err = aside[0].Unlock(w.first(slot.Share()))
		must(t, err)
		if got := old.content(); got["in/2"] != "two" || len(got) != 4 {
			t.Fatalf("the section set aside holds %v", got)
		}
	}
}

// first is a share that the server once had; shares come from one seed.
func (w *world) first(id capsule.ShareID) capsule.Share {
	s, _ := capsule.NewShare(seeded(1))
	if s.ID != id {
		panic("not the first share")
	}
	return s
}

// TestTwoSections writes to two sections at once while both are resealed.
func TestTwoSections(t *testing.T) {
	w, a := alice(t)
	b := w.users[1]
	must(t, w.create(b))
	var wg sync.WaitGroup
	for _, u := range []*account{a, b} {
		for g := range 4 {
			wg.Go(func() {
				for i := range 30 {
					batch := vault.Batch{{Name: fmt.Sprintf("w/%d/%d", g, i), Value: []byte(u.name)}}
					if err := u.section.Commit(batch); err != nil {
						t.Error(err)
					}
					if _, ok := u.section.Get(batch[0].Name); !ok {
						t.Error("commit does not show")
					}
				}
			})
		}
		wg.Go(func() {
			for range 10 {
				if err := u.section.Compact(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	must(t, w.v.Close())
	r := w.on(w.disk.Restart(crashfs.Synced), 2)
	must(t, r.openVault())
	for i, u := range r.users {
		must(t, r.unlock(u))
		if n := len(u.content()); n != 120+4*(1-i) {
			t.Errorf("%s holds %d records", u.name, n)
		}
	}
}

// TestGroupCommit: commits that come together share syncs.
func TestGroupCommit(t *testing.T) {
	w, a := alice(t)
	before := w.disk.Steps()
	var start, wg sync.WaitGroup
	start.Add(1)
	for i := range 64 {
		wg.Go(func() {
			start.Wait()
			if err := a.section.Commit(vault.Batch{{Name: fmt.Sprint(i), Value: make([]byte, 10)}}); err != nil {
				t.Error(err)
			}
			runtime.Gosched()
		})
	}
	start.Done()
	wg.Wait()
	// One by one these are 128 steps: a write and a sync each. How many come
	// together is up to the scheduler; never more than that.
	if n := w.disk.Steps() - before; n > 128 {
		t.Errorf("%d steps", n)
	}
}

// TestCompaction: a journal does not grow for ever and what was deleted goes.
func TestCompaction(t *testing.T) {
	w, a := alice(t)
	value := strings.Repeat("v", 40<<10)
	for range 100 {
		must(t, a.commit("same="+value))
	}
	names, _ := w.disk.ReadDir()
	for _, n := range names {
		if strings.HasPrefix(n, "journal-") && len(w.disk.Read(n)) > 2<<20 {
			t.Errorf("%s has %d bytes", n, len(w.disk.Read(n)))
		}
	}
	r := w.on(w.disk.Restart(crashfs.Synced), 2)
	must(t, first(r.openVault, r.check))
}

func TestFolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		return
	}
	home := filepath.Join(t.TempDir(), "a", "home")
	v, err := vault.Open(home, vault.Options{})
	must(t, err)
	_, err = vault.Open(home, vault.Options{})
	wantErr(t, err, vault.ErrBusy)
	w := &world{v: v, rand: seeded(3), users: newWorld(nil, "alice").users}
	a := w.users[0]
	must(t, first(func() error { return w.create(a) }, func() error { return a.commit("self=a") }, func() error { return w.save(a) }))
	entries, err := os.ReadDir(home)
	must(t, err)
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
	if st, _ := os.Stat(home); st.Mode().Perm() != 0o700 {
		t.Errorf("folder has mode %v", st.Mode())
	}
	must(t, v.Close())
	must(t, os.Chmod(home, 0o755))
	_, err = vault.Open(home, vault.Options{})
	wantErr(t, err, vault.ErrOpenFolder)
	must(t, os.Chmod(home, 0o700))
	w.v, err = vault.Open(home, vault.Options{})
	must(t, err)
	must(t, w.check())
	must(t, w.v.Close())
}

func TestSession(t *testing.T) {
	w, a := alice(t)
	share := vault.SessionShare{7}
	must(t, w.save(a))
	must(t, a.section.Compact()) // the record stays good
	must(t, a.commit("later=1"))
	must(t, w.v.Close())

	r := w.on(w.disk.Restart(crashfs.Synced), 2)
	must(t, r.openVault())
	list, err := r.v.Sessions()
	must(t, err)
	if len(list) != 1 || list[0].Handle != "alice" || list[0].Device != session(a).Device || len(list[0].Token) != 48 {
		t.Fatalf("%v", list)
	}
	if s := fmt.Sprintf("%v %+v %#v %s", list[0].Token, share, list[0].Token, share); strings.Trim(strings.ReplaceAll(s, "hidden", ""), " ") != "" {
		t.Fatalf("printed %q", s)
	}
	_, err = r.v.Resume(list[0], vault.SessionShare{8})
	wantErr(t, err, vault.ErrOpen)
	u := r.users[0]
	u.section, err = r.v.Resume(list[0], share)
	must(t, err)
	slot, err := r.v.Find(u.key)
	must(t, err)
	if u.content()["later"] != "1" || u.section.Row() != slot.Row() {
		t.Fatal("not the section")
	}
	must(t, u.section.Lock()) // a logout after a restart reseals and removes
	list, err = r.v.Sessions()
	must(t, err)
	if len(list) != 0 {
		t.Fatal("session record outlived the logout")
	}
	must(t, r.check())
}

// TestLogoutWithoutServer: nothing can be opened, so only the record goes; the
// next login replays the journal.
func TestLogoutWithoutServer(t *testing.T) {
	w, a := alice(t)
	must(t, first(func() error { return w.save(a) }, func() error { return a.commit("last=1") }))
	r := w.on(w.disk.Restart(crashfs.Everything), 2) // kill -9
	must(t, r.openVault())
	must(t, r.v.RemoveSession(session(a).Account))
	must(t, r.v.RemoveSession(session(a).Account))
	list, err := r.v.Sessions()
	if err != nil || len(list) != 0 {
		t.Fatal(list, err)
	}
	must(t, r.check())
	if r.users[0].acked["last"] != "1" {
		t.Fatal("journal lost")
	}
}

func TestStaleSession(t *testing.T) {
	w, a := alice(t)
	must(t, first(func() error { return w.save(a) }, func() error { return w.replace(a) }, func() error { return a.section.Close() }))
	list, err := w.v.Sessions()
	must(t, err)
	_, err = w.v.Resume(list[0], vault.SessionShare{7})
	wantErr(t, err, vault.ErrOpen)
	must(t, w.check())
	if !errors.Is(w.v.Close(), nil) {
		t.Fatal("close")
	}
}
