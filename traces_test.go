package reseal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/resealtest"
)

// traces is what a thief sees of a folder without reading it: names, lengths,
// modes and times of everything.
func traces(t testing.TB, dir string) string {
	t.Helper()
	all := ""
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		size := info.Size()
		if d.IsDir() {
			size = 0 // of the file system's own making
		}
		all += fmt.Sprintf("%s %v %d %v\n", rel, info.Mode(), size, info.ModTime().UTC())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// After logout an installation looks as one that nobody ever used: for none as
// for eight accounts, whoever they were, and whenever they were there.
func TestNoTracesAfterLogout(t *testing.T) {
	w := resealtest.New(t)
	unused := w.Phone()
	unused.Installation()
	unused.PowerOff()
	want := traces(t, unused.Dir())
	shared := w.Phone()
	friend := w.Device("friend")
	var secrets [][]byte
	for n := range 8 {
		handle := fmt.Sprintf("person-%d", n+1)
		d := shared.Device(handle)
		friend.Text("for "+handle, handle)
		d.Text("from "+handle, "friend")
		id, device := d.ID(), d.Account.Device()
		secrets = append(secrets, []byte(handle), id[:], []byte(id.String()), device[:], []byte(device.String()))
		d.LogOut()
		if got := traces(t, shared.Dir()); got != want {
			t.Fatalf("after %d logouts:\n%s\nand not as one that was never used:\n%s", n+1, got, want)
		}
		if all, err := shared.Installation().LoggedIn(); err != nil || len(all) != 0 {
			t.Errorf("logged in: %v, %v", all, err)
		}
	}
	shared.PowerOff()
	if got := traces(t, shared.Dir()); got != want {
		t.Errorf("closed:\n%s\nand not:\n%s", got, want)
	}
	err := filepath.WalkDir(shared.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, s := range append(secrets, []byte("friend"), []byte("person")) {
			if bytes.Contains(b, s) {
				t.Errorf("%s names somebody: %q", filepath.Base(path), s)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// All are still there, for who has the password.
	for n := range 8 {
		handle := fmt.Sprintf("person-%d", n+1)
		a, how, err := shared.Installation().LogIn(ctx(t), handle, w.Password(handle))
		if err != nil || how.NewDevice {
			t.Fatalf("%s: %+v, %v", handle, how, err)
		}
		if _, err := a.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// Several accounts at one installation: each has its own messages, events and
// end.
func TestAccountsSideBySide(t *testing.T) {
	w := resealtest.New(t)
	ana := w.Device("ana")
	ben := w.Device("ben")
	cleo := ben.Phone.Device("cleo")
	bens, cleos := ben.Events(ctx(t)), cleo.Events(ctx(t))
	toBen, toCleo := ana.Text("for ben", "ben"), ana.Text("for cleo", "cleo")
	for _, side := range []struct {
		d          *resealtest.Device
		events     func(func(reseal.Event) bool)
		own, other reseal.MessageID
	}{{ben, bens, toBen, toCleo}, {cleo, cleos, toCleo, toBen}} {
		for e := range side.events {
			if e.ID == side.other {
				t.Errorf("%s is told of another's message", side.d.Handle())
			}
			if e.Kind == reseal.KindMessage && e.ID == side.own {
				break
			}
		}
		if _, err := side.d.Find(ctx(t), side.other.String()); !errors.Is(err, reseal.ErrUnknownMessage) {
			t.Errorf("%s finds another's message: %v", side.d.Handle(), err)
		}
		if got := side.d.Read(side.own); got != "for "+side.d.Handle() {
			t.Errorf("got %q", got)
		}
	}
	// One of them logs out; the other stays, also over a restart.
	names := func() string {
		t.Helper()
		all, err := ben.Installation().LoggedIn()
		if err != nil {
			t.Fatal(err)
		}
		var handles []string
		for _, l := range all {
			handles = append(handles, l.Handle)
		}
		return strings.Join(handles, " ")
	}
	if got := names(); got != "ben cleo" && got != "cleo ben" {
		t.Errorf("logged in: %q", got)
	}
	ben.LogOut()
	if got := names(); got != "cleo" {
		t.Errorf("after ben's logout: %q", got)
	}
	cleo.PowerOff()
	cleo.PowerOn()
	if all := cleo.Installation().Accounts(); len(all) != 1 || all[0].Handle() != "cleo" {
		t.Errorf("after a restart: %v", all)
	}
	if got := cleo.Read(ana.Text("still you?", "cleo")); got != "still you?" {
		t.Errorf("got %q", got)
	}
}
