package vault_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/internal/crashfs"
)

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
