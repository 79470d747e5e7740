package race

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// sequential are tests that replay one goroutine's work over and over (a crash,
// a full disk, a flipped byte at every place), and those that read a process's
// memory. They run without the detector.
const sequential = "NoKeysAfter|Crash|Power|Torn|Flip|SyncFails|Full|Fault|Schedule|Vectors|Every|Linear|Memory"

// Test is what Detect needs of a test.
type Test interface {
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Logf(format string, args ...any)
}

// Detect runs the tests of packages under the race detector, from top, the
// folder of the tree. Where there is no C compiler it says so: Go has no race
// detector without one on most systems, and a machine with only Go is enough for
// all other tests. In CI that is an error.
func Detect(t Test, top string, packages ...string) {
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
	cmd := exec.Command("go", append([]string{"test", "-race", "-short", "-skip", sequential}, packages...)...)
	cmd.Dir = filepath.FromSlash(top)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
