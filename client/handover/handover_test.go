package handover_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/reseal/reseal/client/handover"
)

// TestMain is also the owner process of the tests that kill one.
func TestMain(m *testing.M) {
	if dir := os.Getenv("RESEAL_TEST_OWNER"); dir != "" {
		if _, err := handover.Listen(dir, handle); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready")
		select {}
	}
	goleak.VerifyTestMain(m)
}

// handle is a small program with one command of each kind.
func handle(ctx context.Context, c handover.Command, s handover.Stdio) int {
	switch c.Args[0] {
	case "echo":
		fmt.Fprint(s.Stdout, strings.Join(c.Args[1:], " "))
		fmt.Fprint(s.Stderr, c.Dir, c.Env, c.Terminal)
	case "cat":
		if n, err := io.Copy(s.Stdout, s.Stdin); err != nil {
			fmt.Fprint(s.Stderr, n, err)
			return 1
		}
	case "ask":
		b, err := s.Prompt("Password: ", false)
		if err != nil {
			fmt.Fprint(s.Stderr, err)
			return 1
		}
		fmt.Fprintf(s.Stdout, "%d", len(b))
	case "wait":
		fmt.Fprint(s.Stdout, "waiting")
		<-ctx.Done()
		return 7
	case "size":
		fmt.Fprint(s.Stdout, <-s.Resized)
	case "silent":
		<-ctx.Done()
	case "mark":
		if os.WriteFile(c.Args[1], nil, 0o600) != nil {
			return 1
		}
	case "exit":
		return -3
	}
	return 0
}

func listen(t *testing.T, dir string) *handover.Listener {
	t.Helper()
	l, err := handover.Listen(dir, handle)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func run(t *testing.T, dir string, stdio handover.Stdio, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	stdio.Stdout, stdio.Stderr = &o, &e
	code, err := handover.Run(t.Context(), dir, handover.Command{Args: args, Dir: "/work", Env: []string{"RESEAL_AS=alice"}}, stdio)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return code, o.String(), e.String()
}

func TestCommand(t *testing.T) {
	dir := t.TempDir()
	listen(t, dir)
	if code, out, errs := run(t, dir, handover.Stdio{}, "echo", "a", "ü b", ""); code != 0 || out != "a ü b " || !strings.HasPrefix(errs, "/work[RESEAL_AS=alice]") {
		t.Errorf("echo: %d %q %q", code, out, errs)
	}
	if code, _, _ := run(t, dir, handover.Stdio{}, "exit"); code != -3 {
		t.Errorf("exit code %d", code)
	}
	st, err := os.Stat(filepath.Join(dir, "owner.sock"))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v %v", st, err)
	}
}

func TestStdin(t *testing.T) {
	dir := t.TempDir()
	listen(t, dir)
	big := strings.Repeat("0123456789abcdef", 100_000)
	if _, out, _ := run(t, dir, handover.Stdio{Stdin: strings.NewReader(big)}, "cat"); out != big {
		t.Errorf("cat gave %d bytes", len(out))
	}
	// A failing read is no end of file: the handler must not take half for all.
	broken := io.MultiReader(strings.NewReader("half"), errReader{})
	if code, _, errs := run(t, dir, handover.Stdio{Stdin: broken}, "cat"); code != 1 || !strings.Contains(errs, "unexpected EOF") {
		t.Errorf("broken input: %d %q", code, errs)
	}
	// A command that does not read leaves the input alone.
	in := strings.NewReader("for the next")
	if run(t, dir, handover.Stdio{Stdin: in}, "echo"); in.Len() != len("for the next") {
		t.Error("input was taken")
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestPrompt(t *testing.T) {
	dir := t.TempDir()
	listen(t, dir)
	asked := ""
	stdio := handover.Stdio{Prompt: func(label string, echo bool) ([]byte, error) {
		asked = fmt.Sprint(label, echo)
		return []byte("secret"), nil
	}}
	if code, out, _ := run(t, dir, stdio, "ask"); code != 0 || out != "6" || asked != "Password: false" {
		t.Errorf("%d %q, asked %q", code, out, asked)
	}
	if code, _, _ := run(t, dir, handover.Stdio{}, "ask"); code != 1 {
		t.Error("no terminal, yet an answer")
	}
}

func TestResize(t *testing.T) {
	dir := t.TempDir()
	listen(t, dir)
	sizes := make(chan handover.Size, 1)
	sizes <- handover.Size{Columns: 80, Rows: 25}
	if _, out, _ := run(t, dir, handover.Stdio{Resized: sizes}, "size"); out != "{80 25}" {
		t.Errorf("size %q", out)
	}
}

func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	listen(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	code, err := handover.Run(ctx, dir, handover.Command{Args: []string{"wait"}}, handover.Stdio{Stdout: writerFunc(func([]byte) { cancel() })})
	if code != 7 || err != nil {
		t.Errorf("%d %v", code, err)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

func TestParallel(t *testing.T) {
	dir := t.TempDir()
	listen(t, dir)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			in := strings.Repeat(fmt.Sprint(i, ";"), 5000)
			if _, out, _ := run(t, dir, handover.Stdio{Stdin: strings.NewReader(in)}, "cat"); out != in {
				t.Errorf("%d: %d bytes", i, len(out))
			}
		})
	}
	wg.Wait()
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	listen(t, dir)
	if _, out, _ := run(t, dir, handover.Stdio{}, "echo", "far"); out != "far" {
		t.Errorf("%q", out)
	}
}

func TestNoOwner(t *testing.T) {
	dir := t.TempDir()
	_, err := handover.Run(t.Context(), dir, handover.Command{}, handover.Stdio{})
	if !errors.Is(err, handover.ErrNoOwner) {
		t.Errorf("no socket: %v", err)
	}
	l, err := handover.Listen(dir, handle)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err = handover.Run(t.Context(), dir, handover.Command{}, handover.Stdio{}); !errors.Is(err, handover.ErrNoOwner) {
		t.Errorf("closed owner: %v", err)
	}
}

// TestOwnerKilled kills a real process in the middle of commands; another one
// then takes its place.
func TestOwnerKilled(t *testing.T) {
	dir := t.TempDir()
	owner := startOwner(t, dir)
	seen := make(chan struct{})
	type result struct {
		gone  *handover.GoneError
		shown bool
	}
	results := make(chan result, 2)
	for _, args := range []string{"wait", "silent"} {
		go func() {
			_, err := handover.Run(t.Context(), dir, handover.Command{Args: []string{args}}, handover.Stdio{Stdout: writerFunc(func([]byte) { close(seen) })})
			r := result{shown: args == "wait"}
			errors.As(err, &r.gone)
			results <- r
		}()
	}
	<-seen
	time.Sleep(50 * time.Millisecond) // for the silent one to be taken
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	owner.Wait()
	for range 2 {
		if r := <-results; r.gone == nil || !r.gone.Started || r.gone.Shown != r.shown || r.gone.Read {
			t.Errorf("after the kill: %+v, want shown %v", r.gone, r.shown)
		}
	}
	_, err := handover.Run(t.Context(), dir, handover.Command{}, handover.Stdio{})
	if !errors.Is(err, handover.ErrNoOwner) {
		t.Errorf("stale socket: %v", err)
	}
	listen(t, dir) // replaces the stale socket
	if _, out, _ := run(t, dir, handover.Stdio{}, "echo", "again"); out != "again" {
		t.Errorf("%q", out)
	}
}

func startOwner(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RESEAL_TEST_OWNER="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("owner said %q", line)
	}
	return cmd
}

