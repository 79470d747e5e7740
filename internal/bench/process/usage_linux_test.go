package process

import (
	"os"
	"slices"
	"testing"
	"time"
)

// TestCPU: a process that works uses time, and one that is not there has none.
func TestCPU(t *testing.T) {
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	used := func() time.Duration {
		now, err := CPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		return now - before
	}
	for n := 0; used() < 20*time.Millisecond; n++ { // ends only if work counts
	}
	for _, pid := range []int{maxPID, 1 << 30, 0, -1} {
		if _, err := CPU(pid); err == nil {
			t.Errorf("process %d, which is not there, has used time", pid)
		}
	}
}

// TestMemory: a process that holds more has more.
func TestMemory(t *testing.T) {
	before, err := Memory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	held := make([]byte, 64<<20)
	for i := range held {
		held[i] = byte(i)
	}
	after, err := Memory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after < before+32<<20 {
		t.Errorf("%d bytes before, %d with 64 MiB more, of which %d", before, after, held[len(held)-1])
	}
	if _, err := Memory(1 << 30); err == nil {
		t.Error("a process that is not there holds memory")
	}
}

// TestLeave: off a core the process is nowhere but on the others, and back it is
// where it was.
func TestLeave(t *testing.T) {
	was := Cores()
	if len(was) == 0 {
		t.Fatal("no cores")
	}
	back, err := Leave(was[0])
	if err != nil {
		t.Fatal(err)
	}
	want := was[1:]
	if len(was) == 1 {
		want = was // there is no other one
	}
	if got := Cores(); !slices.Equal(got, want) {
		t.Errorf("on %v, want %v", got, want)
	}
	back()
	if got := Cores(); !slices.Equal(got, was) {
		t.Errorf("back on %v, want %v", got, was)
	}
}
