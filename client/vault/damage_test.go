package vault_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/internal/crashfs"
)

// file finds the one file whose name begins with prefix.
func file(t testing.TB, d *crashfs.Disk, prefix string) string {
	t.Helper()
	names, _ := d.ReadDir()
	for _, n := range names {
		if strings.HasPrefix(n, prefix) {
			return n
		}
	}
	t.Fatalf("no %s in %v", prefix, names)
	return ""
}

// isClear tells that an error is one of those that name damage.
func isClear(err error) bool {
	return errors.Is(err, vault.ErrDamaged) || errors.Is(err, vault.ErrOpen) || errors.Is(err, vault.ErrNewer)
}

// opened opens the section of a disk whose file was changed.
func opened(w *world, disk *crashfs.Disk) (*account, error) {
	r := w.on(disk, 4)
	if err := r.openVault(); err != nil {
		return nil, err
	}
	err := r.check()
	return r.users[0], err
}

// TestFlippedJournal flips every byte: never wrong data, never silence.
func TestFlippedJournal(t *testing.T) {
	w, a := alice(t)
	must(t, a.commit("in/1", "last=1"))
	must(t, w.v.Close())
	name := file(t, w.disk, "journal-")
	good := w.disk.Read(name)
	for i := range good {
		disk := w.disk.Restart(crashfs.Everything)
		b := append([]byte{}, good...)
		b[i] ^= 1 << (i % 8)
		disk.Put(name, b)
		if _, err := opened(w, disk); !isClear(err) {
			t.Fatalf("byte %d of %d: %v", i, len(good), err)
		}
		if got := disk.Read(name); string(got) != string(b) {
			t.Fatalf("byte %d: the damaged journal was changed", i)
		}
	}
}

// TestFlippedVault flips every byte of the head of each slot and of the file,
// and some of every content.
func TestFlippedVault(t *testing.T) {
	w, a := alice(t)
	must(t, first(a.lock, w.closeVault))
	good := w.disk.Read("vault")
	size := (len(good) - 32) / 8
	flips, noticed := 0, 0
	for i := 0; i < len(good); i++ {
		if in := (i - 32) % size; i >= 32 && in >= 128 && in%997 != 0 && in < size-16 {
			continue
		}
		disk := w.disk.Restart(crashfs.Everything)
		b := append([]byte{}, good...)
		b[i] ^= 1 << (i % 8)
		disk.Put("vault", b)
		flips++
		u, err := opened(w, disk)
		switch {
		case err != nil && !isClear(err):
			t.Fatalf("byte %d: %v", i, err)
		case err != nil:
			noticed++
		case u.content()["in/2"] != "two":
			t.Fatalf("byte %d: wrong data", i)
		}
	}
	// One slot of sixteen is the account's; the header is everybody's.
	if noticed < 32+(flips-32)/16-2 {
		t.Errorf("%d of %d flips noticed", noticed, flips)
	}
}

// TestDamagedHeadHidesNothing: with a damaged head a section that is not found
// is not taken for absent.
func TestDamagedHead(t *testing.T) {
	w, a := alice(t)
	must(t, first(a.lock, w.closeVault))
	b := w.disk.Read("vault")
	for i := 0; i < 16; i++ {
		b[32+i*(len(b)-32)/16] ^= 1
	}
	w.disk.Put("vault", b)
	w.disk.Put("journal-00", []byte("kept"))
	r := w.on(w.disk.Restart(crashfs.Everything), 2)
	must(t, r.openVault())
	_, err := r.v.Find(a.key)
	wantErr(t, err, vault.ErrDamaged)
	if r.disk.Read("journal-00") == nil {
		t.Error("a journal was removed though its slot may be the damaged one")
	}
}

func TestTruncated(t *testing.T) {
	w, a := alice(t)
	must(t, a.commit("last=1"))
	must(t, w.v.Close())
	good := w.disk.Read("vault")
	for _, n := range []int{0, 1, 12, 31, 32, 100, len(good) - 1} {
		disk := w.disk.Restart(crashfs.Everything)
		disk.Put("vault", good[:n])
		_, err := opened(w, disk)
		wantErr(t, err, vault.ErrDamaged)
	}
	disk := w.disk.Restart(crashfs.Everything)
	disk.Put("vault", append(append([]byte{}, good...), 0))
	_, err := opened(w, disk)
	wantErr(t, err, vault.ErrDamaged)
}

