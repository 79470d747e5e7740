package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/reseal/reseal/client/keyring"
)

// programs are what the test binary is under other names: the command, and the
// command on a machine on which something is wrong.
var programs = map[string]func(){"reseal": main}

// processVar makes the test binary a reseal.
const processVar = "RESEAL_TEST_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(processVar) != "" {
		main()
	}
	if programs[strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")] == nil {
		// Homes of tests leave nothing in the keyring of who runs them.
		_ = os.Setenv("RESEAL_KEYRING", "file")
	}
	testscript.Main(m, programs)
}

// TestScripts runs testdata/*.txtar: real servers, real homes, real processes.
// A single one: go test ./cmd/reseal -run TestScripts/NAME
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("RESEAL_PASSWORD", "correct horse battery staple")
			env.Setenv("RESEAL_KEYRING", "file")
			env.Setenv("HOME", filepath.Join(env.WorkDir, "nobody"))
			env.Values[authorityKey{}] = newAuthority()
			env.Values[processesKey{}] = &processes{byName: map[string]*process{}}
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "kernel" { // it has a keyring for us; in a container it may not
				return false, fmt.Errorf("unknown condition %q", name)
			}
			_, _, err := keyring.Choose("kernel")
			return err == nil, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server": cmdServer, "page": cmdPage, "r": cmdRun, "start": cmdStart, "waitfor": cmdWaitFor, "end": cmdEnd,
			"id": cmdID, "has": cmdHas, "lines": cmdLines, "poll": cmdPoll, "big": cmdBig, "metric": cmdMetric,
			"sessionof": cmdSessionOf, "certificate": cmdCertificate, "certified": cmdCertified,
		},
	})
}

// limit is how long a script waits for anything.
const limit = 30 * time.Second

type processesKey struct{}

type processes struct{ byName map[string]*process }

// process runs in the background; what it writes goes to NAME.out and NAME.err.
type process struct {
	cmd  *exec.Cmd
	out  string
	done chan struct{}
	err  error
}

func table(ts *testscript.TestScript) *processes { return ts.Value(processesKey{}).(*processes) }

func spawn(ts *testscript.TestScript, name string, args ...string) *process {
	var path string
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, "reseal")); err == nil {
			path = filepath.Join(dir, "reseal")
			break
		}
	}
	p := &process{cmd: exec.Command(path, args...), out: ts.MkAbs(name + ".out"), done: make(chan struct{})}
	p.cmd.Dir = ts.MkAbs(".")
	for _, v := range []string{"RESEAL_PASSWORD", "RESEAL_SERVER", "RESEAL_HOME", "HOME", "PATH", "TMPDIR", "SSL_CERT_FILE", "RESEAL_PLAIN_HTTP"} {
		p.cmd.Env = append(p.cmd.Env, v+"="+ts.Getenv(v))
	}
	p.cmd.Env = append(p.cmd.Env, os.Environ()...) // testscript's own for coverage; the first of a name wins
	out, err := os.Create(p.out)
	ts.Check(err)
	errs, err := os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	p.cmd.Stdout, p.cmd.Stderr = out, errs
	p.cmd.Env = dedup(p.cmd.Env)
	ts.Check(p.cmd.Start())
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
		_ = errors.Join(out.Close(), errs.Close())
	}()
	table(ts).byName[name] = p
	ts.Defer(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
	})
	return p
}

// dedup keeps the first of each name: os/exec would keep the last.
func dedup(env []string) (out []string) {
	seen := map[string]bool{}
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		if !seen[name] {
			seen[name] = true
			out = append(out, v)
		}
	}
	return out
}

// within waits until f is true, and says what is missing if it never is.
func within(ts *testscript.TestScript, what func() string, f func() bool) {
	for deadline := time.Now().Add(limit); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("after %v: %s", limit, what())
		}
	}
}

