package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/reseal/reseal/internal/bench"
)

// report writes performance.md and its plots.
func report(o options, r results, failed failures, rivals []bench.Rival, away []missing, took time.Duration) error {
	var b strings.Builder
	o.introduce(&b, took)
	goalsTable(&b, r)
	sideBySide(&b, r, rivals)
	whoTheyAre(&b, rivals, away)
	failed.table(&b)
	figuresTable(&b, r)
	if err := o.plots(&b, r, rivals); err != nil {
		return err
	}
	text := strings.TrimRight(b.String(), "\n") + "\n"
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.out, "performance.md"), []byte(text), 0o644)
}

// introduce says what was measured, where, and how it is repeated.
func (o options) introduce(b *strings.Builder, took time.Duration) {
	b.WriteString("# Performance\n\n")
	if o.quick {
		b.WriteString("**A quick run, to see that everything works: the values mean nothing.**\n\n")
	}
	if len(o.only) > 0 {
		fmt.Fprintf(b, "**A partial run: of %d figures only %s.**\n\n", len(bench.Figures()), strings.Join(o.only, ", "))
	}
	pinned := "Nothing was pinned to cores."
	if o.core >= 0 && runtime.NumCPU() > 1 {
		pinned = fmt.Sprintf("The server that is measured has core %d to itself, and the load comes from one process on the others.", o.core)
	}
	fmt.Fprintf(b, `Measured on %s: %s. %d runs in %s; each value is the median of its runs. In a run ours, the floor and
the others take turns at each figure, in every second run the other way round. %s

What ours stores is durable (synced) before it is acknowledged, and nothing is switched off for the measurement; only the limits of rates are
higher, since one address does the work of many. The floor (`+"`internal/bench/floor`"+`) is the least that such a server can do: it syncs before it
delivers, and has no accounts, no encryption beyond TLS, no limits, and finds nothing again after a restart. What each figure is stands in
`+"`reseal bench --help`"+`.%s

`, time.Now().UTC().Format("2006-01-02"), machine(), o.runs, took.Round(time.Second), pinned, o.sizes())
	fmt.Fprintf(b, "To measure it again, on a machine that does nothing else:\n\n```sh\n%s\n```\n\n", o.again())
}

func (o options) sizes() string {
	switch {
	case o.quick:
		return ""
	case o.whole:
		return " They were taken as long as it says there."
	}
	return " Here they were taken briefly: " + bench.BriefSizes() + "."
}

// again is the command that does this again.
func (o options) again() string {
	line := fmt.Sprintf("go run ./bench -runs %d", o.runs)
	if o.whole {
		line += " -whole"
	}
	if o.quick {
		line += " -quick"
	}
	if len(o.only) > 0 {
		line += " -only " + strings.Join(o.only, ",")
	}
	return line
}

func goalsTable(b *strings.Builder, r results) {
	b.WriteString("## Goals\n\n| figure | measured | goal | |\n| --- | ---: | --- | --- |\n")
	for _, g := range goals {
		j, ok := g.judge(r)
		if !ok {
			fmt.Fprintf(b, "| %s | | %s | not measured |\n", g.value, g)
			continue
		}
		measured := number(j.ours) + " " + j.unit
		if j.times {
			measured += fmt.Sprintf(", %.2f x", j.ours/j.other)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", j.name, measured, j.goal, j.words())
	}
	b.WriteString("\n")
}

func figuresTable(b *strings.Builder, r results) {
	b.WriteString("## Figures\n\nOurs, each with the least and the greatest of the runs.\n\n" +
		"| figure | unit | median | least to greatest | p99 | server cores | client cores |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |\n")
	for _, f := range bench.Figures() {
		for _, m := range f.Values {
			s, ok := r.of(f.Name + "." + m.Name)
			if !ok {
				continue
			}
			p99 := ""
			if s.p99 > 0 {
				p99 = number(s.p99)
			}
			fmt.Fprintf(b, "| %s.%s | %s | %s | %s to %s | %s | %s | %s |\n", f.Name, m.Name, s.unit, number(s.median), number(s.least), number(s.greatest),
				p99, cores(s.serverCores), cores(s.clientCores))
		}
	}
	b.WriteString("\n")
}

// cores are how many were busy, nothing where that is not known.
func cores(n float64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", n)
}

func (o options) plots(b *strings.Builder, r results, rivals []bench.Rival) error {
	b.WriteString("## Plots\n\n")
	for _, p := range plots {
		svg, ok := p.draw(r, rivals)
		if !ok {
			continue
		}
		if err := os.MkdirAll(filepath.Join(o.out, "performance"), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(o.out, "performance", p.file), []byte(svg), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(b, "![%s](performance/%s)\n\n", p.title, p.file)
	}
	return nil
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
