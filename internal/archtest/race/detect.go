package race

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Test is what Detect needs of a test.
type Test interface {
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Logf(format string, args ...any)
	TempDir() string
}

// stretching is the price of Argon2id in package opaque, and cheap what the run
// under the detector takes in its place: with its full 64 MiB a login is mostly
// shadow memory for the detector, and the whole three times as slow. The program
// has no such switch; the compiler is given another file. All other runs pay the
// full price.
const (
	stretching = "{3, 64 << 10, 1}"
	cheap      = "{1, 64, 1}"
)

// overlay writes what go build reads in the place of package opaque's price.
func overlay(t Test, top string) string {
	name, err := filepath.Abs(filepath.Join(filepath.FromSlash(top), "opaque", "suite.go"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), stretching) != 1 {
		t.Fatal("opaque/suite.go has not the line with the price of Argon2id: " + stretching)
	}
	dir := t.TempDir()
	other, list := filepath.Join(dir, "suite.go"), filepath.Join(dir, "overlay.json")
	replaced, err := json.Marshal(map[string]map[string]string{"Replace": {name: other}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, []byte(strings.Replace(string(text), stretching, cheap, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, replaced, 0o600); err != nil {
		t.Fatal(err)
	}
	return list
}

// Detect runs tests under the race detector, from top, the folder of the tree.
// Where there is no C compiler it says so: Go has no race detector without one on
// most systems, and a machine with only Go is enough for all other tests. In CI
// that is an error.
func Detect(t Test, top string, r Run) {
	out, err := exec.Command("go", "env", "CGO_ENABLED", "CC").Output()
	if err != nil {
		t.Fatal(err)
	}
	missing := t.Logf
	if os.Getenv("CI") != "" {
		missing = t.Errorf
	}
	env := strings.Fields(string(out))
	if len(env) < 2 || env[0] != "1" {
		missing("no race detector: cgo is off")
		return
	}
	if _, err := exec.LookPath(env[1]); err != nil {
		missing("no race detector: there is no C compiler %s", env[1])
		return
	}
	args := []string{"test", "-race", "-short", "-overlay", overlay(t, top), "-skip", "^(" + strings.Join(Sequential, "|") + ")$"}
	if r.Only != "" {
		args = append(args, "-run", r.Only)
	}
	cmd := exec.Command("go", append(args, r.Packages...)...)
	cmd.Dir = filepath.FromSlash(top)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
