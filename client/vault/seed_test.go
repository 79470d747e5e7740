package vault_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/reseal/reseal/client/vault"
)

// A new seed is another installation to every server, for good, and tells no
// time.
func TestRenewSeed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	open := func() *vault.Vault {
		t.Helper()
		v, err := vault.Open(dir, vault.Options{})
		must(t, err)
		return v
	}
	v := open()
	known := func() []byte { return v.Known("https://reseal.example", "ana") }
	old := known()
	must(t, v.Close())
	v = open()
	if !bytes.Equal(known(), old) {
		t.Fatal("it changed by itself")
	}
	must(t, v.RenewSeed())
	fresh := known()
	if bytes.Equal(fresh, old) {
		t.Error("the same as before")
	}
	for _, name := range []string{".", "seed"} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if got := info.ModTime().UTC(); got.Year() != 2000 {
			t.Errorf("%s is of %v", name, got)
		}
	}
	must(t, v.Close())
	v = open()
	defer v.Close()
	if !bytes.Equal(known(), fresh) {
		t.Error("the new one was not kept")
	}
}
