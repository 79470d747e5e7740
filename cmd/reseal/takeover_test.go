package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/store"
)

// home is a home folder of real processes.
type home struct {
	t        *testing.T
	dir, url string
}

func newHome(t *testing.T, url, handle string) *home {
	h := &home{t, filepath.Join(t.TempDir(), handle), url}
	h.run("signup", handle)
	return h
}

// command is this test binary, as reseal.
func (h *home) command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], append([]string{"--home", h.dir, "--server", h.url}, args...)...)
	cmd.Env = append(os.Environ(), processVar+"=1", "RESEAL_PASSWORD="+secret)
	cmd.Dir = h.t.TempDir()
	cmd.Stderr = new(bytes.Buffer)
	return cmd
}

func (h *home) run(args ...string) string {
	h.t.Helper()
	cmd := h.command(args...)
	out, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("%q: %v\n%s%s", args, err, out, cmd.Stderr)
	}
	return string(out)
}

// agent starts one, and waits until it owns the home.
func (h *home) agent() *exec.Cmd {
	h.t.Helper()
	cmd := h.command("agent")
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "owning ") {
		h.t.Fatalf("%q, %v: %s", line, err, cmd.Stderr)
	}
	return cmd
}

func (h *home) inbox() (texts []string) {
	for l := range strings.Lines(h.run("inbox", "--json")) {
		var m struct{ ID string }
		if err := json.Unmarshal([]byte(l), &m); err != nil {
			h.t.Fatal(err)
		}
		texts = append(texts, h.run("open", m.ID))
	}
	return texts
}

// TestAgentKilledWhileSending kills agents while commands of other processes
// are somewhere in them: every message arrives once, every command ends well.
func TestAgentKilledWhileSending(t *testing.T) {
	url := newServer(t)
	ana, ben := newHome(t, url, "ana"), newHome(t, url, "ben")
	const rounds, each = 3, 4
	for r := range rounds {
		agent := ana.agent()
		var wg sync.WaitGroup
		started := make(chan struct{}, each)
		for i := range each {
			wg.Go(func() {
				cmd := ana.command("send", "ben", "--text", fmt.Sprint(r, ".", i), "--keep", "--json")
				out := new(bytes.Buffer)
				cmd.Stdout = out
				err := cmd.Start()
				started <- struct{}{}
				if err == nil {
					err = cmd.Wait()
				}
				if err != nil || strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), `"message":`) {
					t.Errorf("%d.%d: %v, %s%s", r, i, err, out, cmd.Stderr)
				}
			})
		}
		for range each {
			<-started
		}
		time.Sleep(time.Duration(r) * 150 * time.Millisecond) // somewhere in the middle, another place each time
		_ = agent.Process.Kill()
		wg.Wait()
	}
	got := map[string]int{}
	for _, text := range ben.inbox() {
		got[text]++
	}
	for r := range rounds {
		for i := range each {
			if n := got[fmt.Sprint(r, ".", i)]; n != 1 {
				t.Errorf("%d.%d came %d times", r, i, n)
			}
		}
	}
}

// commitGate holds the first batch with a key of a prefix, once it is on.
type commitGate struct {
	store.Store
	prefix     string
	on         atomic.Bool
	once       sync.Once
	held, open chan struct{}
}

func (g *commitGate) Commit(ctx context.Context, p store.Partition, b *store.Batch) error {
	if g.on.Load() && slices.ContainsFunc(b.Writes, func(w store.Write) bool { return strings.HasPrefix(string(w.Key), g.prefix) }) {
		g.once.Do(func() { close(g.held); <-g.open })
	}
	return g.Store.Commit(ctx, p, b)
}

// TestAgentKilledBetweenTakingAndSending: the message lies in the agent's
// database, and the server has not seen it. The content came from a pipe that
// nobody can read again, and is not needed again.
func TestAgentKilledBetweenTakingAndSending(t *testing.T) {
	g := &commitGate{prefix: "m/", held: make(chan struct{}), open: make(chan struct{})}
	url := newServerOn(t, func(s store.Store) store.Store { g.Store = s; return g })
	ana, ben := newHome(t, url, "ana"), newHome(t, url, "ben")
	agent := ana.agent()
	ana.run("status")
	g.on.Store(true)
	cmd := ana.command("send", "ben", "-", "--name", "note", "--json")
	cmd.Stdin = strings.NewReader("only once")
	out := new(bytes.Buffer)
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-g.held
	_ = agent.Process.Kill()
	_ = agent.Wait()
	close(g.open)
	if err := cmd.Wait(); err != nil || strings.Count(out.String(), `"message":`) != 1 {
		t.Fatalf("%v: %s%s", err, out, cmd.Stderr)
	}
	if got := ana.run("inbox", "--sent", "--json"); strings.Count(got, "\n") != 1 {
		t.Errorf("sent: %s", got)
	}
	if got := ben.run("inbox", "--json"); strings.Count(got, "\n") != 1 {
		t.Errorf("inbox: %s", got)
	}
}

