//go:build linux || darwin || freebsd

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// told is an error of the closed list as a process tells it.
type told struct{ Error, Message, Hint string }

// ends starts a server that must end by itself, and returns what it tells.
func (m *machine) ends() (e told) {
	m.t.Helper()
	r := m.run(m.process("reseal", "serve", "--json", "--metrics", "off", "--data", "data", "--listen", "127.0.0.1:0"))
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &e); err != nil || r.code != exitFailed {
		m.t.Fatalf("serve: %s", r)
	}
	if n := strings.Count(r.err, "\n"); n > 4 || strings.Contains(r.err, "goroutine ") {
		m.t.Errorf("%d lines for one thing:\n%s", n, r.err)
	}
	return e
}

// term ends the server in good order.
func (m *machine) term() {
	m.t.Helper()
	if err := m.server.Process.Signal(syscall.SIGTERM); err != nil {
		m.t.Fatal(err)
	}
	select {
	case <-m.down:
	case <-time.After(patience):
		m.t.Fatal("the server does not end")
	}
}

// alter changes some bytes of a file in their place.
func (m *machine) alter(path string, at int) {
	m.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	if at < 0 {
		at += len(b)
	}
	for i := range b[at:min(at+8, len(b))] {
		b[at+i] ^= 0x55
	}
	m.overwrite(path, b)
}

// overwrite writes into the file that is there: who has it open reads it.
func (m *machine) overwrite(path string, b []byte) {
	m.t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err = f.Write(b); err != nil {
		m.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		m.t.Fatal(err)
	}
}

// Each kind of file of a server's data is damaged alone. Either the start ends,
// once, with what it is and the way out, or the file is of no consequence, or,
// for the ciphertext of a message, who opens it is told.
func TestEveryKindOfDamage(t *testing.T) {
	m := newMachine(t)
	m.does(nil, "ana", "signup", "ana")
	m.does(nil, "ben", "signup", "ben")
	film := m.file("film.bin", 100_000, 1)
	var sent sentJSON
	m.does(&sent, "ana", "send", "ben", "film.bin", "--keep")
	m.until("ben has it", func() bool { return len(m.inbox("ben")) == 1 })
	m.kill() // a crash: what was stored last is in the log
	_ = os.Remove(filepath.Join(m.dir, "data", "admin.sock"))
	if err := os.CopyFS(filepath.Join(m.dir, "crashed"), os.DirFS(filepath.Join(m.dir, "data"))); err != nil {
		t.Fatal(err)
	}
	m.serve("reseal")
	m.term() // an orderly end: all of it is in table files
	const store = "data/store/db/"
	key := m.read("data.key")
	fresh := func(from string) {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(m.dir, "data")); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(m.dir, "data"), os.DirFS(filepath.Join(m.dir, from))); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(m.dir, "data"), 0o700); err != nil {
			t.Fatal(err)
		}
		m.overwrite(filepath.Join(m.dir, "data.key"), key)
	}
	_ = os.Remove(filepath.Join(m.dir, "data", "admin.sock"))
	if err := os.Rename(filepath.Join(m.dir, "data"), filepath.Join(m.dir, "closed")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, file string
		at         int
		code, hint string
	}{
		{"closed", store + "MANIFEST-*", 20, "data_damaged", "backup"},
		{"closed", store + "MANIFEST-*", -4, "data_damaged", "backup"},
		{"closed", store + "OPTIONS-*", 40, "data_damaged", "backup"},
		{"closed", store + "*.sst", 30, "data_damaged", "backup"},
		{"closed", store + "*.sst", 2000, "data_damaged", "backup"},
		{"closed", store + "*.sst", -60, "data_damaged", "backup"},
		{"crashed", store + "MANIFEST-*", 20, "data_damaged", "backup"},
		{"crashed", store + "*.log", 40, "data_damaged", "backup"},
		{"crashed", store + "*.log", 2000, "data_damaged", "backup"},
		{"closed", "data.key", 40, "key_file", "--key"},
	} {
		fresh(c.from)
		files := m.glob(c.file)
		if len(files) == 0 {
			t.Fatalf("no %s", c.file)
		}
		m.alter(files[len(files)-1], c.at)
		e := m.ends()
		if e.Error != c.code || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s, %s at %d: %+v", c.from, c.file, c.at, e)
		}
		if strings.HasSuffix(c.file, ".sst") && !strings.Contains(e.Message, ".sst") {
			t.Errorf("which file: %+v", e)
		}
	}
	for _, gone := range []string{"MANIFEST-*", "marker.manifest.*", "*.sst"} {
		fresh("closed")
		for _, f := range m.glob(store + gone) {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
		if e := m.ends(); e.Error != "data_damaged" {
			t.Errorf("without %s: %+v", gone, e)
		}
	}
	// The ciphertext: the server has no key to see it; who opens it sees it.
	fresh("closed")
	altered := 0
	for _, f := range m.glob("data/blobs/objects/*", "data/blobs/objects/*/*", "data/blobs/objects/*/*/*") {
		if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() && info.Size() > 50_000 {
			m.alter(f, 50_000)
			altered++
		}
	}
	if altered != 1 {
		t.Fatalf("%d files of ciphertext", altered)
	}
	m.serve("reseal")
	id := sent.To[0].Message
	m.refused("altered", "operator", m.typed("ben", "open", id, "-o", "out.bin"))
	if _, err := os.Stat(filepath.Join(m.dir, "out.bin")); err == nil {
		t.Error("something was shown")
	}
	m.kill()
	fresh("closed")
	m.serve("reseal")
	m.does(nil, "ben", "open", id, "-o", "out.bin")
	m.equal("out.bin", film)
}

// Damage that comes while the server runs: the first call that touches it ends
// the server, because what it would go on to acknowledge would be lost with the
// data when the backup is put back. The next start names it as well.
func TestDamageWhileServing(t *testing.T) {
	m := newMachine(t)
	m.does(nil, "ana", "signup", "ana")
	m.does(nil, "ben", "signup", "ben")
	m.does(nil, "ana", "send", "ben", "--text", "before")
	m.term()
	for _, way := range []string{"altered", "cut"} {
		t.Run(way, func(t *testing.T) { m.damagedWhileServing(t, way == "cut") })
	}
}

func (m *machine) damagedWhileServing(t *testing.T, cut bool) {
	m.serve("reseal")
	tables := m.glob("data/store/db/*.sst")
	good := make([][]byte, len(tables))
	for i, table := range tables {
		var err error
		if good[i], err = os.ReadFile(table); err != nil {
			t.Fatal(err)
		}
		if cut {
			if err := os.Truncate(table, 100); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for at := 16; at < len(good[i]); at += 512 {
			m.alter(table, at)
		}
	}
	c := m.typed("ben", "inbox") // whatever it is that reads
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-m.down:
	case <-time.After(patience):
		t.Fatal("it goes on with damaged data")
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	if text := m.errs.String(); !strings.Contains(text, ".sst") || !strings.Contains(text, "restore") || strings.Count(text, "\n") > 8 {
		t.Errorf("said: %s", text)
	}
	if e := m.ends(); e.Error != "data_damaged" || !strings.Contains(e.Message, ".sst") {
		t.Errorf("the next start: %+v", e)
	}
	// The file comes back, and with it everything.
	for i, table := range tables {
		m.overwrite(table, good[i])
	}
	m.serve("reseal")
	if r := m.at("ben", "inbox"); r.code != exitDone || !strings.Contains(r.out, "ready") {
		t.Error(r)
	}
	m.term()
}