// TestCloseCancels: Close does not wait for commands that never end.
func TestCloseCancels(t *testing.T) {
	dir := t.TempDir()
	l, err := handover.Listen(dir, handle)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan int, 1)
	seen := make(chan struct{})
	go func() {
		code, _ := handover.Run(t.Context(), dir, handover.Command{Args: []string{"wait"}}, handover.Stdio{Stdout: writerFunc(func([]byte) { close(seen) })})
		done <- code
	}()
	<-seen
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if code := <-done; code != 7 {
		t.Errorf("code %d", code)
	}
}

// TestCallerGone: a caller that is killed ends its command.
func TestCallerGone(t *testing.T) {
	dir := t.TempDir()
	ended := make(chan struct{})
	l, err := handover.Listen(dir, func(ctx context.Context, _ handover.Command, s handover.Stdio) int {
		defer close(ended)
		if _, err := s.Stdin.Read(make([]byte, 1)); err == nil {
			t.Error("read without a caller")
		}
		<-ctx.Done()
		return 0
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", filepath.Join(dir, "owner.sock"))
	if err != nil {
		t.Fatal(err)
	}
	conn.Write(handover.EncodeFrame(handover.Command{Args: []string{"x"}}))
	// One that is gone before its command is taken never has it run.
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("command goes on without a caller")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestGarbage: what is no command is hung up on, and the owner goes on.
func TestGarbage(t *testing.T) {
	dir := t.TempDir()
	listen(t, dir)
	good := handover.EncodeFrame(handover.Command{Args: []string{"echo"}})
	for _, b := range [][]byte{
		[]byte("GET / HTTP/1.1\r\n\r\n"),
		{1, 0xff, 0xff, 0xff, 0xff},
		{2, 0, 0, 0, 1, 0},
		{1, 0, 0, 0, 2, 0, 9},
		append(append([]byte{}, good...), 99, 0, 0, 0, 0),
		append(append([]byte{}, good...), good...),
	} {
		conn, err := net.Dial("unix", filepath.Join(dir, "owner.sock"))
		if err != nil {
			t.Fatal(err)
		}
		conn.Write(b)
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q is not hung up on", b)
		}
		conn.Close()
	}
	if _, out, _ := run(t, dir, handover.Stdio{}, "echo", "fine"); out != "fine" {
		t.Errorf("%q", out)
	}
}

func TestRefusedCommands(t *testing.T) {
	for _, c := range []handover.Command{
		{Env: []string{"PATH=/bin"}},
		{Env: []string{"RESEAL_X"}},
		{Args: make([]string, 1025)},
		{Args: []string{strings.Repeat("x", 256<<10+1)}},
	} {
		if _, err := handover.Run(t.Context(), t.TempDir(), c, handover.Stdio{}); !errors.Is(err, handover.ErrCommand) {
			t.Errorf("%v", err)
		}
	}
}

// TestOwnerKilledReading: input that an owner took is gone with it.
func TestOwnerKilledReading(t *testing.T) {
	dir := t.TempDir()
	owner := startOwner(t, dir)
	in := io.MultiReader(strings.NewReader("some"), readerFunc(func([]byte) (int, error) {
		err := owner.Process.Kill()
		return 0, errors.Join(io.ErrUnexpectedEOF, err)
	}))
	_, err := handover.Run(t.Context(), dir, handover.Command{Args: []string{"cat"}}, handover.Stdio{Stdin: in, Stdout: io.Discard, Stderr: io.Discard})
	_ = owner.Wait()
	if gone, ok := errors.AsType[*handover.GoneError](err); !ok || !gone.Read {
		t.Errorf("%v, want one that says that input was read", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
