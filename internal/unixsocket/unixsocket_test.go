package unixsocket

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A socket in a folder with a long name is made and reached; one that a killed
// process left is replaced; nothing lies about afterwards.
func TestSocket(t *testing.T) {
	for _, name := range []string{"d", strings.Repeat("long/", 40)} {
		dir, tmp := filepath.Join(t.TempDir(), name), t.TempDir()
		t.Setenv("TMPDIR", tmp)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := Dial(t.Context(), dir, "s.sock"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("no socket: %v", err)
		}
		for range 2 {
			l, err := Listen(dir, "s.sock")
			if err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(filepath.Join(dir, "s.sock")); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			done := make(chan error, 1)
			go func() {
				c, err := l.AcceptUnix()
				if err == nil {
					_, err = io.WriteString(c, "here")
					err = errors.Join(err, c.Close())
				}
				done <- err
			}()
			c, err := Dial(t.Context(), dir, "s.sock")
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(c); string(b) != "here" || err != nil || <-done != nil {
				t.Errorf("%q, %v", b, err)
			}
			_ = c.Close()
			if err := l.Close(); err != nil { // as a kill does, this leaves the socket
				t.Fatal(err)
			}
			if left, err := filepath.Glob(filepath.Join(tmp, "*")); len(left) != 0 || err != nil {
				t.Errorf("left: %v, %v", left, err)
			}
		}
		if c, err := Dial(t.Context(), dir, "s.sock"); err == nil {
			t.Errorf("nobody listens: %v", c)
		}
	}
}
