package fuzz

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const top = "../../.."

var (
	every = flag.Bool("turn.all", false, "fuzz all targets, not those whose turn it is")
	each  = flag.Duration("turn.time", Each, "for how long each")
)

// TestTurn fuzzes the targets whose turn it is.
func TestTurn(t *testing.T) {
	all, err := Targets(top)
	if err != nil {
		t.Fatal(err)
	}
	// Another commit is another run, also where go test keeps results: it looks at
	// what a test looked at. A source archive has no such file, and that is well.
	_, _ = os.Stat(filepath.Join(top, ".git", "index"))
	mine := Turn(all, time.Now())
	if *every {
		mine = all
	}
	for _, target := range mine {
		t.Logf("%v for %v", target, *each)
		if err := Run(top, target, *each); err != nil {
			t.Error(err)
		}
	}
}

// TestTargets: the targets are found, in this package's sense of a tree.
func TestTargets(t *testing.T) {
	all, err := Targets(top)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Target]bool{}
	for _, target := range all {
		seen[target] = true
	}
	if len(all) < 50 || len(seen) != len(all) || !seen[Target{"./seal", "FuzzOpen"}] {
		t.Errorf("%d targets, %d of them different: %v", len(all), len(seen), all)
	}
}

// TestEveryTargetGetsItsTurn: once in each round, whatever their number; and also
// for who comes by once a day at the same time.
func TestEveryTargetGetsItsTurn(t *testing.T) {
	for n := 1; n < 70; n++ {
		all := make([]Target, n)
		for i := range all {
			all[i] = Target{"./p", "Fuzz" + strings.Repeat("x", i)}
		}
		turns := (n + PerTurn - 1) / PerTurn
		round := time.Unix(0, 0).Add(time.Duration(turns) * Period * 40000)
		for range 3 {
			had := map[Target]int{}
			for i := range turns {
				for _, target := range Turn(all, round.Add(time.Duration(i)*Period+Period/2)) {
					had[target]++
				}
			}
			for _, target := range all {
				if had[target] != 1 {
					t.Fatalf("%d targets, the round at %v: %v has %d turns", n, round, target, had[target])
				}
			}
			round = round.Add(time.Duration(turns) * Period)
		}
		daily := map[Target]bool{}
		for day := range 1000 {
			for _, target := range Turn(all, round.Add(time.Duration(day)*24*time.Hour)) {
				daily[target] = true
			}
		}
		if len(daily) != n {
			t.Errorf("%d targets: who comes once a day sees %d", n, len(daily))
		}
	}
	if got := Turn(nil, time.Now()); got != nil {
		t.Errorf("no targets: %v", got)
	}
}

// TestFindsAFault: a target that fails for some input is reported with the input
// and the command, and one that does not is not.
func TestFindsAFault(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/planted\n\ngo 1.26\n",
		"p/p_test.go": `package p

import "testing"

func FuzzPlanted(f *testing.F) {
	f.Add([]byte("a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if string(b) != "a" {
			t.Error("not the seed")
		}
	})
}

func FuzzWell(f *testing.F) {
	f.Add([]byte("a"))
	f.Fuzz(func(t *testing.T, b []byte) {})
}
`,
	} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := Targets(dir)
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	if err := Run(dir, all[1], time.Second); err != nil {
		t.Error(err)
	}
	err = Run(dir, all[0], time.Minute)
	if err == nil {
		t.Fatal("the planted fault was not found")
	}
	inputs, _ := filepath.Glob(filepath.Join(dir, "p", "testdata", "fuzz", "FuzzPlanted", "*"))
	if len(inputs) != 1 {
		t.Fatalf("inputs written: %v", inputs)
	}
	text, _ := os.ReadFile(inputs[0])
	for _, want := range []string{"not the seed", "go test ./p -run '^FuzzPlanted$/^" + filepath.Base(inputs[0]) + "$'", string(text)} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the report lacks %q:\n%v", want, err)
		}
	}
}

// TestOnlyLate: a run that ended by its own clock is no find; all else is.
func TestOnlyLate(t *testing.T) {
	const (
		head = "fuzz: elapsed: 0s, gathering baseline coverage: 0/3 completed\nfuzz: elapsed: 1m0s, execs: 8000 (0/sec), new interesting: 4 (total: 7)\n"
		end  = "FAIL\nexit status 1\nFAIL\texample.com/p\t60.203s\n"
		fail = "--- FAIL: FuzzOpen (60.20s)\n"
	)
	if !onlyLate(head + fail + "    context deadline exceeded\n" + end) {
		t.Error("the end of the time is taken for a find")
	}
	for _, out := range []string{
		head + fail + "    fuzzing process hung or terminated unexpectedly: exit status 2\n    Failing input written to testdata/fuzz/FuzzOpen/1\n" + end,
		head + fail + "    context deadline exceeded\n    Failing input written to testdata/fuzz/FuzzOpen/1\n" + end,
		head + fail + "    --- FAIL: FuzzOpen (0.00s)\n        p_test.go:3: context deadline exceeded\n" + end,
		"panic: x\n" + head + fail + "    context deadline exceeded\n" + end,
		"# example.com/p\np.go:1: undefined: x\nFAIL\texample.com/p [build failed]\n",
		"",
	} {
		if onlyLate(out) {
			t.Errorf("taken for the end of the time:\n%s", out)
		}
	}
}
