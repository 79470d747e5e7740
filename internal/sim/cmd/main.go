// Command cmd plays many lives of package sim, on all cores, and ends with the
// seeds that broke a promise and the command that plays each again. It builds the
// tests of package sim and runs them in one process a core, each with a range of
// seeds: a world is one goroutine, and what it breaks may be its process.
//
//	go run ./internal/sim/cmd -seeds 100000
//
// It ends with 1 if any life broke, with 2 if it could not play them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// simulator is the package whose tests play the lives.
const simulator = "github.com/reseal/reseal/internal/sim"

func main() {
	seeds := flag.Uint64("seeds", 100_000, "how many lives to play")
	first := flag.Uint64("first", 1, "the first seed")
	jobs := flag.Int("j", runtime.GOMAXPROCS(0), "how many processes at a time")
	most := flag.Int("most", 20, "stop when so many broke")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: go run ./internal/sim/cmd [-seeds N] [-first SEED] [-j N] [-most N] [-- FLAGS OF THE TEST...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *seeds == 0 || *first == 0 || *first+*seeds < *first || *jobs < 1 || *most < 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := simulate(ctx, &pool{jobs: *jobs, most: *most, args: flag.Args()}, span{*first, *seeds})
	stop()
	switch {
	case err == errBroke:
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// simulate builds the simulator, plays the lives, and tells of them.
func simulate(ctx context.Context, p *pool, all span) error {
	dir, err := os.MkdirTemp("", "reseal-sim-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p.bin = filepath.Join(dir, "sim.test")
	if runtime.GOOS == "windows" {
		p.bin += ".exe"
	}
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", p.bin, simulator).CombinedOutput(); err != nil {
		return fmt.Errorf("building the simulator: %w\n%s", err, out)
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", simulator).Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	p.dir = strings.TrimSpace(string(out))
	start := time.Now()
	p.progress = func(played uint64, broke int) {
		took := time.Since(start).Seconds()
		fmt.Fprintf(os.Stderr, "%d of %d lives, %.1f a second, %d broke\n", played, all.n, float64(played)/took, broke)
	}
	err = p.play(ctx, all)
	p.progress(p.played, len(p.broke))
	for _, b := range p.broke {
		fmt.Printf("\n%s\n", b)
	}
	return err
}
