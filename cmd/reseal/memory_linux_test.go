package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var gibibyte = flag.Bool("gib", false, "TestMemory with a file of 1 GiB instead of 128 MiB")

// most is what each process may have in memory at once.
const most = 100 << 20

// peak is the most memory that a process has had so far, in bytes.
func peak(pid int) (n int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(b, []byte("VmHWM:"))
	_, err = fmt.Sscanf(string(rest), "%d kB", &n)
	return n << 10, err
}

// measured runs a command that must work, and returns its peak.
func (m *machine) measured(c *exec.Cmd) (n int64) {
	m.t.Helper()
	var errs bytes.Buffer
	c.Stderr = &errs
	if err := c.Start(); err != nil {
		m.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for {
		// What it had never falls: the last look before the end counts.
		if now, err := peak(c.Process.Pid); err == nil {
			n = max(n, now)
		}
		select {
		case err := <-ended:
			if err != nil || n == 0 {
				m.t.Fatalf("%q: peak %d, %v\n%s", c.Args, n, err, &errs)
			}
			return n
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// TestMemory sends a file that is larger than what the server, the sender and
// the opener together may have in memory.
func TestMemory(t *testing.T) {
	size := int64(128 << 20)
	if *gibibyte {
		size = 1 << 30
	}
	m := newMachine(t)
	m.does(nil, "ana", "signup", "ana")
	m.does(nil, "ben", "signup", "ben")
	want := m.large("film.bin", size)
	send := m.measured(m.typed("ana", "send", "ben", "film.bin"))
	m.until("ben has it", func() bool { return len(m.inbox("ben")) == 1 })
	open := m.measured(m.typed("ben", "open", m.inbox("ben")[0].ID, "-o", "out.bin"))
	serve, err := peak(m.server.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if m.sum("out.bin") != want {
		t.Error("another content")
	}
	for who, n := range map[string]int64{"server": serve, "sender": send, "opener": open} {
		t.Logf("%s: peak %d MiB for a file of %d MiB", who, n>>20, size>>20)
		if n > most*slack {
			t.Errorf("%s had %d MiB in memory, and may have %d", who, n>>20, most*slack>>20)
		}
	}
}

// large makes a file that does not compress, and returns its hash.
func (m *machine) large(name string, size int64) [32]byte {
	m.t.Helper()
	f, err := os.Create(filepath.Join(m.dir, name))
	if err != nil {
		m.t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	_, err = io.CopyN(w, &noise{x: 12}, size)
	if err = errors.Join(err, w.Flush(), f.Close()); err != nil {
		m.t.Fatal(err)
	}
	return m.sum(name)
}

func (m *machine) sum(name string) (sum [32]byte) {
	m.t.Helper()
	f, err := os.Open(filepath.Join(m.dir, name))
	if err != nil {
		m.t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		m.t.Fatal(err)
	}
	h.Sum(sum[:0])
	return sum
}

// TestMemoryOfOwner: what runs in the process that owns a home, because another
// command asks it to, is in its memory: the logins that the doctor tries, and a change of
// the password. There is room for one Argon2id at a time.
func TestMemoryOfOwner(t *testing.T) {
	const one, rest = 64 << 20, 24 << 20
	m := newMachine(t)
	m.does(nil, "ana", "signup", "ana")
	owner := m.typed("ana", "agent")
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = owner.Process.Kill(); _ = owner.Wait() }()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	before, err := peak(owner.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var home finding
		m.does(nil, "ana", "doctor")
		r := m.at("ana", "doctor")
		if err := json.Unmarshal([]byte(strings.Split(r.out, "\n")[1]), &home); err != nil || !strings.Contains(home.Detail, "another process") {
			t.Fatalf("nobody else owns the home: %v, %s", err, r)
		}
	}
	change := m.typed("ana", "passwd")
	change.Env = append(change.Env, "RESEAL_NEW_PASSWORD="+secret+" anew")
	if r := m.run(change); r.code != exitDone {
		t.Fatal(r)
	}
	after, err := peak(owner.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("peak %d MiB, then %d MiB", before>>20, after>>20)
	if after > (before+one+rest)*slack {
		t.Errorf("the owner had %d MiB in memory, then %d: more than one Argon2id at a time", before>>20, after>>20)
	}
}
