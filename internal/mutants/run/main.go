// Command run plants the faults of package mutants one at a time and says which
// tests caught them. It ends with 1 if any survived.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/reseal/reseal/internal/mutants"
)

type result struct {
	Name     string  `json:"name"`
	File     string  `json:"file"`
	CaughtBy string  `json:"caught_by,omitempty"`
	Error    string  `json:"error,omitempty"`
	Seconds  float64 `json:"seconds"`
}

func main() {
	jobs := flag.Int("j", 1, "how many at a time")
	asJSON := flag.Bool("json", false, "one JSON object a line")
	top := flag.String("top", ".", "the top of the tree")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: go run ./internal/mutants/run [-j N] [-json] [PART OF A NAME OR FILE...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var chosen []mutants.Mutant
	for _, m := range mutants.All() {
		if matches(m, flag.Args()) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		fmt.Fprintln(os.Stderr, "no such fault")
		os.Exit(2)
	}
	if bad := plant(ctx, *top, chosen, *jobs, *asJSON); bad > 0 {
		os.Exit(1)
	}
}

func matches(m mutants.Mutant, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(m.Name, p) || strings.Contains(m.File, p) {
			return true
		}
	}
	return len(parts) == 0
}

func plant(ctx context.Context, top string, all []mutants.Mutant, jobs int, asJSON bool) (bad int) {
	var group sync.WaitGroup
	var mu sync.Mutex
	slots, done := make(chan struct{}, max(1, jobs)), 0
	for _, m := range all {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() {
			defer func() { <-slots }()
			began := time.Now()
			by, err := m.Run(ctx, top)
			r := result{Name: m.Name, File: m.File, CaughtBy: by, Seconds: time.Since(began).Seconds()}
			if err != nil {
				r.Error = err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			if done++; r.CaughtBy == "" {
				bad++
			}
			show(r, done, len(all), asJSON)
		})
	}
	group.Wait()
	if !asJSON {
		fmt.Printf("%d planted, %d caught, %d not\n", done, done-bad, bad)
	}
	return bad + len(all) - done
}

func show(r result, done, of int, asJSON bool) {
	if asJSON {
		b, err := json.Marshal(r)
		if err == nil {
			fmt.Println(string(b))
		}
		return
	}
	what := "caught by " + r.CaughtBy
	if r.Error != "" {
		what = r.Error
	} else if r.CaughtBy == "" {
		what = "SURVIVED"
	}
	fmt.Printf("%3d/%d %5.1fs  %-44s %s\n", done, of, r.Seconds, r.Name, what)
}
