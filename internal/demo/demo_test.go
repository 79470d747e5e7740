package demo

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reseal/reseal/internal/terminal"
)

// built is the real command, built once.
var built string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "reseal-demo-test-")
	if err != nil {
		panic(err)
	}
	built = filepath.Join(dir, "reseal.exe")
	out, err := exec.Command("go", "build", "-o", built, "../../cmd/reseal").CombinedOutput()
	if err != nil {
		_, _ = os.Stderr.Write(out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func serveBuilt(args ...string) *exec.Cmd { return exec.Command(built, args...) }

// run is a whole story as scripts see it.
type run struct {
	steps   []told
	figures figures
	err     error
}

func (r *run) step(t *testing.T, name string) told {
	t.Helper()
	for _, s := range r.steps {
		if s.Step == name {
			return s
		}
	}
	t.Fatalf("no step %s", name)
	return told{}
}

// tellJSON runs the story in a folder for temporary files of its own, which must
// be empty in the end.
func tellJSON(t *testing.T, ctx context.Context, o Options) *run {
	t.Helper()
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	var out bytes.Buffer
	o.Out, o.JSON = &out, true
	if o.Server == nil {
		o.Server = serveBuilt
	}
	if o.Size == 0 {
		o.Size = 3<<20 + 17
	}
	r := &run{err: Run(ctx, o)}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for line := range strings.Lines(out.String()) {
		var last struct{ Figures *figures }
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if last.Figures != nil {
			r.figures = *last.Figures
			continue
		}
		var s told
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		r.steps = append(r.steps, s)
	}
	return r
}

var allSteps = []string{
	"server.start", "ana.signup", "ben.signup", "cleo.signup", "safety.number",
	"text.send", "photo.send", "film.send", "glance",
	"tablet.login", "once.send", "once.view", "once.gone", "once.deleted",
	"logout", "phone.search", "meanwhile", "login.same",
	"hop.send", "hop.login", "hop.back",
	"alone.send", "alone.login", "alone.answer", "alone.kept",
	"stale.hold", "stale.login", "stale.caught",
	"unsend", "expiry.send", "server.kill", "expiry", "survived",
	"server.stop", "search.control", "search.files", "search.records", "server.knows",
}

// processOf is the server's process, to see whether it is still there.
func processOf(t *testing.T, s *story) *os.Process {
	t.Helper()
	p, err := os.FindProcess(s.server.PID())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStory(t *testing.T) {
	var pids []*os.Process
	r := tellJSON(t, t.Context(), Options{between: func(s *story, _ int) bool {
		pids = append(pids, processOf(t, s))
		return true
	}})
	if r.err != nil {
		t.Error(r.err)
	}
	var names []string
	for _, s := range r.steps {
		names = append(names, s.Step)
		if !s.OK || s.Error != "" {
			t.Errorf("%s: %s", s.Step, s.Error)
		}
		if s.Text == "" || s.Chapter == "" {
			t.Errorf("%s has no text", s.Step)
		}
		if n := indent + terminal.Columns(s.Text+"  "+s.Detail); n > columns {
			t.Errorf("%s would be cut: %d columns", s.Step, n)
		}
	}
	if !slices.Equal(names, allSteps) {
		t.Errorf("steps:\n got %v\nwant %v", names, allSteps)
	}
	f := r.figures
	if f.Lost != 0 || f.Broken != 0 || f.Found != 0 || f.Failed != 0 || f.BadWraps != 0 || f.Alarms != 0 || f.Steps != len(allSteps) {
		t.Errorf("figures: %+v", f)
	}
	// 16 messages. A key was asked for once by each new device that read what
	// was sent before it came: Ben's tablet 1, his new phone 3, Cleo's new
	// phone 2, her tablet 1 and perhaps the one that was caught, if its
	// request was faster than the sender.
	if f.Messages != 16 || f.Sends != 16 || f.StaleSends != 1 {
		t.Errorf("%d messages, %d sends, %d stale", f.Messages, f.Sends, f.StaleSends)
	}
	if f.RetriesNeeded < 7 || f.RetriesNeeded > 8 || f.AnsweredOwn < 3 || f.AnsweredBy < 2 {
		t.Errorf("retries: %+v", f)
	}
	if f.AnsweredOwn+f.AnsweredBy+f.AnsweredOther != f.RetriesNeeded || f.Opened < f.RetriesNeeded+15 || f.Received != f.Opened {
		t.Errorf("answered: %+v", f)
	}
	if f.P80 < f.P50 || f.P99 < f.P80 || f.Max < f.P99 || f.Max <= 0 || f.Secrets < 100 || f.Searched < 6<<20 {
		t.Errorf("figures: %+v", f)
	}
	for _, p := range pids {
		if p.Signal(os.Interrupt) == nil {
			t.Errorf("server process %d is still there", p.Pid)
		}
	}
}

// People may bring files of their own, with names as people make them, and look
// at the folders afterwards.
func TestStoryForPeople(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, strings.Repeat("Ausflug über den Bärensee ", 7)+"日本語.bin")
	tiny := filepath.Join(dir, "a")
	if err := errors.Join(os.WriteFile(long, bytes.Repeat([]byte("over the lake and far away "), 40_000), 0o600), os.WriteFile(tiny, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	kept := filepath.Join(dir, "kept")
	err := Run(t.Context(), Options{Files: []string{long, tiny}, KeepData: kept, Out: &out, Server: serveBuilt})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSuffix(line, "\n")
		if n := terminal.Columns(line); n > columns {
			t.Errorf("%d columns: %s", n, line)
		}
		if strings.ContainsAny(line, "\x1b\r") || strings.TrimRight(line, " ") != line {
			t.Errorf("line: %q", line)
		}
	}
	if n := strings.Count(out.String(), "✓"); n != len(allSteps)+1 {
		t.Errorf("%d check marks", n)
	}
	for _, name := range []string{"server/data/store", "server/data.key", "server/data/blobs", "received", "Ana-phone/vault", "family-phone/vault"} {
		if _, err := os.Stat(filepath.Join(kept, name)); err != nil {
			t.Error(err)
		}
	}
	if err := Run(t.Context(), Options{KeepData: kept, Out: &out, Server: serveBuilt}); !errors.Is(err, ErrKeep) {
		t.Errorf("a second time into the same folder: %v", err)
	}
}

func TestTerminalShowsColoursAndWhatIsUnderWay(t *testing.T) {
	var out bytes.Buffer
	n := &narrator{out: &out, live: true, wide: 80, style: true}
	n.chapter("A title", "and a lead")
	n.doing("Something happens")
	n.step("x", "Something happens", &result{}, 0, nil)
	n.doing("Something fails")
	n.step("y", "Something fails", &result{}, 0, errors.New("for a reason"))
	for _, want := range []string{"\x1b[1m", "·", "\r\x1b[K", "\x1b[32m✓", "\x1b[31m✗", "for a reason"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, out.String())
		}
	}
}

// What must not be at the server is found there, in each form, in files and in
// their names.
func TestPlantedPlaintextIsFound(t *testing.T) {
	plants := map[string]func(s *story) (name, text string){
		"content": func(s *story) (string, string) {
			b, _ := os.ReadFile(s.photo.path)
			return "cache", "xy" + base64.StdEncoding.EncodeToString(b[1000:200_000])
		},
		"file name":   func(s *story) (string, string) { return s.photo.name, "" },
		"password":    func(s *story) (string, string) { return "log", "login ben " + string(s.ben.password) },
		"caption":     func(*story) (string, string) { return "log", captions[0] },
		"session":     func(s *story) (string, string) { return "log", hexOf(t, s, "session secret") },
		"content key": func(s *story) (string, string) { return "log", hexOf(t, s, "content key") },
		"recovery":    func(s *story) (string, string) { return "log", hexOf(t, s, "recovery code") },
	}
	s := &story{keys: new(keyring), o: Options{Out: new(bytes.Buffer), KeepData: t.TempDir(), Size: 1 << 16}, n: &narrator{out: new(bytes.Buffer), json: true}}
	if err := errors.Join(s.folder(), s.prepare()); err != nil {
		t.Fatal(err)
	}
	defer s.wire.close()
	for _, k := range []string{"session secret", "content key", "recovery code"} {
		s.keys.add(k, []byte(strings.Repeat(k, 3))[:32])
	}
	s.keys.add("password", s.ben.password)
	if err := s.secret(s.photo); err != nil {
		t.Fatal(err)
	}
	if err := s.glance(t.Context(), new(result)); err != nil {
		t.Fatalf("before anything was planted: %v", err)
	}
	for what, plant := range plants {
		name, text := plant(s)
		path := filepath.Join(s.data, name)
		if err := os.WriteFile(path, []byte("some text before it: "+text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.glance(t.Context(), new(result)); err == nil {
			t.Errorf("a planted %s is not found", what)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func hexOf(t *testing.T, s *story, kind string) string {
	t.Helper()
	for _, k := range s.keys.all() {
		if k.what == kind {
			return strings.ToUpper(string(forms(k.value)["hex"][0]))
		}
	}
	t.Fatalf("no %s", kind)
	return ""
}

// The same in the story: it breaks off, looks at the server all the same, and says
// that something is wrong.
func TestStoryWithPlantedPhoto(t *testing.T) {
	r := tellJSON(t, t.Context(), Options{between: func(s *story, chapter int) bool {
		if chapter == 1 {
			b, err := os.ReadFile(s.photo.path)
			if err == nil {
				err = os.WriteFile(filepath.Join(s.data, "thumbnail"), b, 0o600)
			}
			if err != nil {
				t.Error(err)
			}
		}
		return true
	}})
	if s := r.step(t, "glance"); s.OK {
		t.Errorf("step: %+v", s)
	}
	if s := r.step(t, "search.files"); s.OK || !strings.Contains(s.Error, "thumbnail") {
		t.Errorf("step: %+v", s)
	}
	if !errors.Is(r.err, ErrBroken) || r.figures.Found == 0 || r.figures.Failed == 0 {
		t.Errorf("%v, %+v", r.err, r.figures)
	}
}

// A server that comes back with another folder has lost what it had said it has.
func TestStoryWithServerThatLosesItsFolder(t *testing.T) {
	starts := 0
	r := tellJSON(t, t.Context(), Options{Server: func(args ...string) *exec.Cmd {
		if starts++; starts == 2 {
			i := slices.Index(args, "--data")
			args = append(slices.Clone(args), "--key", args[i+1]+".other.key")
			args[i+1] += ".other"
		}
		return serveBuilt(args...)
	}})
	if !errors.Is(r.err, ErrBroken) || r.figures.Broken == 0 || r.figures.Failed == 0 {
		t.Errorf("%v, %+v", r.err, r.figures)
	}
	if starts != 2 {
		t.Errorf("%d starts", starts)
	}
}

// A promise that is not kept is noted, although every step went well.
func TestBrokenPromiseIsNoted(t *testing.T) {
	r := tellJSON(t, t.Context(), Options{between: func(s *story, chapter int) bool {
		if chapter == 4 {
			s.ledger.parcels[3].kept = false
		}
		return chapter != 4 // the chapters in between would not change it
	}})
	if !errors.Is(r.err, ErrBroken) || r.figures.Broken != 1 || r.figures.Failed != 0 {
		t.Errorf("%v, %+v", r.err, r.figures)
	}
}

func TestInterruptLeavesNothingBehind(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted")
	var server *os.Process
	r := tellJSON(t, ctx, Options{between: func(s *story, chapter int) bool {
		if chapter == 2 {
			server = processOf(t, s)
			cancel(stop)
		}
		return true
	}})
	if !errors.Is(r.err, stop) {
		t.Errorf("got %v", r.err)
	}
	if server == nil || server.Signal(os.Interrupt) == nil {
		t.Error("the server is still there")
	}
}

func TestServerThatDoesNotStart(t *testing.T) {
	r := tellJSON(t, t.Context(), Options{Server: func(...string) *exec.Cmd { return serveBuilt("no-such-command") }})
	if s := r.step(t, "server.start"); s.OK || !strings.Contains(s.Error, "no-such-command") {
		t.Errorf("step: %+v", s)
	}
	if !errors.Is(r.err, ErrBroken) {
		t.Errorf("got %v", r.err)
	}
}
