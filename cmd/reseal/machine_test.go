package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// machine runs the command as processes of their own, which can be killed: a
// server with a durable store, and what people type at homes of their own.
type machine struct {
	t *testing.T
	// dir holds the homes, the data and the files.
	dir string
	// url is what homes are told: the server, or what stands before it.
	url string
	// addr is where the server listens, the same one after a restart.
	addr string
	// watch is told of every command that runs, unless it is nil, and what it
	// returns is called at the command's end.
	watch func(*os.Process) (ended func())

	mu     sync.Mutex
	server *exec.Cmd
	down   chan struct{}
	errs   *bytes.Buffer
}

// patience is how long a test waits for what must come.
const patience = 2 * time.Minute

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir(), addr: "127.0.0.1:0"}
	t.Cleanup(func() { m.kill() })
	m.serve("reseal")
	m.url = "http://" + m.addr
	return m
}

// process is this very program under one of the names that TestMain knows.
func (m *machine) process(program string, args ...string) *exec.Cmd {
	m.t.Helper()
	self, err := os.Executable()
	if err != nil {
		m.t.Fatal(err)
	}
	c := exec.Command(self)
	c.Args, c.Dir = append([]string{program}, args...), m.dir
	c.Env = append(os.Environ(), "RESEAL_PASSWORD="+secret, "HOME="+filepath.Join(m.dir, "nobody"), "RESEAL_HOME=", "RESEAL_SERVER=")
	return c
}

// serve starts the server and waits until it takes clients. The program may be
// another than "reseal", with arguments of its own; those of "serve" follow.
func (m *machine) serve(program string, args ...string) {
	m.t.Helper()
	if program == "reseal" {
		args = append([]string{"serve"}, args...)
	} else {
		args = append(args, "serve")
	}
	c := m.process(program, append(args, "--json", "--metrics", "off", "--data", "data", "--listen", m.addr)...)
	errs := new(bytes.Buffer)
	c.Stderr = errs
	out, err := c.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		m.t.Fatal(err)
	}
	var hello struct{ Address string }
	if err := json.NewDecoder(out).Decode(&hello); err != nil || hello.Address == "" {
		m.t.Fatalf("no server: %v, %v\n%s", err, c.Wait(), errs)
	}
	down := make(chan struct{})
	m.mu.Lock()
	m.server, m.down, m.errs, m.addr = c, down, errs, hello.Address
	m.mu.Unlock()
	go func() { defer close(down); _ = c.Wait() }()
}

// kill ends the server as a power cut would: nothing of it runs on.
func (m *machine) kill() {
	m.mu.Lock()
	c, down := m.server, m.down
	m.server = nil
	m.mu.Unlock()
	if c != nil {
		_ = c.Process.Kill()
		<-down
	}
}

// result is what came of a command.
type result struct {
	code     int
	out, err string
}

func (r result) String() string { return fmt.Sprintf("exit code %d\n%s%s", r.code, r.out, r.err) }

func (m *machine) run(c *exec.Cmd) result {
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Start(); err != nil {
		m.t.Errorf("%q: %v", c.Args, err)
		return result{code: -1}
	}
	if m.watch != nil {
		defer m.watch(c.Process)()
	}
	// One that hangs tells where.
	hangs := time.AfterFunc(patience, func() { _ = c.Process.Signal(syscall.SIGQUIT) })
	err := c.Wait()
	hangs.Stop()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		m.t.Errorf("%q: %v", c.Args, err)
	}
	return result{c.ProcessState.ExitCode(), out.String(), errs.String()}
}

// at runs a command at a home.
func (m *machine) at(home string, args ...string) result { return m.run(m.typed(home, args...)) }

// typed is a command at a home, not yet started.
func (m *machine) typed(home string, args ...string) *exec.Cmd {
	return m.process("reseal", append([]string{"--home", home, "--server", m.url, "--json"}, args...)...)
}

// does runs a command that must work, and reads its last object into v, unless
// that is nil.
func (m *machine) does(v any, home string, args ...string) {
	m.t.Helper()
	r := m.at(home, args...)
	if r.code != exitDone {
		m.t.Fatalf("%s: %q: %s", home, args, r)
	}
	if v == nil {
		return
	}
	if err := decode(r.out, v); err != nil {
		m.t.Fatalf("%s: %q: %v: %s", home, args, err, r)
	}
}

// refused runs a command that must fail with an error of the closed list. Hint
// is part of the way out that it must name; "" where there is none.
func (m *machine) refused(code, hint string, c *exec.Cmd) result {
	m.t.Helper()
	r := m.run(c)
	var told struct{ Error, Message, Hint string }
	if err := json.Unmarshal([]byte(r.out), &told); err != nil || r.code != exitFailed || told.Error != code {
		m.t.Fatalf("%q: want %s: %s", c.Args, code, r)
	}
	if !strings.Contains(told.Hint, hint) || (hint == "") != (told.Hint == "") || !strings.Contains(r.err, told.Message) {
		m.t.Errorf("%q: want the hint %q: %s", c.Args, hint, r)
	}
	return r
}

type sentJSON struct {
	To []struct{ Account, Message string }
}

type inboxJSON struct {
	ID, From, State, Policy string
	Size                    uint64
}

// inbox lists the messages at a home.
func (m *machine) inbox(home string, args ...string) []inboxJSON {
	m.t.Helper()
	r := m.at(home, append([]string{"inbox"}, args...)...)
	if r.code != exitDone {
		m.t.Fatalf("%s: inbox: %s", home, r)
	}
	var all []inboxJSON
	for d := json.NewDecoder(strings.NewReader(r.out)); d.More(); {
		var one inboxJSON
		if err := d.Decode(&one); err != nil {
			m.t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// until repeats f until it is true.
func (m *machine) until(what string, f func() bool) {
	m.t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatalf("never came: %s", what)
		}
	}
}

// file makes a file that does not compress or repeat, another for each seed.
func (m *machine) file(name string, size int, seed uint64) []byte {
	m.t.Helper()
	b := make([]byte, size)
	_, _ = (&noise{x: seed}).Read(b)
	if err := os.WriteFile(filepath.Join(m.dir, name), b, 0o600); err != nil {
		m.t.Fatal(err)
	}
	return b
}

// read is a file's content.
func (m *machine) read(name string) []byte {
	m.t.Helper()
	b, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil {
		m.t.Fatal(err)
	}
	return b
}

// decode reads the last object of an output.
func decode(out string, v any) error {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return json.Unmarshal([]byte(lines[len(lines)-1]), v)
}
