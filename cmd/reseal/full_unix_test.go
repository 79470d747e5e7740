//go:build linux || darwin || freebsd

package main

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// cramped is a command at a home on a disk without room.
func (m *machine) cramped(limit int, home string, args ...string) *exec.Cmd {
	return m.process("reseal-small", append([]string{strconv.Itoa(limit), "--home", home, "--server", m.url, "--json"}, args...)...)
}

// glob lists files.
func (m *machine) glob(patterns ...string) (all []string) {
	for _, p := range patterns {
		some, _ := filepath.Glob(filepath.Join(m.dir, p))
		all = append(all, some...)
	}
	return all
}

// A full disk at a client: each command says so, and how to go on; nothing is
// lost, nothing half done, and with room again all of it works.
func TestFullDiskAtTheClient(t *testing.T) {
	m := newMachine(t)
	film := m.file("film.bin", 3_000_000, 9)
	m.does(nil, "ana", "signup", "ana")
	m.does(nil, "ben", "signup", "ben")
	var sent sentJSON
	m.does(&sent, "ana", "send", "ben", "film.bin")
	filmID := sent.To[0].Message
	m.does(&sent, "ana", "send", "ben", "--text", "only once")
	textID := sent.To[0].Message
	const room = 1 << 20            // for records, and not for the film
	before := m.glob("ana/files/*") // of what is sent, until it is viewed

	// No room for a file: not to seal it, and not to take it.
	m.refused("full", "make room", m.cramped(room, "ana", "send", "ben", "film.bin"))
	m.refused("full", "make room", m.cramped(room, "ben", "open", filmID, "-o", "out.bin"))
	if left := m.glob("out.bin", ".reseal-*"); len(left) != 0 {
		t.Errorf("left behind by the open: %q", left)
	}
	if left := m.glob("ana/files/*"); len(left) != len(before) {
		t.Errorf("left behind by the send: %q and before it %q", left, before)
	}
	if r := m.run(m.cramped(room, "ana", "send", "ben", "--keep", "--text", "there is room for this")); r.code != exitDone {
		t.Errorf("a text: %s", r)
	}

	// No room for anything.
	m.refused("full", "make room", m.cramped(1, "ana", "send", "ben", "--text", "lost?"))
	m.refused("full", "make room", m.cramped(1, "ben", "open", textID))
	m.refused("full", "make room", m.cramped(1, "carl", "signup", "carl"))
	m.refused("full", "make room", m.cramped(1, "tablet", "login", "ana"))

	// There is room again.
	m.does(nil, "carl", "signup", "carl")
	var in struct {
		NewDevice bool `json:"new_device"`
	}
	if m.does(&in, "tablet", "login", "ana"); !in.NewDevice {
		t.Error("the tablet has a device, though nothing could be stored")
	}
	if r := m.at("ana", "devices"); strings.Count(r.out, "\n") != 2 {
		t.Errorf("devices that nobody has: %s", r)
	}
	for _, s := range m.inbox("ana", "--sent") {
		if s.State != "sent" {
			t.Errorf("what was sent is %s", s.State)
		}
	}
	m.does(nil, "ben", "open", filmID, "-o", "out.bin")
	m.equal("out.bin", film)
	var text struct{ Text string }
	if m.does(&text, "ben", "open", textID); text.Text != "only once" {
		t.Errorf("got %q", text.Text)
	}
	if all := m.inbox("ben"); len(all) != 1 || all[0].Policy != "keep" {
		t.Errorf("%+v", all)
	}
	m.does(&sent, "ana", "send", "ben", "film.bin")
	m.does(nil, "ben", "open", sent.To[0].Message, "-o", "again.bin")
	m.equal("again.bin", film)
}

// A full disk at the server: what it cannot take is refused by name; when it
// can take nothing it ends, and says why; all that it acknowledged is there.
func TestFullDiskAtTheServer(t *testing.T) {
	m := newMachine(t)
	film := m.file("film.bin", 3_000_000, 10)
	m.does(nil, "ana", "signup", "ana")
	m.does(nil, "ben", "signup", "ben")
	m.kill()
	m.serve("reseal-small", strconv.Itoa(300_000))
	m.refused("server_full", "later", m.typed("ana", "send", "ben", "film.bin"))
	words := strings.Repeat("words ", 2000)
	down, acked := m.down, []string{}
	for over := false; !over; {
		ended := make(chan result, 1)
		c := m.typed("ana", "send", "ben", "--keep", "--text", words)
		go func() { ended <- m.run(c) }()
		var r result
		select {
		case r = <-ended:
		case <-down:
			// The disk is full. What is being sent goes on when there is room.
			if told := m.errs.String(); !strings.Contains(told, "hint: check the disk") || strings.Contains(told, "panic") || strings.Contains(told, "goroutine ") {
				t.Errorf("the server says: %s", told)
			}
			m.serve("reseal")
			r, over = <-ended, true
		}
		var sent sentJSON
		switch {
		case r.code == exitDone && decode(r.out, &sent) == nil:
			acked = append(acked, sent.To[0].Message)
		case !over || !strings.Contains(r.out, `"error":"server_full"`) && !strings.Contains(r.out, `"error":"offline"`):
			t.Errorf("no clear error: %s", r)
		}
		if len(acked) > 100 {
			t.Fatal("the disk is not full")
		}
	}
	t.Logf("%d texts were acknowledged", len(acked))
	there := map[string]bool{}
	m.until("all of it is there", func() bool {
		for _, one := range m.inbox("ben") {
			there[one.ID] = one.State == "ready"
		}
		for _, id := range acked {
			if !there[id] {
				return false
			}
		}
		return true
	})
	var sent sentJSON
	m.does(&sent, "ana", "send", "ben", "film.bin")
	m.does(nil, "ben", "open", sent.To[0].Message, "-o", "out.bin")
	m.equal("out.bin", film)
}
