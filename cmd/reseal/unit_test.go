package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client/handover"
	"github.com/reseal/reseal/client/password"
	"github.com/reseal/reseal/message"
)

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "90s": 90 * time.Second, "15m": 15 * time.Minute, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour,
	} {
		if got, err := parseDuration(in); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "s", "1", "-1s", "+1s", "1.5h", "1h30m", " 1s", "1s ", "1w", "1S", "0x10s", "99999999999d", "4294967295d", "١s"} {
		if got, err := parseDuration(in); !errors.Is(err, errDuration) {
			t.Errorf("%q: %v, %v; want a refusal", in, got, err)
		}
	}
}

// surroundings is an env that keeps what is written.
type surroundings struct {
	env
	out, err bytes.Buffer
}

func newSurroundings(t *testing.T, vars map[string]string) *surroundings {
	s := new(surroundings)
	s.stdin, s.stdout, s.stderr, s.dir = strings.NewReader(""), &s.out, &s.err, t.TempDir()
	s.getenv = func(name string) string {
		if v, ok := vars[name]; ok || name != "RESEAL_KEYRING" {
			return v
		}
		return "file" // see TestMain
	}
	return s
}

func TestExitCodes(t *testing.T) {
	offline := "http://127.0.0.1:1"
	for _, c := range []struct {
		args []string
		want int
		code string
	}{
		{[]string{}, exitDone, ""},
		{[]string{"help"}, exitDone, ""},
		{[]string{"help", "errors"}, exitDone, ""},
		{[]string{"send", "--help"}, exitDone, ""},
		{[]string{"status"}, exitDone, ""},
		{[]string{"nonsense"}, exitUsage, "usage"},
		{[]string{"status", "extra"}, exitUsage, "usage"},
		{[]string{"status", "--nonsense"}, exitUsage, "usage"},
		{[]string{"open"}, exitUsage, "usage"},
		{[]string{"devices", "remove"}, exitUsage, "usage"},
		{[]string{"contacts", "nonsense"}, exitUsage, "usage"},
		{[]string{"inbox", "--wait", "1"}, exitUsage, "usage"},
		{[]string{"inbox", "--server", "http://example.org"}, exitUsage, "usage"},
		{[]string{"inbox", "--server", "https://user@example.org"}, exitUsage, "usage"},
		{[]string{"signup", "ana"}, exitUsage, "usage"}, // nobody to ask for a password
		{[]string{"inbox"}, exitFailed, "not_logged_in"},
		{[]string{"inbox", "--as", "ana"}, exitFailed, "not_logged_in"},
		{[]string{"inbox", "--as", "//"}, exitUsage, "usage"},
	} {
		name := strings.Join(c.args, " ")
		s := newSurroundings(t, map[string]string{"RESEAL_HOME": filepath.Join(t.TempDir(), "home"), "RESEAL_SERVER": offline})
		if got := run(t.Context(), &s.env, c.args); got != c.want {
			t.Errorf("%q: exit code %d, want %d\n%s", name, got, c.want, &s.err)
		}
		if c.want == exitDone {
			continue
		}
		if s.out.Len() > 0 || !strings.HasPrefix(s.err.String(), "reseal: ") || !strings.Contains(s.err.String(), "\nhint: ") {
			t.Errorf("%q: wrote %q and %q", name, &s.out, &s.err)
		}
		s.out.Reset()
		run(t.Context(), &s.env, append(c.args, "--json"))
		var o struct{ Error, Message, Hint string }
		if err := json.Unmarshal(s.out.Bytes(), &o); err != nil || o.Error != c.code || o.Message == "" {
			t.Errorf("%q --json: %q, %v; want %s", name, &s.out, err, c.code)
		}
	}
}

