package process

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is how much processor time a process has used, user and system, all of its
// threads, to the nanosecond. Its children are not in it.
func CPU(pid int) (time.Duration, error) {
	// The clock of a process, as clock_getcpuclockid(3) makes its number: the
	// complement of the pid, and 2 for time that the scheduler accounted.
	const scheduled = 2
	if pid < 1 || pid > maxPID {
		return 0, fmt.Errorf("process %d: %w", pid, os.ErrProcessDone)
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|scheduled, &ts); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// maxPID is the highest that Linux gives; a clock's number holds no more.
const maxPID = 1 << 22

// Memory is the proportional set size of a process, bytes: pages that it shares
// with others count by its part. The kernel's memory for sockets is not in it.
func Memory(pid int) (uint64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		value, ok := strings.CutPrefix(lines.Text(), "Pss:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 44)
		if err != nil {
			return 0, err
		}
		return kib << 10, nil
	}
	return 0, ErrUnsupported
}

// Tree is a process and all that descend from it, the process first.
func Tree(pid int) []int {
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		if err != nil {
			continue
		}
		for _, list := range lists {
			b, _ := os.ReadFile(list) // gone meanwhile
			for one := range strings.FieldsSeq(string(b)) {
				if child, err := strconv.Atoi(one); err == nil && !slices.Contains(all, child) {
					all = append(all, child)
				}
			}
		}
	}
	return all
}

// Cores are the cores that this process may run on.
func Cores() (all []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	for i := range 64 * len(set) {
		if set.IsSet(i) {
			all = append(all, i)
		}
	}
	return all
}

// startOn starts a command on a core. The thread that forks is put there first:
// a Go program counts its cores when it starts, and counts one then.
func startOn(core int, cmd *exec.Cmd) error {
	if core == NoCore {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var was, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &was); err != nil {
		return err
	}
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("core %d: %w", core, err)
	}
	err := cmd.Start()
	_ = unix.SchedSetaffinity(0, &was)
	return err
}

// Leave takes this process off a core, where it has another, and returns what
// puts it back.
func Leave(core int) (back func(), err error) {
	var was, rest unix.CPUSet
	if err := unix.SchedGetaffinity(0, &was); err != nil {
		return nil, err
	}
	if rest = was; core != NoCore {
		rest.Clear(core)
	}
	if rest.Count() == 0 || rest.Count() == was.Count() {
		return func() {}, nil
	}
	if err := confine(&rest); err != nil {
		return nil, err
	}
	procs := runtime.GOMAXPROCS(rest.Count())
	return func() {
		_ = confine(&was)
		runtime.GOMAXPROCS(procs)
	}, nil
}

// confine puts every thread of this process on a set of cores; threads to come
// inherit it. It looks again until no new thread has come meanwhile.
func confine(set *unix.CPUSet) error {
	var done []int
	for fresh := true; fresh; {
		fresh = false
		all, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range all {
			tid, err := strconv.Atoi(t.Name())
			if err != nil || slices.Contains(done, tid) {
				continue
			}
			if err := unix.SchedSetaffinity(tid, set); err != nil && err != unix.ESRCH {
				return err
			}
			done, fresh = append(done, tid), true
		}
	}
	return nil
}
