package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"time"

	"github.com/reseal/reseal/internal/bench/floor"
)

var model = regexp.MustCompile(`(?m)^model name\s*:\s*(.*)$`)

// machine is what was measured on, for people.
func machine() string {
	name := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := model.FindSubmatch(b); m != nil {
			name = string(m[1])
		}
	}
	return fmt.Sprintf("%d cores (%s), %s, %s, %s for a synced write of 4 KiB", runtime.NumCPU(), name, runtime.GOOS, runtime.Version(), syncTime())
}

// syncTime is what a synced write takes, the median of 101.
func syncTime() string {
	dir, err := os.MkdirTemp("", "reseal-bench-")
	if err != nil {
		return "unknown"
	}
	defer os.RemoveAll(dir)
	f, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	var times []float64
	for range 101 {
		began := time.Now()
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return "unknown"
		}
		if err := floor.Sync(f); err != nil {
			return "unknown"
		}
		times = append(times, float64(time.Since(began)))
	}
	return time.Duration(median(times)).Round(10 * time.Microsecond).String()
}
