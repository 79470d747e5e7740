package race

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// concurrent are the packages that start goroutines or are called from many. The
// deterministic packages start none (package archtest holds them to it).
var concurrent = []string{
	".", "./api/...", "./bus/...", "./client/handover", "./client/remote/...", "./client/vault", "./server/...", "./store/memory",
	"./store/pebble", "./wrap",
}

// sequential are tests that replay one goroutine's work over and over (a crash,
// a full disk, a flipped byte at every place). They run without the detector.
const sequential = "Crash|Power|Torn|Flip|SyncFails|Full|Fault|Schedule|Vectors|Every|Linear|Memory"

// TestRace: where there is a C compiler. Without one, Go has no race detector on
// most systems, and a machine with only Go is enough for all other tests.
func TestRace(t *testing.T) {
	out, err := exec.Command("go", "env", "CGO_ENABLED", "CC").Output()
	if err != nil {
		t.Fatal(err)
	}
	env := strings.Fields(string(out))
	if len(env) < 2 || env[0] != "1" {
		t.Log("no race detector: cgo is off")
		return
	}
	if _, err := exec.LookPath(env[1]); err != nil {
		t.Logf("no race detector: there is no C compiler %s", env[1])
		return
	}
	cmd := exec.Command("go", append([]string{"test", "-race", "-short", "-skip", sequential}, concurrent...)...)
	cmd.Dir = filepath.Join("..", "..", "..")
	cmd.Env = os.Environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
