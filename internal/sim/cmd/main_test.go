package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The tests' own process plays the simulator's when this is set: it says what
// TestLives does. Seeds that end with 7 break, with 33 kill the process.
const actor = "RESEAL_SIM_ACTOR"

func TestMain(m *testing.M) {
	if how := os.Getenv(actor); how != "" {
		os.Exit(act(how, os.Args))
	}
	os.Exit(m.Run())
}

func act(how string, args []string) int {
	value := func(flag string) uint64 {
		n, _ := strconv.ParseUint(args[slices.Index(args, flag)+1], 10, 64)
		return n
	}
	var log []string
	first, n := value("-sim.first"), value("-sim.seeds")
	if how == "lazy" {
		n--
	}
	for seed := first; seed < first+n; seed++ {
		if how == "breaks" && seed%100 == 33 {
			fmt.Println(strings.Join(log, "\n"))
			fmt.Println("panic: out of luck")
			return 2
		}
		fmt.Printf("trace of seed %d: %064x\n", seed, seed)
		if how == "breaks" && seed%10 == 7 {
			log = append(log, fmt.Sprintf("    lost\n        again: go test ./internal/sim -run TestLives -sim.seed %d -sim.trace FILE", seed))
			if len(log) == 5 {
				log = append(log, "    and so on")
				break
			}
		}
	}
	if how == "refuses" {
		fmt.Println("flag provided but not defined: -x")
		return 2
	}
	if len(log) > 0 {
		fmt.Println("--- FAIL: TestLives\n" + strings.Join(log, "\n") + "\nFAIL")
		return 1
	}
	fmt.Println("PASS")
	return 0
}

func played(t *testing.T, how string, most int, all span) (*pool, error) {
	t.Helper()
	t.Setenv(actor, how)
	p := &pool{bin: os.Args[0], dir: ".", jobs: 3, most: most, progress: func(uint64, int) {}}
	return p, p.play(context.Background(), all)
}

// TestAllLivesArePlayed: each once, over the ends of processes that were given up
// or died; and each that broke is told, with its command.
func TestAllLivesArePlayed(t *testing.T) {
	p, err := played(t, "well", 20, span{5, 250})
	if err != nil || p.played != 250 || len(p.broke) != 0 {
		t.Errorf("lives that hold: %v, %d played, broke %v", err, p.played, p.broke)
	}
	p, err = played(t, "breaks", 1000, span{1, 1000})
	if !errors.Is(err, errBroke) || p.played != 1000 {
		t.Errorf("lives that break: %v, %d played", err, p.played)
	}
	var want, got []uint64
	for seed := uint64(1); seed <= 1000; seed++ {
		if seed%10 == 7 || seed%100 == 33 {
			want = append(want, seed)
		}
	}
	for _, b := range p.broke {
		got = append(got, b.seed)
		if again := fmt.Sprintf("go test ./internal/sim -run TestLives -sim.seed %d -sim.trace FILE", b.seed); !strings.HasSuffix(b.String(), again) {
			t.Errorf("seed %d has not its command: %v", b.seed, b)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("broke: %v, want %v", got, want)
	}
}

// TestStops: when enough broke, and with an error when lives cannot be played.
func TestStops(t *testing.T) {
	if p, err := played(t, "breaks", 3, span{1, 1 << 40}); !errors.Is(err, errBroke) || len(p.broke) < 3 {
		t.Errorf("%v, broke %v", err, p.broke)
	}
	for _, how := range []string{"refuses", "lazy"} {
		if p, err := played(t, how, 3, span{1, 1 << 40}); err == nil || errors.Is(err, errBroke) {
			t.Errorf("%s: %v, broke %v", how, err, p.broke)
		}
	}
}

// TestPlaysTheSimulator: what is built is the simulator, and it understands what
// it is told here.
func TestPlaysTheSimulator(t *testing.T) {
	p := &pool{jobs: 2, most: 1}
	if err := simulate(t.Context(), p, span{1, 3}); err != nil {
		t.Fatal(err)
	}
	if p.played != 3 {
		t.Errorf("%d of 3 lives played", p.played)
	}
}