// TestEveryErrorHasACode reads the sentinels of package reseal out of its
// source: one that is forgotten here would come out as "failed".
func TestEveryErrorHasACode(t *testing.T) {
	known := map[string]error{
		"ErrLogin": reseal.ErrLogin, "ErrOffline": reseal.ErrOffline, "ErrNotReseal": reseal.ErrNotReseal, "ErrServer": reseal.ErrServer,
		"ErrSessionEnded": reseal.ErrSessionEnded, "ErrNotLoggedIn": reseal.ErrNotLoggedIn, "ErrLoggedIn": reseal.ErrLoggedIn,
		"ErrRemoved": reseal.ErrRemoved, "ErrHandleTaken": reseal.ErrHandleTaken, "ErrHandle": reseal.ErrHandle,
		"ErrSignupClosed": reseal.ErrSignupClosed, "ErrUnknownMessage": reseal.ErrUnknownMessage, "ErrAmbiguous": reseal.ErrAmbiguous,
		"ErrWaiting": reseal.ErrWaiting, "ErrUpdate": reseal.ErrUpdate, "ErrClaimed": reseal.ErrClaimed, "ErrNotAtServer": reseal.ErrNotAtServer, "ErrHeld": reseal.ErrHeld,
		"ErrBlocked": reseal.ErrBlocked, "ErrAlarm": reseal.ErrAlarm, "ErrAltered": reseal.ErrAltered, "ErrGone": reseal.ErrGone, "ErrCutOff": reseal.ErrCutOff,
		"ErrTooLarge": reseal.ErrTooLarge, "ErrClock": reseal.ErrClock, "ErrBusy": reseal.ErrBusy, "ErrDamaged": reseal.ErrDamaged,
		"ErrNewer": reseal.ErrNewer, "ErrFull": reseal.ErrFull, "ErrServerFull": reseal.ErrServerFull, "ErrClosed": reseal.ErrClosed,
		"ErrLastDevice": reseal.ErrLastDevice, "ErrNoReset": reseal.ErrNoReset, "ErrUnknownDevice": reseal.ErrUnknownDevice, "ErrNotShown": reseal.ErrNotShown,
		"ErrUncertain": reseal.ErrUncertain, "ErrRecoveryCode": reseal.ErrRecoveryCode, "ErrCopy": reseal.ErrCopy,
		"ErrNoRoom": reseal.ErrNoRoom, "ErrStrangers": reseal.ErrStrangers, "ErrBookFull": reseal.ErrBookFull,
		"ErrKeyChanged": reseal.ErrKeyChanged, "ErrSettingName": reseal.ErrSettingName,
		"ErrInvite": reseal.ErrInvite, "ErrNoStranger": reseal.ErrNoStranger, "ErrResetCode": reseal.ErrResetCode, "ErrPlainHTTP": reseal.ErrPlainHTTP, "ErrOtherServer": reseal.ErrOtherServer,
		"ErrSamePassword": reseal.ErrSamePassword, "ErrSessionRecord": reseal.ErrSessionRecord,
	}
	for name := range sentinels(t, "../..") {
		err, ok := known[name]
		if !ok {
			t.Errorf("reseal.%s is new: give it a code in errors.go, and a line here", name)
			continue
		}
		if k := kindOf(fmt.Errorf("around: %w", err)); k.code == "failed" {
			t.Errorf("reseal.%s has no code", name)
		}
	}
	for want, err := range map[string]error{
		"not_due":       &reseal.NotDueError{},
		"weak_password": &password.Weak{Reason: "r"}, "unknown_account": &reseal.UnknownAccountError{Handle: "x"},
		"renamed": &reseal.RenamedError{Handle: "x"}, "rate": &reseal.RateError{}, "clock": &reseal.ClockError{}, "too_large": &reseal.LimitError{}, "quota": &reseal.QuotaError{},
		"viewed": &reseal.EndedError{State: message.StateViewed}, "expired": &reseal.EndedError{State: message.StateExpired},
		"unsent": &reseal.EndedError{State: message.StateUnsent}, "owner_gone": &handover.GoneError{}, "failed": errors.New("x"),
		"interrupted": context.Canceled, "timeout": context.DeadlineExceeded, "offline": &reseal.AccountError{Err: reseal.ErrOffline},
		"no_file": os.ErrNotExist, "permission": os.ErrPermission, "usage": usagef("", "x"),
	} {
		if k := kindOf(fmt.Errorf("around: %w", err)); k.code != want {
			t.Errorf("%T is %s, want %s", err, k.code, want)
		}
	}
	seen := map[string]bool{}
	for _, k := range kinds {
		if seen[k.code] {
			t.Errorf("%s stands twice in the list", k.code)
		}
		seen[k.code] = true
	}
}

// sentinels are the names of the exported error variables of a folder.
func sentinels(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil || f.Name.Name != "reseal" {
			continue
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				for _, n := range s.(*ast.ValueSpec).Names {
					if strings.HasPrefix(n.Name, "Err") {
						found[n.Name] = true
					}
				}
			}
		}
	}
	if len(found) < 20 {
		t.Fatalf("only %d errors found in %s", len(found), dir)
	}
	return found
}

