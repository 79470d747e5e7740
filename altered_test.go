package reseal_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
)

// Whatever happens to a blob at the server: nothing of it is shown, the error
// says what is wrong, and once the blob is back the message opens.
func TestAlteredBlob(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	file := make([]byte, 9<<20) // two parts
	if _, err := rand.Read(file); err != nil {
		t.Fatal(err)
	}
	sent, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben"}, File: bytes.NewReader(file), Size: int64(len(file)), Name: "clip.mp4"})
	if err != nil {
		t.Fatal(err)
	}
	id := sent[0].Message
	awaitState(t, ben, id, client.IsReady)
	var folder string
	_ = filepath.WalkDir(w.blobs, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "segments" {
			folder = filepath.Dir(path)
		}
		return err
	})
	good := copyFolder(t, folder)
	restore := func() {
		t.Helper()
		for _, name := range []string{"00000000", "00000001", "segments"} {
			b, err := os.ReadFile(filepath.Join(good, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	change := func(name string, f func([]byte) []byte) func() {
		return func() {
			path := filepath.Join(folder, name)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, f(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	flipAt := func(i int) func([]byte) []byte {
		return func(b []byte) []byte { b[(i+len(b))%len(b)] ^= 0x10; return b }
	}
	truth := errors.New("truth")
	for _, c := range []struct {
		name string
		do   func()
		want error
	}{
		{"first byte", change("00000000", flipAt(0)), reseal.ErrAltered},
		{"a byte within", change("00000000", flipAt(5<<20)), reseal.ErrAltered},
		{"last byte", change("00000001", flipAt(-1)), reseal.ErrAltered},
		{"cut", change("00000001", func(b []byte) []byte { return b[:len(b)-1] }), reseal.ErrCutOff},
		{"cut a lot", change("00000001", func(b []byte) []byte { return b[:100] }), reseal.ErrCutOff},
		{"longer", change("00000001", func(b []byte) []byte { return append(b, 0) }), truth},
		{"empty", change("00000000", func([]byte) []byte { return nil }), reseal.ErrCutOff},
		{"segment list", change("segments", flipAt(-3)), reseal.ErrAltered},
		{"segment list cut", change("segments", func(b []byte) []byte { return b[:len(b)-32] }), reseal.ErrCutOff},
		{"part gone", func() { _ = os.Remove(filepath.Join(folder, "00000001")) }, reseal.ErrGone},
		{"segment list gone", func() { _ = os.Remove(filepath.Join(folder, "segments")) }, reseal.ErrGone},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.do()
			// Where the server serves what was sent all the same (a part that has
			// become longer, say), that is shown and nothing else.
			err := ben.Open(withTimeout(t, 30*time.Second), id, func(c reseal.Content) error {
				if b, err := io.ReadAll(c.Reader); err != nil || !bytes.Equal(b, file) {
					t.Errorf("shown: %d bytes, %v", len(b), err)
				}
				return truth
			}, nil)
			if !errors.Is(err, c.want) {
				t.Errorf("open: %v, want %v", err, c.want)
			}
			if s := state(t, ben, id); s != client.IsReady {
				t.Errorf("the message is %s", s)
			}
			restore()
			// It is good again, and not viewed for it.
			seen := errors.New("seen")
			if err := ben.Open(ctx(t), id, func(c reseal.Content) error {
				if b, err := io.ReadAll(c.Reader); err != nil || !bytes.Equal(b, file) {
					t.Errorf("%d bytes, %v", len(b), err)
				}
				return seen
			}, nil); !errors.Is(err, seen) {
				t.Errorf("open of the restored: %v", err)
			}
			dropFetched(t, ben)
		})
	}
	if _, body := open(t, ben, id); !bytes.Equal(body, file) {
		t.Error("another file")
	}
}

// dropFetched removes what was fetched, so that it has to come again.
func dropFetched(t testing.TB, a *reseal.Account) {
	t.Helper()
	if err := reseal.DropFiles(a); err != nil {
		t.Fatal(err)
	}
}