// server [NAME] [flags...]: starts a server with data in NAME.data, and sets
// RESEAL_SERVER and METRICS.
func cmdServer(ts *testscript.TestScript, _ bool, args []string) {
	name := "server"
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	p := spawn(ts, name, append([]string{"serve", "--json", "--listen", "127.0.0.1:0", "--data", name + ".data"}, args...)...)
	var hello struct{ Event, URL, Address, Metrics string }
	within(ts, func() string { return "no server: " + ts.ReadFile(name+".err") }, func() bool {
		b, _ := os.ReadFile(p.out)
		return bytes.HasSuffix(b, []byte("\n")) && json.Unmarshal(b, &hello) == nil
	})
	ts.Setenv("RESEAL_SERVER", hello.URL)
	ts.Setenv("METRICS", hello.Metrics)
	ts.Setenv("ADDRESS", hello.Address)
}

// page: a web server that is no Reseal server, as RESEAL_SERVER.
func cmdPage(ts *testscript.TestScript, _ bool, _ []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "<html>welcome") })}
	go func() { _ = s.Serve(l) }()
	ts.Defer(func() { _ = s.Close() })
	ts.Setenv("RESEAL_SERVER", "http://"+l.Addr().String())
}

// [!] r HOME args...: runs a command at a home. With "!", the first argument is
// the expected exit code.
func cmdRun(ts *testscript.TestScript, neg bool, args []string) {
	want := 0
	if neg {
		want, _ = strconv.Atoi(args[0])
		args = args[1:]
	}
	err := ts.Exec("reseal", append([]string{"--home", args[0]}, args[1:]...)...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// start NAME args...: runs reseal in the background.
func cmdStart(ts *testscript.TestScript, _ bool, args []string) { spawn(ts, args[0], args[1:]...) }

// waitfor NAME REGEXP: waits until what NAME wrote matches, results or not.
func cmdWaitFor(ts *testscript.TestScript, _ bool, args []string) {
	re := regexp.MustCompile("(?m)" + args[1])
	within(ts, func() string {
		return fmt.Sprintf("no %s in %s.out:\n%s\n%s", args[1], args[0], ts.ReadFile(args[0]+".out"), ts.ReadFile(args[0]+".err"))
	}, func() bool {
		out, _ := os.ReadFile(ts.MkAbs(args[0] + ".out"))
		errs, _ := os.ReadFile(ts.MkAbs(args[0] + ".err"))
		return re.Match(out) || re.Match(errs)
	})
}

// end NAME [kill|term] [CODE]: ends a process and checks its exit code, which
// is 0 where it is not said.
func cmdEnd(ts *testscript.TestScript, _ bool, args []string) {
	p, sig, want := table(ts).byName[args[0]], os.Interrupt, 0
	for _, a := range args[1:] {
		switch a {
		case "kill":
			sig, want = os.Kill, -1
		case "term":
			sig = syscall.SIGTERM
		default:
			want, _ = strconv.Atoi(a)
		}
	}
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(limit):
		ts.Fatalf("%s does not end", args[0])
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("%s: exit code %d, want %d\n%s", args[0], got, want, ts.ReadFile(args[0]+".err"))
	}
}

// objects are the JSON objects of the last output.
func objects(ts *testscript.TestScript) (all []map[string]any) {
	s := bufio.NewScanner(strings.NewReader(ts.ReadFile("stdout")))
	s.Buffer(nil, 1<<22)
	for s.Scan() {
		var o map[string]any
		d := json.NewDecoder(bytes.NewReader(s.Bytes()))
		d.UseNumber()
		if err := d.Decode(&o); err != nil {
			ts.Fatalf("not a JSON object: %s", s.Text())
		}
		all = append(all, o)
	}
	return all
}

// value finds "a.0.b" in an object.
func value(o any, path string) any {
	for _, key := range strings.Split(path, ".") {
		switch v := o.(type) {
		case map[string]any:
			o = v[key]
		case []any:
			i, _ := strconv.Atoi(key)
			if i >= len(v) {
				return nil
			}
			o = v[i]
		default:
			return nil
		}
	}
	return o
}

// id VAR [PATH]: sets VAR to a value of the last object, its id by default.
func cmdID(ts *testscript.TestScript, _ bool, args []string) {
	path := "id"
	if len(args) > 1 {
		path = args[1]
	}
	all := objects(ts)
	if len(all) == 0 {
		ts.Fatalf("no output")
	}
	v, ok := value(all[len(all)-1], path).(string)
	if !ok || v == "" {
		ts.Fatalf("no %s in %v", path, all[len(all)-1])
	}
	ts.Setenv(args[0], v)
}

// [!] has PATH=VALUE...: some object of the last output has (has not) all of
// these values. PATH alone: it is there.
func cmdHas(ts *testscript.TestScript, neg bool, args []string) {
	if matches(ts, args) == neg {
		ts.Fatalf("has %v: %v\n%s", args, !neg, ts.ReadFile("stdout"))
	}
}

func matches(ts *testscript.TestScript, args []string) bool {
	for _, o := range objects(ts) {
		found := true
		for _, a := range args {
			path, want, hasValue := strings.Cut(a, "=")
			v := value(o, path)
			found = found && v != nil && (!hasValue || fmt.Sprint(v) == want)
		}
		if found {
			return true
		}
	}
	return false
}

// metric NAME VALUE: the server that was started last says so of itself.
func cmdMetric(ts *testscript.TestScript, _ bool, args []string) {
	resp, err := http.Get("http://" + ts.Getenv("METRICS") + "/metrics")
	ts.Check(err)
	b, err := io.ReadAll(resp.Body)
	ts.Check(errors.Join(err, resp.Body.Close()))
	for line := range strings.Lines(string(b)) {
		if name, v, _ := strings.Cut(strings.TrimSpace(line), " "); name == args[0] {
			if v != args[1] {
				ts.Fatalf("%s is %s, want %s", name, v, args[1])
			}
			return
		}
	}
	ts.Fatalf("no metric %s in %s", args[0], b)
}

// sessionof DEVICE VAR: sets VAR to the id of a device's session, as "devices
// --json" listed it last.
func cmdSessionOf(ts *testscript.TestScript, _ bool, args []string) {
	for _, o := range objects(ts) {
		if id, ok := value(o, "sessions.0.id").(string); ok && o["id"] == args[0] {
			ts.Setenv(args[1], id)
			return
		}
	}
	ts.Fatalf("%s has no session", args[0])
}

// lines N: the last output has so many lines.
func cmdLines(ts *testscript.TestScript, _ bool, args []string) {
	if n := strings.Count(ts.ReadFile("stdout"), "\n"); strconv.Itoa(n) != args[0] {
		ts.Fatalf("%d lines, want %s:\n%s", n, args[0], ts.ReadFile("stdout"))
	}
}

// poll HOME PATH=VALUE... -- args...: runs a command until its output has the
// values.
func cmdPoll(ts *testscript.TestScript, _ bool, args []string) {
	at := 0
	for i, a := range args {
		if a == "--" {
			at = i
		}
	}
	within(ts, func() string { return fmt.Sprintf("never %v:\n%s", args[1:at], ts.ReadFile("stdout")) }, func() bool {
		cmdRun(ts, false, append([]string{args[0]}, args[at+1:]...))
		return matches(ts, args[1:at])
	})
}

// big FILE BYTES: makes a file that does not compress or repeat.
func cmdBig(ts *testscript.TestScript, _ bool, args []string) {
	n, _ := strconv.ParseInt(args[1], 10, 64)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = io.CopyN(f, new(noise), n)
	ts.Check(errors.Join(err, f.Close()))
}

// noise is the same pseudorandom stream each time.
type noise struct{ x uint64 }

func (s *noise) Read(b []byte) (int, error) {
	for i := range b {
		s.x = s.x*6364136223846793005 + 1442695040888963407
		b[i] = byte(s.x >> 56)
	}
	return len(b), nil
}
