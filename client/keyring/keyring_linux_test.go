package keyring

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/reseal/reseal/client/vault"
)

// Where the kernel has a keyring for us it keeps, gives, replaces and forgets;
// where it has none, that is said by name.
func TestKernel(t *testing.T) {
	k, name, err := Choose("kernel")
	if err != nil {
		if !errors.Is(err, ErrNone) || k != nil {
			t.Fatal(err)
		}
		t.Logf("no kernel keyring here: %v", err)
		return
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	entry := "reseal-" + hex.EncodeToString(id)
	if _, err := k.Get(entry); !errors.Is(err, vault.ErrNoSecret) || name == "" {
		t.Fatalf("%q, %v", name, err)
	}
	if err := k.Delete(entry); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second replaces the first
		secret := make([]byte, 32)
		_, _ = rand.Read(secret)
		if err := k.Set(entry, secret); err != nil {
			t.Fatal(err)
		}
		if got, err := k.Get(entry); err != nil || !bytes.Equal(got, secret) {
			t.Fatalf("%x, %v", got, err)
		}
	}
	if err := k.Delete(entry); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Get(entry); !errors.Is(err, vault.ErrNoSecret) {
		t.Fatal(err)
	}
}

func TestChoose(t *testing.T) {
	_, _, none := Choose("kernel")
	for _, word := range []string{"", "auto"} {
		k, name, err := Choose(word)
		if err != nil || (k == nil) != (none != nil) || (k == nil) != (name == "") {
			t.Errorf("%q: %v, %q, %v; the kernel's: %v", word, k, name, err, none)
		}
	}
	if k, _, err := Choose("file"); err != nil || k != nil {
		t.Errorf("%v, %v", k, err)
	}
	if _, _, err := Choose("sticky note"); err == nil {
		t.Error("taken")
	}
}
