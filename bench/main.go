package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

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
	runs         int
	quick, whole bool
	only, peers  []string
	out          string
	folder       string
	core         int
	within       time.Duration
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "floor" {
		return serveFloor(ctx, args[1:])
	}
	if len(args) > 0 && args[0] == "peer" {
		return servePeer(args[1:])
	}
	o := options{core: bench.DefaultCore()}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.runs, "runs", 5, "how many runs; the median of them is told")
	f.BoolVar(&o.quick, "quick", false, "little load and for a moment, to see that everything works; the values mean nothing")
	f.BoolVar(&o.whole, "whole", false, "take the figures as long as their definitions say, which takes three times as long")
	f.StringVar(&o.out, "out", "docs", "write performance.md and its plots into `DIR`")
	f.StringVar(&o.folder, "folder", "", "have the files of servers and clients in `DIR` (default that for temporary files): its disk is measured, too")
	f.IntVar(&o.core, "core", o.core, "put servers on core `N` and everything else on the others; -1 leaves it to the system")
	f.DurationVar(&o.within, "within", 0, "begin no run that would not end within `D`, as the longest so far tells; 0 is no bound")
	only := f.String("only", "", "measure these figures alone: `NAME,...`")
	others := f.String("peers", strings.Join(peerNames(), ","), "measure these beside ours and the floor, where they are on the machine: `NAME,...`, or nothing")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	if *others != "" {
		o.peers = strings.Split(*others, ",")
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
	rivals, away, err := o.rivals(ctx)
	if err != nil {
		return err
	}
	values, failed := results{}, failures{}
	began := time.Now()
	longest, done := time.Duration(0), 0
	for n := range o.runs {
		if n > 0 && o.within > 0 && time.Since(began)+longest > o.within {
			break
		}
		start := time.Now()
		for _, figure := range o.order(n, rivals) {
			fmt.Fprintf(os.Stderr, "%s run %d of %d: %s\n", time.Since(began).Round(time.Second), n+1, o.runs, figure)
			if err := bench.Run(ctx, bench.Options{
				Only: []string{figure}, Quick: o.quick, Brief: !o.whole, Core: o.core, Folder: o.folder,
				Command:    func(args ...string) *exec.Cmd { return exec.Command(command, args...) },
				ServerArgs: benchserver.Args(),
				Rivals:     rivals,
				Emit:       func(v bench.Value) error { values.add(v); return nil },
			}); ctx.Err() != nil {
				return context.Cause(ctx)
			} else if err != nil {
				failed.add(figure, err)
				fmt.Fprintln(os.Stderr, "bench:", err)
			}
		}
		longest, done = max(longest, time.Since(start)), n+1
	}
	o.runs = done
	return errors.Join(report(o, values, failed, rivals, away, time.Since(began)), failed.ours())
}

// order are the figures of a run: where rivals have the same, one after the other,
// in every second run the other way round.
func (o options) order(run int, rivals []bench.Rival) (all []string) {
	one := func(figure string) {
		group := []string{figure}
		for _, r := range rivals {
			if slices.Contains(r.Figures(), figure) {
				group = append(group, r.Name()+"-"+figure)
			}
		}
		if run%2 == 1 {
			slices.Reverse(group)
		}
		all = append(all, group...)
	}
	for _, f := range bench.Figures() {
		if len(o.only) == 0 || slices.Contains(o.only, f.Name) {
			one(f.Name)
		}
	}
	return all
}
