package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

func init() { programs["reseal-skewed"] = skewed }

// skewed is the command on a machine whose clock is off by the first argument.
func skewed() {
	by, err := time.ParseDuration(os.Args[1])
	if err != nil {
		panic(err)
	}
	os.Args = append(os.Args[:1], os.Args[2:]...)
	e := here()
	e.clock = func() time.Time { return time.Now().Add(by) }
	os.Exit(startWith(e))
}

// skewed is a command at a home whose clock is off.
func (m *machine) skewed(by time.Duration, home string, args ...string) *exec.Cmd {
	return m.process("reseal-skewed", append([]string{by.String(), "--home", home, "--server", m.url, "--json"}, args...)...)
}

// A clock that is off by days: what would be refused is refused at once, by
// name and with the way out; what is here stays, and when the clock is right
// all of it opens.
func TestClockOffByDaysAtTheCommand(t *testing.T) {
	m := newMachine(t)
	film := m.file("film.bin", 100_000, 11)
	m.does(nil, "ana", "signup", "ana")
	m.does(nil, "ben", "signup", "ben")
	const day = 24 * time.Hour
	var films []string
	send := func() {
		var sent sentJSON
		m.does(&sent, "ana", "send", "ben", "film.bin")
		films = append(films, sent.To[0].Message)
	}
	for _, by := range []time.Duration{3 * day, -3 * day} {
		send()
		r := m.refused("clock", "set the clock", m.skewed(by, "ben", "send", "ana", "--text", "when is it?"))
		if told := regexp.MustCompile(`off by (-?)(72h0m|71h59m)`).FindStringSubmatch(r.out); told == nil || (told[1] == "-") != (by < 0) {
			t.Errorf("%v: the clock is not told: %s", by, r)
		}
		m.refused("clock", "set the clock", m.skewed(by, fmt.Sprint("new", by), "signup", "carl"))
		if r := m.run(m.skewed(by, "ben", "inbox")); r.code != exitDone {
			t.Errorf("%v: inbox: %s", by, r)
		}
	}
	// So far ahead that all has expired by it: nothing is shown, nor erased.
	m.refused("expired", "clock", m.skewed(40*day, "ben", "open", films[0]))
	if r := m.run(m.skewed(40*day, "ben", "inbox")); r.code != exitDone || strings.Contains(r.out, films[1]) {
		t.Errorf("inbox: %s", r)
	}
	// The clock is right again.
	for _, s := range m.inbox("ana", "--sent") {
		if s.State != "sent" {
			t.Errorf("what was sent is %s", s.State)
		}
	}
	for i, id := range films {
		out := fmt.Sprint("out", i)
		m.does(nil, "ben", "open", id, "-o", out)
		m.equal(out, film)
	}
	m.does(nil, "carl", "signup", "carl")
	m.does(nil, "ben", "send", "ana", "--text", "now I know")

	// It is the server whose clock is off, which to the client is the same.
	m.kill()
	m.serve("reseal", "--clock-offset", "3d")
	m.refused("clock", "set the clock", m.typed("ana", "send", "ben", "--text", "when is it?"))
	r := m.at("ana", "doctor")
	if r.code != exitFailed || !strings.Contains(r.out, `"check":"clock","ok":false`) {
		t.Errorf("doctor: %s", r)
	}
	m.kill()
	m.serve("reseal")
	send()
	m.does(nil, "ben", "open", films[len(films)-1], "-o", "last")
	m.equal("last", film)
}
