package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client/handover"
	"github.com/reseal/reseal/internal/safename"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

const secret = "correct horse battery staple"

// newServer runs a server in this process and returns its URL.
func newServer(t *testing.T) string {
	return newServerAt(t, time.Now)
}

// newServerAt runs one with a clock of its own.
func newServerAt(t *testing.T, now func() time.Time) string {
	t.Helper()
	return newServerWith(t, now, func(s store.Store) store.Store { return s })
}

// newServerOn runs one with a store of its own.
func newServerOn(t *testing.T, wrap func(store.Store) store.Store) string {
	t.Helper()
	return newServerWith(t, time.Now, wrap)
}

func newServerWith(t *testing.T, now func() time.Time, wrap func(store.Store) store.Store) string {
	t.Helper()
	st, err := memory.New(server.Schema(), memory.Options{Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	setup, err := opaque.NewSetup(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{Store: wrap(st), BlobFolder: t.TempDir(), BlobFloor: -1, Setup: setup, Version: "test", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done; _ = st.Close() })
	url := "http://" + l.Addr().String()
	servers.Store(url, s)
	return url
}

// servers are the servers of this process, by URL.
var servers sync.Map

// person is somebody at a terminal, with answers to what is asked.
type person struct {
	*surroundings
	t       *testing.T
	home    string
	url     string
	answers []string
	asked   []string
}

func newPerson(t *testing.T, url string) *person {
	p := &person{surroundings: newSurroundings(t, nil), t: t, url: url, home: filepath.Join(t.TempDir(), "home")}
	p.term = handover.Terminal{Stdin: true, Stdout: true, Stderr: true, Size: handover.Size{Columns: 80, Rows: 24}}
	p.prompt = func(_ context.Context, label string, echo bool) ([]byte, error) {
		p.asked = append(p.asked, label)
		if echo {
			p.asked[len(p.asked)-1] += "(shown)"
		}
		if len(p.answers) == 0 {
			return nil, errors.New("nobody answers")
		}
		a := p.answers[0]
		p.answers = p.answers[1:]
		return []byte(a), nil
	}
	return p
}

// does runs a command and checks its exit code; the answers are used up.
func (p *person) does(want int, answers []string, args ...string) string {
	p.t.Helper()
	p.out.Reset()
	p.err.Reset()
	p.asked, p.answers = nil, answers
	if got := run(p.t.Context(), &p.env, append([]string{"--home", p.home, "--server", p.url}, args...)); got != want {
		p.t.Fatalf("%q: exit code %d, want %d\n%s%s", args, got, want, &p.out, &p.err)
	}
	if len(p.answers) > 0 {
		p.t.Fatalf("%q: only asked %q", args, p.asked)
	}
	return p.out.String()
}

func TestSignupAtATerminal(t *testing.T) {
	p := newPerson(t, newServer(t))
	out := p.does(exitDone, []string{"password1", "password1", secret, secret + "!", secret, secret}, "signup", "ana")
	for _, want := range []string{"recovery code: ", "\x1b[30;107m", "█"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in what is shown", want)
		}
	}
	for _, want := range []string{"too easy to guess", "not the same", "Write the recovery code down"} {
		if !strings.Contains(p.err.String(), want) {
			t.Errorf("no %q in %s", want, &p.err)
		}
	}
	for _, q := range p.asked {
		if strings.Contains(q, "(shown)") {
			t.Errorf("a password is shown: %q", q)
		}
	}
	if strings.Contains(out+p.err.String(), secret) {
		t.Error("the password is in the output")
	}
	p.does(exitFailed, []string{"password1", "password1", "password1", "password1", "password1", "password1"}, "signup", "ben")
	if p.does(exitDone, nil, "status"); !strings.Contains(p.out.String(), "\x1b[32mreachable") {
		t.Errorf("no colours on a terminal: %q", &p.out)
	}
	p.vars = []string{noColor + "=1"}
	if p.does(exitDone, nil, "status"); strings.Contains(p.out.String(), "\x1b") {
		t.Errorf("colours, though they are not wanted: %q", &p.out)
	}
}

func TestVerifyAtATerminal(t *testing.T) {
	url := newServer(t)
	ana, ben := newPerson(t, url), newPerson(t, url)
	ana.does(exitDone, []string{secret, secret}, "signup", "ana")
	ben.does(exitDone, []string{secret, secret}, "signup", "ben")
	out := ana.does(exitDone, []string{""}, "contacts", "verify", "ben")
	var number []string
	for l := range strings.Lines(out) {
		l = strings.NewReplacer("\x1b[1m", "", "\x1b[0m", "").Replace(l)
		if f := strings.Fields(l); len(f) == 4 && len(f[0]) == 5 {
			number = append(number, f...)
		}
	}
	if len(number) != 12 || !strings.Contains(out, "█") {
		t.Fatalf("no number, or no code to scan, in %q", out)
	}
	ben.does(exitFailed, []string{strings.Repeat("12345", 12)}, "contacts", "verify", "ana")
	ben.does(exitDone, []string{strings.Join(number, " ")}, "contacts", "verify", "ana")
	if out := ben.does(exitDone, nil, "contacts"); !strings.Contains(out, "\x1b[32myes") {
		t.Errorf("not verified: %q", out)
	}
}

// TestHostileSender is about what a modified client could put into a message.
func TestHostileSender(t *testing.T) {
	url := newServer(t)
	ben := newPerson(t, url)
	ben.does(exitDone, []string{secret, secret}, "signup", "ben")
	in, err := reseal.Open(filepath.Join(t.TempDir(), "mallory"), reseal.Options{Server: url})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	mallory, _, err := in.SignUp(t.Context(), "mallory", []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	send := func(o reseal.Outgoing) string {
		t.Helper()
		o.To, o.Policy = []string{"ben"}, reseal.Keep
		sent, err := mallory.Send(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return sent[0].Message.String()
	}
	precious := filepath.Join(ben.dir, "precious.txt")
	if err := os.WriteFile(precious, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := []string{
		"precious.txt", "../precious.txt", "/etc/passwd", "..", "", ".profile", "-rf", `C:\autoexec.bat`, "a\x1b[2Jb", "\u202egpj.exe",
		"CON", "x/", strings.Repeat("é", 120) + ".txt", ".reseal-0000000000000000.part",
	}
	for _, name := range names {
		id := send(reseal.Outgoing{File: strings.NewReader("hostile"), Size: 7, Name: name, Type: "x/y", Caption: "\x1b]0;owned\x07"})
		if out := ben.does(exitDone, nil, "open", id); strings.Contains(out+ben.err.String(), "\x1b]") || strings.Contains(out, "\x1b[2J") {
			t.Errorf("%q: drives the terminal: %q %q", name, out, &ben.err)
		}
	}
	if b, err := os.ReadFile(precious); err != nil || string(b) != "precious" {
		t.Errorf("overwritten: %q, %v", b, err)
	}
	files, err := os.ReadDir(ben.dir)
	if err != nil || len(files) != len(names)+1 {
		t.Errorf("%d files, want %d; %v", len(files), len(names)+1, err)
	}
	for _, f := range files {
		if safename.Name(f.Name(), "x") != f.Name() {
			t.Errorf("unsafe name %q", f.Name())
		}
	}
	if others, _ := filepath.Glob(filepath.Join(filepath.Dir(ben.dir), "*.txt")); len(others) > 0 {
		t.Errorf("outside of the folder: %q", others)
	}
	if out := ben.does(exitDone, nil, "inbox"); strings.Contains(out, "\x1b]") || strings.Contains(out, "\x1b[2J") || strings.Contains(out, "\u202e") {
		t.Errorf("the list drives the terminal: %q", out)
	}
	id := send(reseal.Outgoing{Text: "a\x1b[2Jb\u202ec\r\nd\n"})
	if out := ben.does(exitDone, nil, "open", id); out != "a\ufffd[2Jb\ufffdc\nd\n" {
		t.Errorf("text on a terminal: %q", out)
	}
	ben.term.Stdout = false
	if out := ben.does(exitDone, nil, "open", id); out != "a\x1b[2Jb\u202ec\r\nd\n" {
		t.Errorf("text on a pipe: %q", out)
	}
}

// failing is a standard output whose reader has gone.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, fs.ErrClosed }

// TestNotShownIsNotViewed: a message to be viewed once stays when it could not
// be shown or written.
func TestNotShownIsNotViewed(t *testing.T) {
	url := newServer(t)
	ana, ben := newPerson(t, url), newPerson(t, url)
	ana.does(exitDone, []string{secret, secret}, "signup", "ana")
	ben.does(exitDone, []string{secret, secret}, "signup", "ben")
	ana.does(exitDone, nil, "send", "ben", "--text", "only once", "--json")
	_, rest, _ := strings.Cut(ana.out.String(), `"message":"`)
	id := rest[:64]
	out := ben.stdout
	for _, args := range [][]string{{"open", id}, {"open", id, "--json"}, {"open", id, "-o", "-"}} {
		ben.stdout = failing{}
		ben.does(exitFailed, nil, args...)
	}
	ben.stdout = out
	if err := os.Chmod(ben.dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 { // who root is, the mode does not stop
		ben.does(exitFailed, nil, "open", id, "-o", "file")
	}
	if err := os.Chmod(ben.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ben.term.Stdout = false
	if got := ben.does(exitDone, nil, "open", id); got != "only once" {
		t.Errorf("%q", got)
	}
	ben.does(exitFailed, nil, "open", id)
}

func TestInterruptedCommand(t *testing.T) {
	p := newPerson(t, newServer(t))
	p.does(exitDone, []string{secret, secret}, "signup", "ana")
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	p.stdin = r
	go func() {
		_, _ = w.Write([]byte("some"))
		cancel(errInterrupted)
		_, _ = w.Write([]byte("more"))
		_ = w.Close()
	}()
	p.out.Reset()
	p.err.Reset()
	if code := run(ctx, &p.env, []string{"--home", p.home, "--server", p.url, "send", "ana", "-", "--name", "x.bin", "--json"}); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(p.out.String(), `"error":"interrupted"`) {
		t.Errorf("%s", &p.out)
	}
}
