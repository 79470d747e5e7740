package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// screen is a terminal with a person before it, who sees what is written there
// and types.
type screen struct {
	t    *testing.T
	keys *os.File

	mu    sync.Mutex
	shown strings.Builder
	done  chan error
}

// at runs a command of a home at a terminal of its own.
func (h *home) at(args ...string) *screen {
	h.t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		h.t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(keys.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		h.t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := h.command(args...)
	for i, v := range cmd.Env {
		if strings.HasPrefix(v, "RESEAL_PASSWORD=") {
			cmd.Env[i] = "RESEAL_PASSWORD="
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	_ = tty.Close()
	s := &screen{t: h.t, keys: keys, done: make(chan error, 1)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := keys.Read(buf)
			s.mu.Lock()
			s.shown.Write(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	go func() {
		err := cmd.Wait()
		<-read // the last words
		s.done <- err
	}()
	h.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = keys.Close() })
	return s
}

// text is all that was written, without colours and moves of the cursor.
func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return escapes.ReplaceAllString(s.shown.String(), "")
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

// sees waits until the screen shows something behind what was seen before.
func (s *screen) sees(want string) {
	s.t.Helper()
	re := regexp.MustCompile(want)
	for end := time.Now().Add(patience); !re.MatchString(s.text()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("never shown: %s\n%q", want, s.text())
		}
	}
}

func (s *screen) types(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.keys, text+"\r"); err != nil {
		s.t.Fatal(err)
	}
}

func (s *screen) ends() error {
	s.t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(patience):
		s.t.Fatalf("does not end: %q", s.text())
		return nil
	}
}

// Commands that run in another process, the agent, show their progress and ask
// their questions at the terminal where they were given, and nowhere else.
func TestHandedOverAtATerminal(t *testing.T) {
	url := newServer(t)
	ana, ben := newHome(t, url, "ana"), newHome(t, url, "ben")
	agent := ana.agent()
	film := filepath.Join(t.TempDir(), "film.mp4")
	f, err := os.Create(film)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(60 << 20); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()

	// Progress: a bar that says what is done, and how much of it.
	s := ana.at("send", "ben", film, "--keep")
	if err := s.ends(); err != nil {
		t.Fatalf("%v\n%s", err, s.text())
	}
	for _, part := range []string{"encrypt|seal", "upload|send", `\d+ ?%`, "ben +[0-9a-f]{8}"} {
		if !regexp.MustCompile(part).MatchString(s.text()) {
			t.Errorf("no %s in %q", part, s.text())
		}
	}

	// Questions, without an echo of what is secret.
	s = ana.at("passwd")
	s.sees(`\[y/N\] $`)
	s.types("n")
	s.sees(`(?i)password[^\n]*: ?$`)
	s.types(secret)
	s.sees(`(?i)new password[^\n]*: ?$`)
	const fresh = "seven quiet otters repaint the lighthouse"
	s.types(fresh)
	s.sees(`(?i)(again|repeat)[^\n]*: ?$`)
	s.types(fresh)
	if err := s.ends(); err != nil {
		t.Fatalf("%v\n%s", err, s.text())
	}
	if shown := s.text(); strings.Contains(shown, secret) || strings.Contains(shown, fresh) {
		t.Errorf("a password is on the screen: %q", shown)
	}

	// Ctrl-C at a question ends the command, and not the owner.
	s = ana.at("passwd")
	s.sees(`\[y/N\] $`)
	s.types("n")
	s.sees(`(?i)password[^\n]*: ?$`)
	if _, err := io.WriteString(s.keys, "\x03"); err != nil {
		t.Fatal(err)
	}
	if err := s.ends(); err == nil {
		t.Error("interrupted, and said to have been done")
	}
	if got := ben.inbox(); len(got) != 1 {
		t.Errorf("%d messages", len(got))
	}
	ana.run("send", "ben", "--text", "the agent goes on")
	if err := agent.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the agent is gone: %v", err)
	}
}

// An agent that dies while its command asks something, or has asked: the command
// ends, says what is known, and changed nothing.
func TestAgentKilledAtAQuestion(t *testing.T) {
	ana := newHome(t, newServer(t), "ana")
	agent := ana.agent()
	s := ana.at("passwd")
	s.sees(`\[y/N\] $`)
	s.types("n")
	s.sees(`(?i)password[^\n]*: ?$`)
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.ends(); err == nil || !strings.Contains(s.text(), errOwnerGone.Error()) {
		t.Errorf("%v: %q", err, s.text())
	}
	if state, err := unix.IoctlGetTermios(int(s.keys.Fd()), unix.TCGETS); err != nil || state.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal shows nothing that is typed from now on: %v", err)
	}
	if got := ana.run("status", "--json"); !strings.Contains(got, `"account":"ana"`) {
		t.Errorf("afterwards: %s", got)
	}
	ana.run("logout")
	ana.run("login", "ana") // by the password of before
}
