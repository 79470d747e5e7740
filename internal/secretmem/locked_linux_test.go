package secretmem

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// flags are what the kernel says of the mapping that b lies in.
func flags(t *testing.T, b []byte) string {
	t.Helper()
	all, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	at, inside := uint64(uintptr(unsafe.Pointer(&b[0]))), false
	for l := range strings.Lines(string(all)) {
		var from, to uint64
		if _, err := fmt.Sscanf(l, "%x-%x", &from, &to); err == nil {
			inside = from <= at && at < to
		}
		if f, ok := strings.CutPrefix(l, "VmFlags:"); ok && inside {
			return " " + strings.TrimSpace(f) + " "
		}
	}
	t.Fatal("no mapping")
	return ""
}

// What New hands out is what it says: locked, in no core file, and, where the
// kernel has that, not to be read by a debugger either.
func TestKinds(t *testing.T) {
	s := New(bytes.Repeat([]byte{7}, 32))
	defer Free(s)
	kind := Worst()
	if kind != Plain {
		if f := flags(t, s); !strings.Contains(f, " lo ") || kind == Locked && !strings.Contains(f, " dd ") {
			t.Errorf("%s: %q", kind, f)
		}
	}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	got := make([]byte, len(s))
	_, err = mem.ReadAt(got, int64(uintptr(unsafe.Pointer(&s[0]))))
	if kind == Secret && err == nil && bytes.Equal(got, s) {
		t.Error("secret memory is read from outside")
	}
	t.Logf("%s: %v", kind, err)
}

// TestNoLeaveToLock runs this test anew in a process that may lock nothing.
func TestNoLeaveToLock(t *testing.T) {
	if os.Getenv("SECRETMEM_NO_LOCK") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNoLeaveToLock$", "-test.v")
		cmd.Env = append(os.Environ(), "SECRETMEM_NO_LOCK=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("kind is ")) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{}); err != nil {
		t.Fatal(err)
	}
	s := New([]byte("a secret"))
	if string(s) != "a secret" {
		t.Errorf("got %q", s)
	}
	kind := Worst()
	if kind != Plain && !errors.Is(unix.Mlock(make([]byte, 1)), nil) {
		t.Errorf("%s, and nothing may be locked", kind)
	}
	Free(s)
	t.Log("kind is", kind)
}
