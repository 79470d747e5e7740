package vault_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/internal/crashfs"
)

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
					_, err := slot.Unlock(s)
					wantErr(t, err, vault.ErrOpen)
				}
			}
		}
		forged, _ := capsule.NewShare(seeded(9))
		_, err = slot.Unlock(forged)
		wantErr(t, err, vault.ErrOpen)
		own, _ := under(u.shares, slot)
		forged.ID = own.ID
		_, err = slot.Unlock(forged)
		wantErr(t, err, vault.ErrOpen)
		forged = capsule.Share{ID: capsule.ShareID{1}, Value: own.Value} // under another id
		_, err = slot.Unlock(forged)
		wantErr(t, err, vault.ErrOpen)
		// What the server knows of the section stands nowhere in the file.
		row := slot.Row()
		if file := w.disk.Read("vault"); bytes.Contains(file, row[:]) || bytes.Contains(file, own.ID[:]) {
			t.Fatal("the file names the server's row or share")
		}
		// Nor does the sealed share: the server has no key for it.
		s := own
		k, _ := capsule.NewShareKey(seeded(8))
		sealed, err := s.Seal(seeded(7), k, session(u).Account, row)
		must(t, err)
		value := s.Value.Bytes()
		if bytes.Contains(sealed, value[:]) || bytes.Contains(w.disk.Read("vault"), value[:]) {
			t.Fatal("a server share in clear")
		}
	}
}

// TestLookAlike: after logout, the folder has the same files of the same lengths
// for no account as for eight, and in them nothing but randomness beside the
// header. The one count in that has no value that only few accounts, or only
// many, can give.
func TestLookAlike(t *testing.T) {
	const accounts, runs = 8, 40
	lengths := map[int]bool{}
	counts := make([]map[byte]int, accounts+1)
	for seed := range runs {
		var names []string
		for i := range accounts {
			names = append(names, fmt.Sprint("user", i))
		}
		w := newWorld(crashfs.New(), names...)
		w.rand = seeded(byte(seed))
		must(t, w.openVault())
		for n := range accounts + 1 {
			if n > 0 {
				a := w.users[n-1]
				must(t, first(func() error { return w.create(a) }, func() error { return a.commit("self=" + strings.Repeat("same", 5000)) }, a.lock))
			}
			file := w.disk.Read("vault")
			lengths[len(file)] = true
			if counts[n] == nil {
				counts[n] = map[byte]int{}
			}
			counts[n][file[19]]++
			if files, _ := w.disk.ReadDir(); fmt.Sprint(files) != "[lock seed vault]" {
				t.Fatalf("%d accounts: %v", n, files)
			}
			if seed == 0 {
				random(t, n, file[32:])
			}
		}
		must(t, w.v.Close())
	}
	if len(lengths) != 1 {
		t.Errorf("lengths %v tell the number of accounts", lengths)
	}
	for n := range accounts {
		common := 0
		for c := range counts[n] {
			if counts[n+1][c] > 0 {
				common++
			}
		}
		if common < 5 || len(counts[n]) < 6 {
			t.Errorf("%d and %d accounts: counts %v and %v", n, n+1, counts[n], counts[n+1])
		}
	}
}

// random fails unless b looks random: no byte is more frequent than chance has
// it, nothing compresses, and no 16 bytes occur twice.
func random(t *testing.T, accounts int, b []byte) {
	t.Helper()
	var packed bytes.Buffer
	z, _ := flate.NewWriter(&packed, flate.BestCompression)
	z.Write(b)
	z.Close()
	if packed.Len() < len(b) {
		t.Errorf("%d accounts: the slots compress from %d to %d bytes", accounts, len(b), packed.Len())
	}
	var often [256]float64
	seen := map[string]bool{}
	for i := 0; i+16 <= len(b); i += 16 {
		if s := string(b[i : i+16]); seen[s] {
			t.Fatalf("%d accounts: bytes that repeat at %d", accounts, i)
		} else {
			seen[s] = true
		}
	}
	for _, c := range b {
		often[c]++
	}
	want := float64(len(b)) / 256
	for c, n := range often {
		if n < want*0.85 || n > want*1.15 {
			t.Errorf("%d accounts: byte %d occurs %.0f times, not about %.0f", accounts, c, n, want)
		}
	}
}

// TestTimes: what the file system tells of the times of the files is the same
// whoever was here, and whenever.
func TestTimes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	w := newWorld(nil, "alice", "bob")
	look := func(when string) {
		t.Helper()
		for _, name := range []string{".", "lock", "vault", "seed"} {
			info, err := os.Stat(filepath.Join(dir, name))
			must(t, err)
			if got := info.ModTime().UTC(); got.Year() != 2000 {
				t.Errorf("%s: %s is of %v", when, name, got)
			}
		}
	}
	open := func() {
		t.Helper()
		var err error
		w.v, err = vault.Open(dir, vault.Options{})
		must(t, err)
	}
	open()
	look("before anybody")
	for _, a := range w.users {
		must(t, first(func() error { return w.create(a) }, func() error { return a.commit("self=1") }))
		record := session(a)
		must(t, a.section.SaveSession(record, vault.SessionShare{1}))
		must(t, a.lock())
		look("logged out")
	}
	must(t, w.v.Close())
	look("closed")
	open()
	must(t, first(func() error { return w.unlock(w.users[0]) }, func() error { return w.replace(w.users[0]) }))
	must(t, w.v.RemoveSession(session(w.users[0]).Account))
	must(t, first(w.users[0].lock, w.v.Close))
	look("after another login")
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
		if _, ok := under(c.shares, slot); ok {
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
		if len(aside) != 1 {
			t.Fatal("the section set aside is gone")
		}
		old := again.users[0]
		share, _ := under(w.ever, slot)
		old.section, err = aside[0].Unlock(share)
		must(t, err)
		if got := old.content(); got["in/2"] != "two" || len(got) != 4 {
			t.Fatalf("the section set aside holds %v", got)
		}
	}
}
