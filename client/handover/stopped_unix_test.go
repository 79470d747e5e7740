//go:build unix

package handover_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reseal/reseal/client/handover"
)

// TestOwnerStopped: a caller does not wait for ever for an owner that is stopped
// (Ctrl-Z), and what it has given up is not run when the owner goes on.
func TestOwnerStopped(t *testing.T) {
	dir := t.TempDir()
	mark := filepath.Join(t.TempDir(), "mark")
	owner := startOwner(t, dir)
	t.Cleanup(func() { _ = owner.Process.Kill(); _ = owner.Wait() })
	if code, _, _ := run(t, dir, handover.Stdio{}, "mark", mark); code != 0 {
		t.Fatalf("code %d", code)
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	if err := owner.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// The signal has stopped nothing yet when the call returns.
	if _, err := syscall.Wait4(owner.Process.Pid, nil, syscall.WUNTRACED, nil); err != nil {
		t.Fatal(err)
	}
	handover.SetStartTimeout(t, 100*time.Millisecond)
	long := strings.Repeat("x", 200_000) // several of them are more than a socket takes
	for _, args := range [][]string{{"mark", mark}, {"mark", mark, long, long, long, long, long, long}} {
		_, err := handover.Run(t.Context(), dir, handover.Command{Args: args}, handover.Stdio{})
		if !errors.Is(err, handover.ErrSilent) {
			t.Errorf("%d arguments at a stopped owner: %v", len(args), err)
		}
	}
	handover.SetStartTimeout(t, time.Minute)
	if err := owner.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, out, _ := run(t, dir, handover.Stdio{}, "echo", "on"); out != "on" {
			t.Errorf("%q", out)
		}
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("what was given up was run")
	}
}
