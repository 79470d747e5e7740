package process

import (
	"os"
	"os/exec"
	"slices"
	"testing"
)

// TestTree: a process's children are found as long as they are there.
func TestTree(t *testing.T) {
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	all := Tree(os.Getpid())
	if all[0] != os.Getpid() || !slices.Contains(all, cmd.Process.Pid) {
		t.Errorf("%d is not among %v", cmd.Process.Pid, all)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if slices.Contains(Tree(os.Getpid()), cmd.Process.Pid) {
		t.Error("it is found when it has ended")
	}
}