func TestErrorsSpeakPlainly(t *testing.T) {
	c := &cli{env: &newSurroundings(t, nil).env, server: "http://s"}
	for err, want := range map[error]string{
		reseal.ErrOffline: "no server answers at http://s",
		&reseal.AccountError{Handle: "ana", Err: reseal.ErrOffline}:          "no server answers for ana",
		fmt.Errorf("reseal: to ben: %w", &reseal.LimitError{Limit: "wraps"}): "to ben: over the server's limit: wraps",
		errors.Join(errors.New("reseal: a"), errors.New("vault: b")):         "a; b",
		&reseal.RateError{Limit: "login_handle", After: 90 * time.Second}:    "too many calls (login_handle); come back in 1m30s",
		&reseal.QuotaError{Quota: "\x1b]0;you\a\u202e", After: time.Hour}:    "the server's quota is used up: \ufffd]0;you\ufffd\ufffd; again in 1h0m0s",
	} {
		if _, text, _ := c.explain(err); text != want {
			t.Errorf("%v: %q, want %q", err, text, want)
		}
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	c := &cli{env: &newSurroundings(t, nil).env}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.Hidden || !cmd.Runnable() || !cmd.HasParent() {
			return
		}
		if cmd.Short == "" || cmd.Example == "" {
			t.Errorf("%q has no help or no example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			if !strings.Contains(line, cmd.CommandPath()) && !strings.Contains(line, "reseal ") {
				t.Errorf("%q has an example of something else: %s", cmd.CommandPath(), line)
			}
		}
	}
	walk(c.tree())
}

