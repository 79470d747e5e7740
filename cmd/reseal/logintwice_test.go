package main

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/reseal/reseal/store"
)

// firstRead tells when it is read first.
type firstRead struct {
	io.Reader
	once sync.Once
	read chan struct{}
}

func (r *firstRead) Read(b []byte) (int, error) {
	r.once.Do(func() { close(r.read) })
	return r.Reader.Read(b)
}

// TestLoginTwiceAtOnce: two processes log the same account in at one home, while
// the first is between its share and the server's word of it. The second is handed
// over to the first, and learns that the account is logged in; there is one
// device, the same as before where there was one.
func TestLoginTwiceAtOnce(t *testing.T) {
	for name, known := range map[string]bool{"device of before": true, "new device": false} {
		t.Run(name, func(t *testing.T) {
			g := &commitGate{prefix: "share/", held: make(chan struct{}), open: make(chan struct{})}
			url := newServerOn(t, func(s store.Store) store.Store { g.Store = s; return g })
			ben := newHome(t, url, "ben")
			devices := 1
			if known {
				ben.run("logout")
			} else {
				ben = &home{t, filepath.Join(t.TempDir(), "other"), url}
				devices = 2
			}
			g.on.Store(true)
			first := ben.command("login", "ben", "--json")
			out := new(bytes.Buffer)
			first.Stdout = out
			if err := first.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = first.Process.Kill(); _ = first.Wait() })
			<-g.held

			// In this process, so that it can be seen when the owner asks for what it
			// was given: then it runs there.
			s := newSurroundings(t, nil)
			in := &firstRead{Reader: strings.NewReader(secret + "\n"), read: make(chan struct{})}
			s.stdin = in
			code := make(chan int, 1)
			go func() {
				code <- run(t.Context(), &s.env, []string{"--home", ben.dir, "--server", url, "login", "ben", "--password-stdin", "--json"})
			}()
			<-in.read
			close(g.open)

			var told struct{ Error string }
			if got := <-code; got != exitFailed {
				t.Errorf("the second: exit code %d\n%s%s", got, &s.out, &s.err)
			} else if err := json.Unmarshal(s.out.Bytes(), &told); err != nil || told.Error != "logged_in" {
				t.Errorf("the second: %v, %s", err, &s.out)
			}
			if err := first.Wait(); err != nil {
				t.Fatalf("the first: %v\n%s%s", err, out, first.Stderr)
			}
			var how struct {
				New   bool `json:"new_device"`
				Aside bool `json:"set_aside"`
			}
			if err := json.Unmarshal(out.Bytes(), &how); err != nil || how.New == known || how.Aside {
				t.Errorf("the first: %v, %s", err, out)
			}
			if all := ben.run("devices", "--json"); strings.Count(all, "\n") != devices {
				t.Errorf("devices: %s", all)
			}
		})
	}
}
