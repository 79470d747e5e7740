package release

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// containerfile is what deploy/Containerfile says, instruction by instruction.
type containerfile struct {
	stages, env []string
	build       string
	entrypoint  []string
	copied      map[string]string // into the last stage: source to target
	last        map[string]string // of the last stage, by instruction
}

func parseContainerfile(t *testing.T) *containerfile {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "deploy", "Containerfile"))
	if err != nil {
		t.Fatal(err)
	}
	c := &containerfile{copied: map[string]string{}, last: map[string]string{}}
	for l := range strings.Lines(string(b)) {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		what, rest, _ := strings.Cut(l, " ")
		switch what {
		case "FROM":
			c.stages = append(c.stages, rest)
			clear(c.last)
		case "RUN":
			if strings.Contains(rest, "go build") {
				c.build = rest
			} else if rest != "go mod download" {
				t.Errorf("a step that is not tried here: %s", l)
			}
		case "COPY":
			if len(c.stages) == 2 {
				words := strings.Fields(rest)
				c.copied[words[len(words)-2]] = words[len(words)-1]
			}
		case "ENV":
			c.env = append(c.env, strings.Fields(rest)...)
		case "ENTRYPOINT":
			if err := json.Unmarshal([]byte(rest), &c.entrypoint); err != nil {
				t.Errorf("%s: %v", l, err)
			}
		case "WORKDIR", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL":
			c.last[what] = rest
		default:
			t.Errorf("no instruction: %s", l)
		}
	}
	return c
}

// TestContainer does by hand what the container file says: builds by its own
// command, and runs what comes of it with nothing but the environment that it
// has there, in a root of its own where the test may make one.
func TestContainer(t *testing.T) {
	c := parseContainerfile(t)
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	if len(c.stages) != 2 || version == nil || c.stages[0] != "docker.io/library/golang:"+string(version[1])+" AS build" || c.stages[1] != "scratch" {
		t.Errorf("stages: %q", c.stages)
	}
	if c.copied["/reseal"] != "/reseal" || c.copied["/data"] != c.last["VOLUME"] || c.last["STOPSIGNAL"] != "SIGTERM" || c.last["USER"] != "65532:65532" {
		t.Errorf("copies %v, and %v", c.copied, c.last)
	}
	if strings.Join(c.entrypoint, " ") != "/reseal serve" {
		t.Errorf("entry point %q", c.entrypoint)
	}

	top := t.TempDir()
	data := filepath.Join(top, "data")
	build := exec.Command("sh", "-c", strings.NewReplacer(" /reseal", " "+top+"/reseal", " /data", " "+data).Replace(c.build))
	build.Dir = root
	build.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false") // the folder .git may be somebody else's here
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := elf.Open(filepath.Join(top, "reseal"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("not static: nothing in the container could start it")
		}
	}

	// Nothing else is there: no /tmp, no /proc, no home, no user of a name.
	inside := os.Geteuid() == 0
	run := func(ctx context.Context, vars []string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, filepath.Join(top, "reseal"), args...)
		cmd.Env, cmd.Dir = append(append([]string{}, c.env...), vars...), top
		if inside {
			cmd.Path, cmd.Dir = "/reseal", "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: top, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		} else {
			for i, v := range cmd.Env {
				cmd.Env[i] = strings.Replace(v, "=/data", "="+data, 1)
			}
		}
		return cmd
	}
	if inside && errors.Is(run(t.Context(), nil, "--version").Run(), syscall.EPERM) {
		inside = false // root, and still not allowed to
	}
	if inside {
		for _, dir := range []string{top, filepath.Dir(top)} { // those that t.TempDir made
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chown(data, 65532, 65532); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	// As it is, without a domain or a certificate, it says what it lacks.
	if out, err := run(ctx, nil, "serve").CombinedOutput(); err == nil || !bytes.Contains(out, []byte("--acme-domain")) {
		t.Errorf("without a certificate: %v, %s", err, out)
	}
	serve := run(ctx, []string{"RESEAL_LISTEN=127.0.0.1:0", "RESEAL_METRICS=127.0.0.1:0"}, "serve", "--json")
	log := new(bytes.Buffer)
	serve.Stderr = log
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if l, err := lines.ReadString('\n'); err != nil || !strings.Contains(l, "http://127.0.0.1:") {
		t.Errorf("%q, %v\n%s", l, err, log)
	}
	for _, args := range [][]string{{"admin", "invite", "--json"}, {"admin", "accounts", "--json"}, {"admin", "backup", strings.TrimPrefix(filepath.Join(data, "copy"), map[bool]string{true: top}[inside]), "--json"}} {
		if out, err := run(ctx, nil, args...).CombinedOutput(); err != nil {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
	for _, name := range []string{"server/store", "server.key", "copy/store"} {
		if _, err := os.Stat(filepath.Join(data, name)); err != nil {
			t.Errorf("the volume: %v", err)
		}
	}
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := serve.Wait(); err != nil {
		t.Errorf("at its end: %v\n%s", err, log)
	}
}