func TestParseSend(t *testing.T) {
	s := newSurroundings(t, nil)
	c := &cli{env: &s.env}
	for _, name := range []string{"photo.jpg", "dave", "No Handle"} {
		if err := os.WriteFile(filepath.Join(s.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range []struct {
		args string
		text bool
		to   string // "" is a refusal
		file string
	}{
		{"ben photo.jpg", false, "ben", "photo.jpg"},
		{"ben missing", false, "ben", "missing"},
		{"ben carla -", false, "ben carla", "-"},
		{"ben", false, "", ""},
		{"ben", true, "ben", ""},
		{"ben carla", true, "ben carla", ""},
		{"ben photo.jpg", true, "ben", "photo.jpg"},
		{"ben other.jpg", true, "ben other.jpg", ""},
		{"ben dave", true, "", ""}, // a file, and could be a handle
		{"ben dave", false, "ben", "dave"},
		{"ben ./dave", true, "ben", "./dave"},
		{"ben No Handle", false, "", ""},
		{"photo.jpg", true, "", ""},
		{"ben -", true, "ben", "-"},
	} {
		to, file, err := c.parseSend(strings.Split(k.args, " "), sendFlags{text: "t", textSet: k.text})
		if k.to == "" {
			if _, ok := errors.AsType[*usageError](err); !ok {
				t.Errorf("%q: %v, %q, %v; want a refusal", k.args, to, file, err)
			}
			continue
		}
		if err != nil || strings.Join(to, " ") != k.to || file != k.file {
			t.Errorf("%q (text: %v): %v, %q, %v", k.args, k.text, to, file, err)
		}
	}
}

func TestSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"direct": "/dev/stdin", "relative": "direct", "good": "plain", "folder": "/dev", "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]bool{
		plain: false, filepath.Join(dir, "good"): false, filepath.Join(dir, "missing"): false, filepath.Join(dir, "loop"): false,
		"/dev/stdin": true, "/dev/fd/0": true, "/proc/self/fd/0": true, dir + "/../../../../../../../dev/stdin": true,
		filepath.Join(dir, "direct"): true, filepath.Join(dir, "relative"): true, filepath.Join(dir, "folder/stdin"): true,
	} {
		if got := special(path); got != want {
			t.Errorf("special(%s) = %v", path, got)
		}
	}
}

func TestServeFlags(t *testing.T) {
	s := newSurroundings(t, nil)
	c := &cli{env: &s.env}
	ok := serveFlags{data: "d", signup: "open", listen: defaultListen, metrics: defaultMetrics}
	for _, k := range []struct {
		change func(*serveFlags)
		good   bool
	}{
		{func(*serveFlags) {}, true},
		{func(f *serveFlags) { f.listen = "localhost:0" }, true},
		{func(f *serveFlags) { f.listen = "[::1]:80" }, true},
		{func(f *serveFlags) { f.metrics = "off" }, true},
		{func(f *serveFlags) { f.listen = ":8470" }, false},
		{func(f *serveFlags) { f.listen = "0.0.0.0:8470" }, false},
		{func(f *serveFlags) { f.listen = "8470" }, false},
		{func(f *serveFlags) { f.metrics, f.metricsSet = "192.0.2.1:1", true }, false},
		{func(f *serveFlags) { f.key = "d/store/key" }, false},
		{func(f *serveFlags) { f.listen, f.tls.domains = ":443", []string{"a.example"} }, true},
		{func(f *serveFlags) { f.listen, f.tls.cert, f.tls.key = ":443", "c", "k" }, true},
		{func(f *serveFlags) { f.tls.cert = "c" }, false},
		{func(f *serveFlags) { f.signup = "invite" }, true},
		{func(f *serveFlags) { f.signup = "friends" }, false},
		{func(f *serveFlags) { f.tls.key = "k" }, false},
		{func(f *serveFlags) { f.tls.cert, f.tls.key, f.tls.domains = "c", "k", []string{"a.example"} }, false},
		{func(f *serveFlags) { f.tls.email = "a@example.org" }, false},
		{func(f *serveFlags) { f.tls.cert, f.tls.key, f.metrics = "c", "k", ":8471" }, false},
	} {
		f := ok
		k.change(&f)
		if err := f.complete(c); (err == nil) != k.good {
			t.Errorf("%+v: %v", f, err)
		}
	}
	f := ok
	f.listen = "127.0.0.1:0"
	if err := f.complete(c); err != nil || f.metrics != "127.0.0.1:0" || f.key != filepath.Join(s.dir, "d.key") {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestHomeFolder(t *testing.T) {
	user, xdg := t.TempDir(), t.TempDir()
	t.Setenv("HOME", user)
	get := func(name string) string { return map[string]string{"XDG_DATA_HOME": xdg}[name] }
	none := func(string) string { return "" }
	if got := defaultHome(none); got != filepath.Join(user, ".reseal") {
		t.Error(got)
	}
	if got := defaultHome(get); got != filepath.Join(xdg, "reseal") {
		t.Error(got)
	}
	if err := os.Mkdir(filepath.Join(user, ".reseal"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := defaultHome(get); got != filepath.Join(user, ".reseal") {
		t.Errorf("%s: what was there first stays", got)
	}
}

func TestSelfTests(t *testing.T) {
	for _, s := range selfTests {
		if err := s.run(); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}

// TestOwnerSendsBack follows one owner through its end: it waits for busy
// commands, sends lingering ones back, and takes none afterwards.
func TestOwnerSendsBack(t *testing.T) {
	o, err := (&cli{env: new(env), home: t.TempDir(), server: reseal.DefaultServer}).openOwner()
	if err != nil {
		t.Fatal(err)
	}
	defer o.in.Close()
	s := newSurroundings(t, nil)
	var order []string
	if !o.enter() {
		t.Fatal("not taken")
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		o.mu.Lock()
		order = append(order, "busy ended")
		o.lingering++
		o.mu.Unlock()
		o.leave(&o.busy)
		<-o.yield
		o.mu.Lock()
		order = append(order, "lingering ended")
		o.mu.Unlock()
		o.leave(&o.lingering)
	}()
	o.finish(&cli{env: &s.env})
	o.mu.Lock()
	order = append(order, "finished")
	o.mu.Unlock()
	if want := []string{"busy ended", "lingering ended", "finished"}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
	if code := o.handle(t.Context(), handover.Command{Args: []string{"status"}}, handover.Stdio{}); code != handedBack {
		t.Errorf("a command that comes too late gets exit code %d", code)
	}
}

// A message that no device of its recipient can read yet says so.
func TestShowSentToNoDevice(t *testing.T) {
	s := newSurroundings(t, nil)
	c := &cli{env: &s.env}
	id := reseal.MessageID{1}
	if err := c.showSent([]reseal.Sent{{To: "ben", Message: id}, {To: "carl", Message: id, Devices: 1}}, 1, nil); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(s.out.String(), "\n") {
		if strings.HasPrefix(line, "ben") != strings.Contains(line, "no good key of their devices is known") {
			t.Errorf("%q", line)
		}
	}
	if !strings.Contains(s.out.String(), "ben") {
		t.Errorf("%q", s.out.String())
	}
}