// TestAgentKilledWhileOpening kills the agent while half of a content has been
// shown: the command shows the other half, and the view counts.
func TestAgentKilledWhileOpening(t *testing.T) {
	url := newServer(t)
	ana, ben := newHome(t, url, "ana"), newHome(t, url, "ben")
	content := make([]byte, 3<<20)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	file := filepath.Join(t.TempDir(), "big.bin")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	var sent struct{ To []struct{ Message string } }
	if err := json.Unmarshal([]byte(ana.run("send", "ben", file, "--json")), &sent); err != nil {
		t.Fatal(err)
	}
	agent := ben.agent()
	cmd := ben.command("open", sent.To[0].Message, "-o", "-")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 1<<20)
	if _, err := io.ReadFull(out, got); err != nil {
		t.Fatal(err, cmd.Stderr)
	}
	_ = agent.Process.Kill()
	_ = agent.Wait()
	rest, err := io.ReadAll(out)
	if err = errors.Join(err, cmd.Wait()); err != nil || !bytes.Equal(append(got, rest...), content) {
		t.Fatalf("%v: %d of %d bytes: %s", err, len(got)+len(rest), len(content), cmd.Stderr)
	}
	if left := ben.run("inbox", "--json"); left != "" {
		t.Errorf("still there: %s", left)
	}
}

// TestWatchOutlivesTheAgent: whoever watches goes on, whether the agent ends in
// good order or is killed.
func TestWatchOutlivesTheAgent(t *testing.T) {
	url := newServer(t)
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(end.String(), func(t *testing.T) { outlive(t, newHome(t, url, "ana"+strconv.Itoa(int(end))), end) })
	}
}

func outlive(t *testing.T, ana *home, end syscall.Signal) {
	agent := ana.agent()
	watch := ana.command("watch", "--json")
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	awaitConnected := func() {
		t.Helper()
		for {
			l, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err, watch.Stderr)
			}
			if strings.Contains(l, `"connected"`) {
				return
			}
		}
	}
	awaitConnected()
	if err := agent.Process.Signal(end); err != nil {
		t.Fatal(err)
	}
	if err := agent.Wait(); err != nil && end == syscall.SIGTERM {
		t.Errorf("agent: %v %s", err, agent.Stderr)
	}
	awaitConnected()
	if err := watch.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	if err := watch.Wait(); err != nil {
		t.Errorf("watch: %v %s", err, watch.Stderr)
	}
}

// TestFileOnce: an open that follows one that was killed when the file had its
// name already, and the view was not recorded, finds that file.
func TestFileOnce(t *testing.T) {
	for _, name := range []string{"", "mine.txt"} {
		s := newSurroundings(t, nil)
		attempt, err := newAttempt()
		if err != nil {
			t.Fatal(err)
		}
		deliver := func(again bool) (string, *delivery) {
			t.Helper()
			c := &cli{env: &s.env, json: true, attempt: attempt}
			c.attempt.again = again
			d := &delivery{c: c, folder: s.dir}
			if err := d.aim(name); err != nil {
				t.Fatal(err)
			}
			if err := d.deliver(reseal.Content{Name: "photo.jpg", Size: 5, Reader: strings.NewReader("12345")}); err != nil {
				t.Fatal(err)
			}
			return d.item.Path, d
		}
		first, _ := deliver(false) // killed here
		path, d := deliver(true)
		d.discard()
		if path != first {
			t.Errorf("%q, then %q", first, path)
		}
		if name == "" { // another command's file is another file
			if attempt, err = newAttempt(); err != nil {
				t.Fatal(err)
			}
			if path, d = deliver(true); path == first {
				t.Errorf("%q again, for another command", path)
			}
			d.discard()
		}
		left, err := filepath.Glob(filepath.Join(s.dir, ".*"))
		if err != nil || len(left) > 0 {
			t.Errorf("left: %v %v", left, err)
		}
	}
}
