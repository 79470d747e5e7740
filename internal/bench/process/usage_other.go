//go:build !linux

package process

import (
	"os/exec"
	"time"
)

// CPU is how much processor time a process has used.
func CPU(int) (time.Duration, error) { return 0, ErrUnsupported }

// Memory is how much memory a process holds, bytes.
func Memory(int) (uint64, error) { return 0, ErrUnsupported }

// Tree is a process and all that descend from it: the process alone here.
func Tree(pid int) []int { return []int{pid} }

// Cores are the cores that this process may run on.
func Cores() []int { return nil }

// Leave takes this process off a core.
func Leave(int) (back func(), err error) { return func() {}, nil }

func startOn(_ int, cmd *exec.Cmd) error { return cmd.Start() }
