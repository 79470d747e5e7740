package vault_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"strings"
	"testing"

	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/client/vault/internal/crashfs"
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
