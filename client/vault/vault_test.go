package vault_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/internal/crashfs"
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
	names, size := a.section.Names("in/"), a.section.Size()
	if fmt.Sprint(names) != "[in/1 in/2 in/3]" || len(a.section.Names("none/")) != 0 {
		t.Fatal(names)
	}
	must(t, a.commit("in/3"))
	if n := a.section.Size(); n >= size || len(names) != 3 || names[2] != "in/3" {
		t.Fatalf("%d bytes before, %d without a record; %v", size, n, names)
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
	share, _ := under(a.shares, slot)
	_, err = slot.Unlock(share)
	wantErr(t, err, vault.ErrUnlocked)
	wantErr(t, w.v.SetAside(slot), vault.ErrUnlocked)
	_, err = vault.Open("/home", vault.Options{FS: w.disk})
	wantErr(t, err, vault.ErrBusy)
	must(t, a.section.Lock())
	for _, err := range []error{
		a.section.Commit(vault.Batch{{Name: "x", Value: nil}}), a.section.Lock(), a.section.Close(),
		a.section.Compact(), a.section.Erase(), a.section.Reseal(w.put(a)), a.section.SaveSession(session(a), vault.SessionShare{}),
	} {
		wantErr(t, err, vault.ErrLocked)
	}
	if len(a.content()) != 0 {
		t.Fatal("a locked section still shows records")
	}
	share, _ = under(a.shares, slot)
	_, err = slot.Unlock(share)
	wantErr(t, err, vault.ErrAbsent) // Lock resealed it: the slot is out of date
	must(t, w.unlock(a))
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

// TestGroupCommit: commits that come while another is being synced share one
// sync.
func TestGroupCommit(t *testing.T) {
	w, a := alice(t)
	before := w.disk.Steps()
	w.disk.OnSync = func() { time.Sleep(20 * time.Millisecond) }
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			if err := a.section.Commit(vault.Batch{{Name: fmt.Sprint(i), Value: make([]byte, 10)}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// One by one these are 128 steps, a write and a sync each.
	if n := w.disk.Steps() - before; n > 32 {
		t.Errorf("%d steps for 64 commits", n)
	}
	r := w.on(w.disk.Restart(crashfs.Synced), 2)
	must(t, r.openVault())
	must(t, r.unlock(r.users[0]))
	if n := len(r.users[0].content()); n != 68 {
		t.Errorf("%d records", n)
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
	w := newWorld(nil, "alice")
	w.v, w.rand = v, seeded(3)
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
