package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/reseal/reseal/internal/bench"
)

// results are the values of all runs by name, in the order in which they came.
type results map[string][]bench.Value

func (r results) add(v bench.Value) { r[v.Figure] = append(r[v.Figure], v) }

// summary is what the runs gave for one value.
type summary struct {
	median, least, greatest float64
	p99                     float64 // the median of the runs', 0 for none
	unit                    string
	runs                    int

	serverCores, clientCores float64 // medians, 0 for unknown
}

// of is the summary of a value; ok is false where no run had it.
func (r results) of(name string) (s summary, ok bool) {
	all := r[name]
	if len(all) == 0 {
		return s, false
	}
	values, p99s := make([]float64, 0, len(all)), make([]float64, 0, len(all))
	var server, client []float64
	for _, v := range all {
		values, p99s = append(values, v.Value), append(p99s, v.P99)
		server, client = append(server, v.ServerCores), append(client, v.ClientCores)
	}
	return summary{
		median: median(values), least: slices.Min(values), greatest: slices.Max(values),
		p99: median(p99s), unit: all[0].Unit, runs: len(all), serverCores: median(server), clientCores: median(client),
	}, true
}

// pick is the median of a value, or that of its 99th percentiles.
func (r results) pick(name string, p99 bool) (float64, bool) {
	s, ok := r.of(name)
	if p99 {
		return s.p99, ok
	}
	return s.median, ok
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// failures are what went wrong, by figure, in the order of the runs. A peer that
// cannot do the work, or stumbles, is told of and does not end the measurement.
type failures map[string][]error

func (f failures) add(figure string, err error) { f[figure] = append(f[figure], err) }

// ours are failures of what is no rival's.
func (f failures) ours() (err error) {
	for _, one := range bench.Figures() {
		err = errors.Join(append([]error{err}, f[one.Name]...)...)
	}
	return err
}

// table names what failed, and how often.
func (f failures) table(b *strings.Builder) {
	if len(f) == 0 {
		return
	}
	b.WriteString("## What failed\n\n| figure | runs | why, the first time |\n| --- | ---: | --- |\n")
	for _, figure := range slices.Sorted(maps.Keys(f)) {
		why := strings.ReplaceAll(strings.Join(strings.Fields(f[figure][0].Error()), " "), "|", "/")
		fmt.Fprintf(b, "| %s | %d | %s |\n", figure, len(f[figure]), why[:min(len(why), 200)])
	}
	b.WriteString("\n")
}
