package server_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

func freshStore(t *testing.T) *memory.Store {
	t.Helper()
	s, err := memory.New(server.Schema(), memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func load(t *testing.T, s store.Store, path string) []byte {
	t.Helper()
	setup, err := server.LoadKeyFile(ctx, s, path, random{})
	if err != nil {
		t.Fatal(err)
	}
	return setup.Encode()
}

func TestKeyFile(t *testing.T) {
	s, path := freshStore(t), filepath.Join(t.TempDir(), "new", "server.key")
	first := load(t, s, path)
	if again := load(t, s, path); !bytes.Equal(first, again) {
		t.Error("another key on the second start")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if all, _ := os.ReadDir(filepath.Dir(path)); len(all) != 1 {
		t.Errorf("%d files are left", len(all))
	}
	if _, err := server.New(server.Config{Store: s, BlobFolder: t.TempDir(), Setup: must(t, first)}); err != nil {
		t.Fatal(err)
	}
	refused := func(want error, words ...string) {
		t.Helper()
		_, err := server.LoadKeyFile(ctx, s, path, random{})
		if !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
		for _, w := range append(words, path) {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q does not name %q", err, w)
			}
		}
	}
	// Others may read it.
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	refused(server.ErrKeyOpen, "chmod 600")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	// Damaged, in every byte.
	for i := range first {
		bent := bytes.Clone(first)
		bent[i] ^= 1
		if err := os.WriteFile(path, bent, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(server.ErrKeyDamaged, "backup")
	}
	if err := os.WriteFile(path, first[:len(first)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	refused(server.ErrKeyDamaged)
	// That of another store.
	otherPath := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, load(t, freshStore(t), otherPath), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(server.ErrKeyOther, "backup")
	// Missing: it is not made anew over a store that was used.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refused(server.ErrKeyMissing, "backup")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a key file was made all the same")
	}
}

// A crash between the file and the store's note of it: the file is taken.
func TestKeyFileCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.key")
	outcome := memory.Never
	s, err := memory.New(server.Schema(), memory.Options{Outcome: func(store.Partition, *store.Batch) memory.Outcome { return outcome }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.LoadKeyFile(ctx, s, path, random{}); !errors.Is(err, store.ErrUnknown) {
		t.Fatal(err)
	}
	made, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	outcome = memory.Known
	if got := load(t, s, path); !bytes.Equal(got, made) {
		t.Error("another key after the crash")
	}
	if got := load(t, s, path); !bytes.Equal(got, made) {
		t.Error("another key later")
	}
}

func must(t *testing.T, b []byte) opaque.Setup {
	t.Helper()
	s, err := opaque.ParseSetup(b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
