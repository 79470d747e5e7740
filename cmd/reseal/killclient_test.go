package main

import (
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// couple is ana, whose traffic goes through a gate, and ben, whose does not.
func couple(t *testing.T) (*machine, *gate) {
	t.Helper()
	m := newMachine(t)
	m.does(nil, "ben", "signup", "ben")
	g := newGate(t, m.addr)
	m.does(nil, "ana", "--server", g.url, "signup", "ana")
	return m, g
}

// killed starts a command and kills it when the gate holds something back.
func (m *machine) killed(c *exec.Cmd, held <-chan struct{}) {
	m.t.Helper()
	if err := c.Start(); err != nil {
		m.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = c.Wait() }()
	select {
	case <-held:
	case <-ended:
		m.t.Fatalf("%q ended before it could be killed", c.Args)
	case <-time.After(patience):
		m.t.Errorf("%q never got there", c.Args)
	}
	_ = c.Process.Kill()
	<-ended
}

// once waits for the one message at ben's, while ana types commands, and opens
// it; it comes no second time.
func (m *machine) once(g *gate, step string, want []byte) {
	m.t.Helper()
	m.until(step+": ben has it", func() bool {
		m.does(nil, "ana", "--server", g.url, "inbox", "--sent")
		return len(m.inbox("ben")) > 0
	})
	all := m.inbox("ben")
	if len(all) != 1 {
		m.t.Fatalf("%s: %+v", step, all)
	}
	m.does(nil, "ben", "open", all[0].ID, "-o", "got", "--force")
	if !bytes.Equal(m.read("got"), want) {
		m.t.Errorf("%s: another content", step)
	}
	m.does(nil, "ana", "--server", g.url, "inbox", "--sent")
	if again := m.inbox("ben"); len(again) != 0 {
		m.t.Errorf("%s: it came again: %+v", step, again)
	}
}

// A sender that is killed in the middle of a send: the next command at its home
// finishes it, and it comes once.
func TestClientKilledInASend(t *testing.T) {
	m, g := couple(t)
	const size = 3_000_000
	file := m.file("film.bin", size, 7)
	send := func() *exec.Cmd { return m.typed("ana", "--server", g.url, "send", "ben", "film.bin") }

	m.killed(send(), g.hold(toServer, 200_000))
	g.open()
	m.once(g, "the upload had begun", file)

	m.killed(send(), g.holdAfter(toServer, size, toClient))
	g.open()
	m.once(g, "the upload was over, and the server could not say so", file)

	// The server has stored the message, and the sender never hears of it.
	app := m.typed("ana", "--server", g.url, "watch")
	out, err := app.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = app.Process.Kill(); _ = app.Wait() }()
	awaitEvent(t, out, "caught_up")
	m.unknownOutcome(g)
	_ = app.Process.Kill()
	_ = app.Wait()
	g.open()
	m.once(g, "the message was stored, and the server could not say so", []byte("did you get it?"))
	if left, _ := filepath.Glob(filepath.Join(m.dir, "ana", "files", "*")); len(left) != 0 {
		t.Errorf("files are left: %q", left)
	}
}

// unknownOutcome leaves ana with a text that the server has stored without her
// knowing. What comes back for an ordinary send is counted first; most of it
// may pass the next time, and the last of it, which is the word that the message
// is stored, may not.
func (m *machine) unknownOutcome(g *gate) {
	m.t.Helper()
	text := func() *exec.Cmd { return m.typed("ana", "--server", g.url, "send", "ben", "--text", "did you get it?") }
	clear := func() {
		for _, one := range m.inbox("ben") {
			m.does(nil, "ben", "open", one.ID, "-o", "cleared", "--force")
		}
		m.until("ana knows of all views", func() bool {
			r := m.at("ana", "--server", g.url, "inbox", "--sent")
			return r.code == exitDone && !strings.Contains(r.out, `"state":"sent"`) && !strings.Contains(r.out, `"state":"queued"`)
		})
	}
	clear()
	before := g.count(toClient)
	if r := m.run(text()); r.code != exitDone {
		m.t.Fatal(r)
	}
	n := g.count(toClient) - before - 1
	for range 20 {
		clear()
		g.hold(toClient, n)
		c := text()
		if err := c.Start(); err != nil {
			m.t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { defer close(ended); _ = c.Wait() }()
		m.t.Cleanup(func() { _ = c.Process.Kill(); <-ended })
		there := false
		for range 20 {
			if there = len(m.inbox("ben")) > 0; there {
				break
			}
		}
		select {
		case <-ended: // it was told
			n -= 16
		case <-time.After(300 * time.Millisecond):
			if there {
				return
			}
		}
		g.open() // held too early, or too late
		<-ended
	}
	m.t.Fatal("the sender always learned of it")
}

// awaitEvent reads what a watch says until it names the event, and then on, so
// that the watch does not wait for a reader.
func awaitEvent(t *testing.T, out io.Reader, event string) {
	t.Helper()
	var seen bytes.Buffer
	b := make([]byte, 4096)
	for !bytes.Contains(seen.Bytes(), []byte(`"event":"`+event+`"`)) {
		n, err := out.Read(b)
		if seen.Write(b[:n]); err != nil {
			t.Fatalf("no %s: %v\n%s", event, err, &seen)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
}

// A recipient that is killed in the middle of a view: the message is there
// until it was shown, and gone everywhere after that.
func TestClientKilledInAnOpen(t *testing.T) {
	m, g := couple(t)
	const size = 3_000_000
	file := m.file("film.bin", size, 8)
	send := func() string {
		t.Helper()
		var sent sentJSON
		m.does(&sent, "ben", "send", "ana", "film.bin")
		return sent.To[0].Message
	}
	open := func(id, out string) *exec.Cmd { return m.process("reseal", "--home", "ana", "open", id, "-o", out) }
	viewed := func() {
		t.Helper()
		m.until("ben knows", func() bool {
			for _, s := range m.inbox("ben", "--sent") {
				if s.State != "viewed" {
					return false
				}
			}
			return true
		})
	}

	// While the content comes: nothing was shown.
	id := send()
	m.killed(open(id, "first"), g.hold(toClient, size/2))
	g.open()
	if r := m.run(open(id, "first")); r.code != exitDone {
		t.Fatalf("open after a kill: %s", r)
	}
	m.equal("first", file)
	viewed()

	// While it is shown, claimed already: it was not shown completely.
	id = send()
	c := open(id, "-")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, size/2)); err != nil {
		t.Fatal(err)
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	if all := m.inbox("ben", "--sent"); all[len(all)-1].State != "sent" && all[0].State != "sent" {
		t.Errorf("viewed before it was: %+v", all)
	}

	// Shown to its end, but nobody has been told: the next command does.
	c = open(id, "-")
	if out, err = c.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, size)
	if _, err := io.ReadFull(out, got[:size/2]); err != nil {
		t.Fatal(err)
	}
	held := g.hold(toServer, 0)
	if _, err := io.ReadFull(out, got[size/2:]); err != nil || !bytes.Equal(got, file) {
		t.Errorf("another content, %v", err)
	}
	<-held
	_ = c.Process.Kill()
	_ = c.Wait()
	g.open()
	m.refused("viewed", "ask the sender", m.typed("ana", "--server", g.url, "open", id))
	viewed()
}
