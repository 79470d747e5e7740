package reseal_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/reseal/reseal"
)

// Who takes a device out of the account at logout leaves nothing by which the
// server would know the installation again; a plain logout leaves it.
func TestForgottenInstallation(t *testing.T) {
	w := newWorld(t)
	w.signUp("ana")
	dir := t.TempDir()
	in := w.install(dir)
	seed := func() []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, "seed"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	a, _ := w.logIn(in, "ana")
	first := seed()
	if _, err := a.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(seed(), first) {
		t.Error("a plain logout made it a stranger")
	}
	a, _ = w.logIn(in, "ana")
	if _, err := a.LogOut(ctx(t), reseal.LogOutOptions{Remove: true, Password: []byte(secret + "ana")}); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(seed(), first) {
		t.Error("the seed is still there")
	}
	if a, l := w.logIn(in, "ana"); a.Handle() != "ana" || !l.NewDevice {
		t.Errorf("the next login here: %+v", l)
	}
}
