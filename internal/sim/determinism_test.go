package sim

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// sameSeeds are the lives that TestSameTrace plays: with all that a plan draws.
var sameSeeds = []uint64{1, 6, 9, 10, 11, 12, 19}

// TestSameTrace: the same seed is the same course, byte for byte: twice in this
// process, and in two others with other numbers of processors.
func TestSameTrace(t *testing.T) {
	var want []string
	for _, seed := range sameSeeds {
		var sums []string
		for range 2 {
			sum := sha256.New()
			if err := play(t, Draw(seed), sum); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
			sums = append(sums, fmt.Sprintf("trace of seed %d: %x", seed, sum.Sum(nil)))
		}
		if sums[0] != sums[1] {
			t.Errorf("twice in one process: %s, %s", sums[0], sums[1])
		}
		want = append(want, sums[0])
	}
	for i, w := range want[1:] {
		if strings.HasSuffix(w, want[i][len(want[i])-64:]) {
			t.Errorf("two seeds with one trace: %s, %s", want[i], w)
		}
	}
	for _, procs := range []string{"1", "7"} {
		for i, seed := range sameSeeds {
			cmd := exec.Command(os.Args[0], "-test.run", "^TestLives$", "-sim.hashes", "-sim.seed", fmt.Sprint(seed))
			cmd.Env = append(slices.Clone(os.Environ()), "GOMAXPROCS="+procs)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if !strings.Contains(string(out), want[i]+"\n") {
				t.Errorf("with GOMAXPROCS %s: not %s but %s", procs, want[i], out)
			}
		}
	}
}
