package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/reseal/reseal/internal/bench"
	"github.com/reseal/reseal/internal/benchserver"
	"github.com/reseal/reseal/internal/terminal"
)

func newBench(c *cli) *cobra.Command {
	o := bench.Options{Core: bench.DefaultCore()}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a server, and what clients do",
		Long: `Measures figures from the clients' side. For each it starts a server like any other,
on a core of its own, with data in a new folder, and removes both; only the limits of
rates are higher, since one address does the work of many people. With --server it
measures one that runs already: that one gets accounts ("bench-...") and messages
that stay until they expire, so it should be one for tests. It must let one address
do that much, and --pid tells how to see what it uses.

A figure yields values: a number with its unit, and percentiles where there are many.
Beside them stand the cores that server and clients kept busy: where the server's
is near 1, the server was the limit, and not who measured.

` + figuresHelp(bench.Figures()),
		Example: "  reseal bench\n  reseal bench --only flood,rate\n  reseal bench --quick --json\n  reseal bench --folder /var/tmp\n" +
			"  reseal bench --server http://127.0.0.1:8470 --pid 4711",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.PID != 0 && !cmd.Flags().Changed("server") {
				return usagef("give --server too, or leave both out", "--pid is the process of a server that runs already")
			}
			if cmd.Flags().Changed("server") {
				o.Server = c.server
			}
			return c.bench(cmd, o)
		},
	}
	f := cmd.Flags()
	benchFlags(f, &o)
	f.IntVar(&o.PID, "pid", 0, "the process of the --server, where it is on this machine: what it uses is read from the system")
	cmd.AddCommand(newSoak(c))
	return cmd
}

func newSoak(c *cli) *cobra.Command {
	o := bench.Options{Core: bench.DefaultCore(), Soak: true}
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "Show that a server stands overload and a long time",
		Long: `Puts a server of its own through too much work, and through a day's in minutes, and
fails where it does not keep what is promised below. With --quick the promises about
time and memory are not looked at. It takes 3 minutes.

` + figuresHelp(bench.Soaks()),
		Example: "  reseal bench soak\n  reseal bench soak --only overload --json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.bench(cmd, o) },
	}
	benchFlags(cmd.Flags(), &o)
	return cmd
}

func benchFlags(f *pflag.FlagSet, o *bench.Options) {
	f.StringSliceVar(&o.Only, "only", nil, "take these figures alone: `NAME,...`")
	f.BoolVar(&o.Quick, "quick", false, "little load and for a moment, to see that everything works; the values mean nothing")
	f.BoolVar(&o.Histogram, "histogram", false, "draw how the times of each figure are spread, below the table; --json always has them")
	f.StringVar(&o.Folder, "folder", "", "have the files in a new folder in `DIR` (default that for temporary files): its disk is measured, too")
	f.IntVar(&o.Core, "core", o.Core, "put the server on core `N` and everything else on the others; -1 leaves it to the system")
}

// figuresHelp is the part of the help with the definitions.
func figuresHelp(figures []bench.Figure) string {
	var b strings.Builder
	b.WriteString("Figures:\n")
	for _, f := range figures {
		b.WriteString("\n  " + f.Name + "\n" + paragraph(f.Definition, 6))
		for _, m := range f.Values {
			b.WriteString(paragraph(f.Name+"."+m.Name+" ("+m.Unit+"): "+m.What, 8))
		}
	}
	return b.String()
}

// paragraph breaks a text into lines of at most 84 columns.
func paragraph(text string, indent int) string {
	var b strings.Builder
	line := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == 0:
			b.WriteString(strings.Repeat(" ", indent))
			line = indent
		case line+1+len(word) > 84:
			b.WriteString("\n" + strings.Repeat(" ", indent+2))
			line = indent + 2
		default:
			b.WriteByte(' ')
			line++
		}
		b.WriteString(word)
		line += len(word)
	}
	return b.String() + "\n"
}

func (c *cli) bench(cmd *cobra.Command, o bench.Options) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if o.Folder != "" {
		o.Folder = c.path(o.Folder)
	}
	o.Command = func(args ...string) *exec.Cmd { return exec.Command(self, args...) }
	o.ServerArgs = benchserver.Args()
	o.Began = func(f bench.Figure) { c.notef("%s ...", f.Name) }
	table := &terminal.Table{Head: []string{"figure", ">value", "unit", ">p50", ">p90", ">p99", ">max", ">count", ">server cores", ">client cores"}}
	var spread strings.Builder
	o.Emit = func(v bench.Value) error {
		if c.json {
			return c.object(v)
		}
		if o.Histogram {
			histogramOf(&spread, v)
		}
		table.Add(benchRow(v)...)
		return nil
	}
	err = bench.Run(cmd.Context(), o)
	if _, ok := errors.AsType[*bench.UnknownFigureError](err); ok {
		return usagef(`see "reseal bench --help"`, "%s", strings.TrimPrefix(err.Error(), "bench: "))
	}
	return errors.Join(table.Write(c.stdout, c.style()), c.printf("%s", spread.String()), err)
}

// benchRow is a value as a line of the table.
func benchRow(v bench.Value) []string {
	percentiles := slices.Repeat([]string{""}, 5)
	if v.Count > 0 {
		percentiles = []string{number(v.P50), number(v.P90), number(v.P99), number(v.Max), strconv.FormatUint(v.Count, 10)}
	}
	cores := func(n float64) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprintf("%.2f", n)
	}
	row := append([]string{v.Figure, number(v.Value), v.Unit}, percentiles...)
	return append(row, cores(v.ServerCores), cores(v.ClientCores))
}

// histogramOf draws how a value's times are spread: a line for each time twice as
// long as that before, from the shortest to the longest that there was.
func histogramOf(b *strings.Builder, v bench.Value) {
	if len(v.Histogram) == 0 {
		return
	}
	lines := map[int]float64{}
	least, most := math.MaxInt, math.MinInt
	for _, pair := range v.Histogram {
		power := int(math.Ceil(math.Log2(max(pair[0], 1e-6))))
		lines[power] += pair[1]
		least, most = min(least, power), max(most, power)
	}
	fmt.Fprintf(b, "\n%s (%s)\n", v.Figure, v.Unit)
	for power := least; power <= most; power++ {
		const width = 50
		bar := strings.Repeat("#", int(math.Ceil(lines[power]/float64(v.Count)*width)))
		fmt.Fprintf(b, "  up to %8s  %8.0f  %s\n", number(math.Exp2(float64(power))), lines[power], bar)
	}
}

// number has three digits that matter, and never an exponent.
func number(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 4, 64)
}
