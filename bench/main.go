package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/reseal/reseal/internal/bench"
	"github.com/reseal/reseal/internal/benchserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	runs   int
	quick  bool
	only   []string
	out    string
	folder string
	core   int
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "floor" {
		return serveFloor(ctx, args[1:])
	}
	o := options{core: bench.DefaultCore()}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.runs, "runs", 5, "how many runs; the median of them is told")
	f.BoolVar(&o.quick, "quick", false, "little load and for a moment, to see that everything works; the values mean nothing")
	f.StringVar(&o.out, "out", "docs", "write performance.md and its plots into `DIR`")
	f.StringVar(&o.folder, "folder", "", "have the files of servers and clients in `DIR` (default that for temporary files): its disk is measured, too")
	f.IntVar(&o.core, "core", o.core, "put servers on core `N` and everything else on the others; -1 leaves it to the system")
	only := f.String("only", "", "measure these figures alone: `NAME,...`")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	if o.runs < 1 || f.NArg() > 0 {
		return fmt.Errorf("see go run ./bench -help")
	}
	return o.measure(ctx)
}

func (o options) measure(ctx context.Context) (err error) {
	tmp, err := os.MkdirTemp("", "reseal-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	command := filepath.Join(tmp, "reseal")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", command, "github.com/reseal/reseal/cmd/reseal").CombinedOutput(); err != nil {
		return fmt.Errorf("building the command: %w: %s", err, out)
	}
	values := results{}
	for n := range o.runs {
		for _, figure := range o.order(n) {
			fmt.Fprintf(os.Stderr, "run %d of %d: %s\n", n+1, o.runs, figure)
			if err := bench.Run(ctx, bench.Options{
				Only: []string{figure}, Quick: o.quick, Core: o.core, Folder: o.folder,
				Command:    func(args ...string) *exec.Cmd { return exec.Command(command, args...) },
				ServerArgs: benchserver.Args(),
				Rivals:     []bench.Rival{floorRival{}},
				Emit:       func(v bench.Value) error { values.add(v); return nil },
			}); err != nil {
				return err
			}
		}
	}
	return report(o, values)
}

// order are the figures of a run: where the floor has the same, one after the
// other, the floor first in every second run.
func (o options) order(run int) (all []string) {
	floor := []string{"flood", "rate", "idle", "idle-tls", "blob"}
	for _, f := range bench.Figures() {
		if len(o.only) > 0 && !slices.Contains(o.only, f.Name) {
			continue
		}
		pair := []string{f.Name}
		if slices.Contains(floor, f.Name) {
			pair = append(pair, "floor-"+f.Name)
			if run%2 == 1 {
				slices.Reverse(pair)
			}
		}
		all = append(all, pair...)
	}
	return all
}
