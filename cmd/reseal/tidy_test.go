package main

import "testing"

// Memory is given back once a rush is over, not while it lasts, and not again
// before there is something to give.
func TestTidy(t *testing.T) {
	var at uint64
	freed := 0
	tidy := tidier{allocated: func() uint64 { return at }, free: func() { freed++; at += 1000 }}
	for i, c := range []struct {
		more uint64 // allocated before this look
		want int
	}{
		{100 << 20, 0}, {100 << 20, 0}, {quietBytes, 0}, // a rush
		{quietBytes - 1, 1}, {0, 1}, {1000, 1}, // quiet
		{quietBytes - 1, 1}, {quietBytes - 1, 1}, {quietBytes - 1, 1}, {quietBytes - 1, 1}, {quietBytes - 1, 1}, {quietBytes - 1, 1},
		{quietBytes - 1, 1}, {quietBytes - 1, 2}, // drop by drop
		{worthBytes, 2}, {0, 3},
	} {
		at += c.more
		if tidy.look(); freed != c.want {
			t.Errorf("look %d: given back %d times, want %d", i, freed, c.want)
		}
	}
	if a := allocated(); a == 0 || a > 1<<50 {
		t.Errorf("%d bytes allocated", a)
	}
}
