package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/reseal/reseal/internal/bench"
)

// report writes performance.md and its plots.
func report(o options, r results) error {
	var b strings.Builder
	fmt.Fprintf(&b, `# Performance

Measured by `+"`go run ./bench`"+` on %s: %s. Everything stored is durable (synced) before it is
acknowledged; nothing is switched off for the measurement but the limits of rates. Medians of %d runs, with the least and the greatest;
ours and the floor alternate, on the same cores, with the same load from one process. The floor (`+"`internal/bench/floor`"+`) is the least
that a server can do: no accounts, no encryption beyond TLS, no limits, and nothing found again after a restart. What each figure is
stands in `+"`reseal bench --help`"+`.

`, time.Now().UTC().Format("2006-01-02"), machine(), o.runs)
	if o.quick {
		b.WriteString("**A quick run, to see that everything works: the values mean nothing.**\n\n")
	}
	b.WriteString("## Goals\n\n| figure | measured | goal | |\n| --- | ---: | --- | --- |\n")
	for _, g := range goals {
		j, ok := g.judge(r)
		if !ok {
			continue
		}
		measured := number(j.ours) + " " + j.unit
		if j.times {
			measured += fmt.Sprintf(", %.2f x", j.ours/j.other)
		}
		word := "**missed**"
		if j.reached {
			word = "reached"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", j.name, measured, j.goal, word)
	}
	b.WriteString("\n## Figures\n\n| figure | unit | median | least to greatest | p99 | floor | ours / floor |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |\n")
	for _, f := range bench.Figures() {
		for _, m := range f.Values {
			name := f.Name + "." + m.Name
			ours, ok := r.of(name)
			if !ok {
				continue
			}
			p99, floor, ratio := "", "", ""
			if ours.p99 > 0 {
				p99 = number(ours.p99)
			}
			if other, ok := r.of("floor-" + name); ok {
				floor = number(other.median)
				if other.median != 0 {
					ratio = fmt.Sprintf("%.2f", ours.median/other.median)
				}
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s to %s | %s | %s | %s |\n", name, ours.unit, number(ours.median), number(ours.least), number(ours.greatest), p99, floor, ratio)
		}
	}
	b.WriteString("\n## Plots\n\n")
	for _, p := range plots {
		svg, ok := p.draw(r)
		if !ok {
			continue
		}
		if err := os.MkdirAll(filepath.Join(o.out, "performance"), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(o.out, "performance", p.file), []byte(svg), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(&b, "![%s](performance/%s)\n\n", p.title, p.file)
	}
	text := strings.TrimRight(b.String(), "\n") + "\n"
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.out, "performance.md"), []byte(text), 0o644)
}

// number has three digits that matter.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.4f", v)
}
