package fuzz

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// written is how go test tells of an input that makes a target fail.
var written = regexp.MustCompile(`Failing input written to (\S+)`)

// Run fuzzes one target of the module at top for a while, with one worker: other
// tests run beside it. The error of a target that failed has the output, the input
// that did it, and the command that plays it again; go test leaves the input in
// the package's testdata, to be committed with what mends it.
func Run(top string, t Target, d time.Duration) error {
	cmd := exec.Command("go", "test", t.Package, "-run", "^$", "-fuzz", "^"+t.Name+"$", "-fuzztime", d.String(), "-parallel", "1")
	cmd.Dir = filepath.FromSlash(top)
	out, err := cmd.CombinedOutput()
	if err == nil || onlyLate(string(out)) {
		return nil
	}
	again := ""
	if m := written.FindSubmatch(out); m != nil {
		input := string(m[1])
		text, err := os.ReadFile(filepath.Join(top, t.Package, filepath.FromSlash(input)))
		if err != nil {
			return fmt.Errorf("%v: %w\n%s", t, err, out)
		}
		again = fmt.Sprintf("\nagain: go test %s -run '^%s$/^%s$', with this in %s:\n%s",
			t.Package, t.Name, filepath.Base(input), strings.TrimPrefix(t.Package+"/"+input, "./"), text)
	}
	return fmt.Errorf("%v: %w\n%s%s", t, err, out, again)
}

// late is all that go test prints when its coordinator, at the end of the time,
// takes the end for the target's fault (go.dev/issue/75804, mended in Go 1.27).
var late = regexp.MustCompile(`^(fuzz: elapsed: .*\n)+--- FAIL: Fuzz\w+ \([0-9.]+s\)\n +context deadline exceeded\nFAIL\nexit status 1\nFAIL\t.*\n(FAIL\n)?$`)

// onlyLate tells whether a run failed by nothing but its own end. A target that
// fails, panics, hangs or does not build prints more.
func onlyLate(out string) bool { return late.MatchString(strings.ReplaceAll(out, "\r\n", "\n")) }