// frames cuts a journal into its header and frames.
func frames(b []byte) (header []byte, all [][]byte) {
	header, b = b[:64:64], b[64:]
	for len(b) > 0 {
		n := 40 + int(binary.BigEndian.Uint32(b))
		all = append(all, b[:n:n])
		b = b[n:]
	}
	return header, all
}

// TestRearrangedJournal: frames left out, swapped, repeated, or of another
// journal are noticed.
func TestRearrangedJournal(t *testing.T) {
	w, a := alice(t)
	b := w.users[1]
	must(t, first(func() error { return a.commit("x=2") }, func() error { return a.commit("x=3") }, func() error { return w.create(b) },
		func() error { return a.section.Close() }))
	name := file(t, w.disk, "journal-")
	header, f := frames(w.disk.Read(name))
	must(t, first(func() error { return b.commit("x=1") }, func() error { return b.commit("x=2") }, w.closeVault))
	var others [][]byte
	names, _ := w.disk.ReadDir()
	for _, n := range names {
		if strings.HasPrefix(n, "journal-") && n != name {
			_, others = frames(w.disk.Read(n))
		}
	}
	for what, list := range map[string][][]byte{
		"first left out":  {f[1], f[2]},
		"middle left out": {f[0], f[2]},
		"swapped":         {f[1], f[0], f[2]},
		"last two":        {f[0], f[2], f[1]},
		"repeated":        {f[0], f[0], f[1], f[2]},
		"replayed at end": {f[0], f[1], f[2], f[0]},
		"spliced":         {f[0], others[1], f[2]},
		"spliced at end":  {f[0], others[1]},
		"all of another":  others,
	} {
		disk := w.disk.Restart(crashfs.Everything)
		j := append([]byte{}, header...)
		for _, x := range list {
			j = append(j, x...)
		}
		disk.Put(name, j)
		if _, err := opened(w, disk); !errors.Is(err, vault.ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestTorn: every shorter last frame is dropped, and what follows is good.
func TestTorn(t *testing.T) {
	w, a := alice(t)
	must(t, a.commit("last="+strings.Repeat("y", 600)))
	must(t, w.v.Close())
	name := file(t, w.disk, "journal-")
	good := w.disk.Read(name)
	_, f := frames(good)
	delete(a.acked, "last")
	for n := len(good) - len(f[1]); n < len(good); n++ {
		disk := w.disk.Restart(crashfs.Everything)
		disk.Put(name, good[:n])
		r := w.on(disk, 3)
		must(t, first(r.openVault, r.check, func() error { return r.users[0].commit("new=1") }))
		// What was torn does not stand behind the new, shorter frame.
		r = r.on(disk.Restart(crashfs.Synced), 4)
		must(t, first(r.openVault, r.check, r.goOn))
	}
}

func TestNewerVersions(t *testing.T) {
	w, a := alice(t)
	must(t, first(func() error { return w.save(a) }, w.closeVault))
	for prefix, at := range map[string]int{"vault": 12, "journal-": 14, "session-": 14} {
		disk := w.disk.Restart(crashfs.Everything)
		name := file(t, disk, prefix)
		b := disk.Read(name)
		b[at+1] = 4 // a session record has three
		disk.Put(name, b)
		_, err := opened(w, disk)
		if prefix == "session-" {
			r := w.on(disk.Restart(crashfs.Everything), 2)
			must(t, r.openVault())
			_, err = r.v.Sessions()
		}
		if wantErr(t, err, vault.ErrNewer); string(disk.Read(name)) != string(b) {
			t.Errorf("%s was changed", name)
		}
	}
}

// TestFlippedSession flips every byte: the record is refused by name, and the
// other account's is still listed.
func TestFlippedSession(t *testing.T) {
	w, a := alice(t)
	b := w.users[1]
	must(t, first(func() error { return w.save(a) }, func() error { return w.create(b) }, func() error { return w.save(b) }, w.closeVault))
	sa := session(a)
	name := "session-" + sa.Account.String()
	good := w.disk.Read(name)
	r := w.on(w.disk, 2)
	must(t, r.openVault())
	for i := range good {
		bad := append([]byte{}, good...)
		bad[i] ^= 1 << (i % 8)
		w.disk.Put(name, bad)
		list, err := r.v.Sessions()
		if !isClear(err) || !strings.Contains(err.Error(), name) || len(list) != 1 || list[0].Handle != "bob" {
			t.Fatalf("byte %d: %v, %d listed", i, err, len(list))
		}
	}
}
