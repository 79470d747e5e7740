package archtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const readmeDemo, readmeTest = "go run ./cmd/reseal demo", "go test ./..."

// blocks are the fenced blocks of a document in one language.
func blocks(t *testing.T, name, language string) []string {
	var all []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(read(t, name), -1) {
		all = append(all, m[1])
	}
	return all
}

// TestReadmeBegins: the first block is the two commands, and the second of them
// is all that CI runs.
func TestReadmeBegins(t *testing.T) {
	all := blocks(t, "README.md", "sh")
	if len(all) == 0 || all[0] != readmeDemo+"\n"+readmeTest+"\n" {
		t.Fatalf("the README does not begin with the two commands: %q", all)
	}
	var runs []string
	for line := range strings.SplitSeq(read(t, ".ci/run"), "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") && line != "set -e" && !strings.HasPrefix(line, "cd ") {
			runs = append(runs, line)
		}
	}
	if len(runs) != 1 || strings.TrimPrefix(runs[0], "exec ") != readmeTest {
		t.Errorf(".ci/run runs %q, not the README's command", runs)
	}
	if info, err := os.Stat(filepath.Join(root, ".ci", "run")); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf(".ci/run cannot be executed: %v", err)
	}
}

// TestGoBlocks: Go in documents is taken, line by line, from examples that run.
func TestGoBlocks(t *testing.T) {
	examples := ""
	for _, name := range files(t, "example_test.go") {
		examples += read(t, name)
	}
	n := 0
	for _, name := range files(t, ".md") {
		for _, b := range blocks(t, name, "go") {
			n++
			if indented := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(b, "\t$1"); !strings.Contains(examples, indented) {
				t.Errorf("%s: no example has this:\n%s", name, b)
			}
		}
	}
	if n < 2 {
		t.Error("no Go blocks found")
	}
}

// reader is somebody who types what a document says, terminal by terminal.
type reader struct {
	t   *testing.T
	dir string
	env []string
	out strings.Builder
}

func newReader(t *testing.T) *reader {
	r := &reader{t: t, dir: t.TempDir()}
	bin := filepath.Join(r.dir, "bin")
	r.env = append(os.Environ(), "GOBIN="+bin, "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"HOME="+r.dir, "RESEAL_PASSWORD=seven otters juggle lanterns", "RESEAL_HOME=", "RESEAL_SERVER=", "RESEAL_KEYRING=file", "XDG_DATA_HOME=",
		// HOME is another one: Go's caches and settings stay where they are.
		"GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOPATH="+goEnv(t, "GOPATH"), "GOENV="+goEnv(t, "GOENV"))
	photo := bytes.Repeat([]byte{0xff, 0xd8, 0xff, 0xe0}, 100_000)
	if err := os.WriteFile(filepath.Join(r.dir, "photo.jpg"), photo, 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

func goEnv(t *testing.T, name string) string {
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// types runs one line to its end. Commands of go run in the clone, all others in
// a folder of the reader's own.
func (r *reader) types(line string) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir, cmd.Env = r.dir, r.env
	if strings.HasPrefix(line, "go ") {
		cmd.Dir = root
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		r.t.Fatalf("%s: %v\n%s%s", line, err, stdout.String(), stderr.String())
	}
	fmt.Fprintf(&r.out, "$ %s\n%s%s", line, stdout.String(), stderr.String())
	return stdout.String()
}

// leaves starts a command that goes on in a terminal of its own, and waits for
// its first line; it is interrupted at the end.
func (r *reader) leaves(line string) string {
	r.t.Helper()
	cmd := exec.Command("sh", "-c", "exec "+line)
	cmd.Dir, cmd.Env = r.dir, r.env
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	first, rest := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(rest)
		b := bufio.NewReader(stdout)
		s, _ := b.ReadString('\n')
		first <- s
		_, _ = io.Copy(io.Discard, b)
	}()
	r.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-rest
		if err := cmd.Wait(); err != nil {
			r.t.Logf("%s: %v\n%s", line, err, stderr.String())
		}
	})
	select {
	case s := <-first:
		fmt.Fprintf(&r.out, "$ %s\n%s", line, s)
		return s
	case <-time.After(time.Minute):
		r.t.Fatalf("%s says nothing\n%s", line, stderr.String())
		return ""
	}
}

var (
	address  = regexp.MustCompile(`https?://[0-9.:]+`)
	homeFlag = regexp.MustCompile(`reseal (--home \S+) `)
)

// newest is the id of the newest message in the inbox that a line is about.
func (r *reader) newest(line string) string {
	r.t.Helper()
	m := homeFlag.FindStringSubmatch(line)
	if m == nil {
		r.t.Fatalf("%s: whose inbox?", line)
	}
	list := r.types("reseal " + m[1] + " inbox --json")
	var last struct{ ID string }
	for d := json.NewDecoder(strings.NewReader(list)); d.More(); {
		if err := d.Decode(&last); err != nil {
			r.t.Fatal(err)
		}
	}
	if last.ID == "" {
		r.t.Fatalf("%s: the inbox is empty", line)
	}
	return last.ID[:20]
}

// TestReadmeStory types every command of the README after the first block, as it
// stands there, with three exceptions: the server takes a free port, commands
// that go on are left running, and ID is looked up.
func TestReadmeStory(t *testing.T) {
	r := newReader(t)
	for _, block := range blocks(t, "README.md", "sh")[1:] {
		for line := range strings.SplitSeq(strings.TrimSpace(block), "\n") {
			switch {
			case strings.Contains(line, "reseal serve"):
				url := address.FindString(r.leaves(line + " --listen 127.0.0.1:0"))
				if url == "" {
					t.Fatal("the server does not say where it is")
				}
				r.env = append(r.env, "RESEAL_SERVER="+url)
			case strings.HasSuffix(line, " watch"):
				r.leaves(line)
			case strings.HasSuffix(line, " ID"):
				r.types(strings.TrimSuffix(line, "ID") + r.newest(line))
			default:
				r.types(line)
			}
		}
	}
	for _, want := range []string{"from the beach", "which phone are you on?", "[viewed]"} {
		if !strings.Contains(r.out.String(), want) {
			t.Errorf("the story never shows %q:\n%s", want, r.out.String())
		}
	}
	t.Log(r.out.String())
	original, err := os.ReadFile(filepath.Join(r.dir, "photo.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	copies, err := filepath.Glob(filepath.Join(r.dir, "photo*.jpg"))
	if err != nil || len(copies) != 2 {
		t.Fatalf("the photo was not written beside the original: %v, %v", copies, err)
	}
	for _, c := range copies {
		if b, err := os.ReadFile(c); err != nil || !bytes.Equal(b, original) {
			t.Errorf("%s is not the photo that was sent: %v", c, err)
		}
	}
}

// TestReadmeDemo runs the first command as it stands there.
func TestReadmeDemo(t *testing.T) {
	r := newReader(t)
	if out := r.types(readmeDemo); strings.TrimSpace(out) == "" {
		t.Error("the demo says nothing")
	}
}
