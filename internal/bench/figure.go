package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/reseal/reseal/internal/bench/histogram"
	"github.com/reseal/reseal/internal/bench/process"
)

// Figure is something that can be measured; it yields one or more values.
type Figure struct {
	Name string
	// Definition says what exactly is measured, in sentences for people.
	Definition string
	// Values are the names of what it yields, without the figure's own, each
	// with its unit and meaning.
	Values []Meaning

	// own: it needs a server of its own, one that it can start again, say.
	own bool
	run func(context.Context, *stage) error
}

// Meaning says what a value of a figure is.
type Meaning struct {
	Name, Unit, What string
	// ofServer: it is read from the server's process, which must be known.
	ofServer bool
}

// Value is one number that was measured.
type Value struct {
	// Figure is the figure's name, a dot, and the value's.
	Figure string  `json:"figure"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	// Count is how many were measured; of these are the percentiles, in the unit
	// of the value, which is the median then. All 0 where there are none.
	Count uint64  `json:"count,omitempty"`
	P50   float64 `json:"p50,omitempty"`
	P90   float64 `json:"p90,omitempty"`
	P99   float64 `json:"p99,omitempty"`
	Max   float64 `json:"max,omitempty"`
	// Histogram is all of them: pairs of the longest that a bucket counts, in the
	// unit of the value, and how many it counted; right to 1 %.
	Histogram [][2]float64 `json:"histogram,omitempty"`
	// Seconds is how long it was measured, and the cores are how busy server and
	// clients were meanwhile: whichever is near the number of cores that it has
	// was the limit. 0 for unknown.
	Seconds     float64 `json:"seconds,omitempty"`
	ServerCores float64 `json:"server_cores,omitempty"`
	ClientCores float64 `json:"client_cores,omitempty"`
}

// latency is a value out of a histogram, in ms.
func latency(h *histogram.Histogram) Value {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	p50 := ms(h.Quantile(0.5))
	var pairs [][2]float64
	for _, b := range h.Buckets() {
		pairs = append(pairs, [2]float64{ms(b.UpTo), float64(b.Count)})
	}
	return Value{Histogram: pairs, Value: p50, Unit: "ms", Count: h.Count(), P50: p50, P90: ms(h.Quantile(0.9)), P99: ms(h.Quantile(0.99)), Max: ms(h.Max())}
}

// UnknownFigureError is a name that no figure has.
type UnknownFigureError struct {
	Name  string
	There []string // the names that there are
}

func (e *UnknownFigureError) Error() string {
	return fmt.Sprintf("bench: no figure %q; there are %s", e.Name, strings.Join(e.There, ", "))
}

func names(figures []Figure) (all []string) {
	for _, f := range figures {
		all = append(all, f.Name)
	}
	return all
}

// figures are ours, and those of the rivals; or the soaks.
func (o *Options) figures() []Figure {
	if o.Soak {
		return Soaks()
	}
	all := Figures()
	for _, r := range o.Rivals {
		all = append(all, rivalFigures(r)...)
	}
	return all
}

// choose are the figures with these names, in the order of the table. Without a
// name it is all that can be had of this server.
func (o *Options) choose() (all []Figure, err error) {
	for _, name := range o.Only {
		if !slices.Contains(names(o.figures()), name) {
			return nil, &UnknownFigureError{name, names(o.figures())}
		}
	}
	for _, f := range o.figures() {
		why := o.lacks(f)
		switch {
		case len(o.Only) == 0 && why == nil:
			all = append(all, f)
		case slices.Contains(o.Only, f.Name) && why != nil:
			return nil, fmt.Errorf("bench: %s: %w", f.Name, why)
		case slices.Contains(o.Only, f.Name):
			all = append(all, f)
		}
	}
	return all, nil
}

// ErrOwnServer is returned for a figure that needs a server of its own.
var ErrOwnServer = errors.New("it needs a server of its own")

// ErrNoProcess is returned for a figure that is read from the server's process
// alone, where that is not known.
var ErrNoProcess = errors.New("the server's process is not known here")

// lacks is why a figure cannot be had, nil where it can.
func (o *Options) lacks(f Figure) error {
	if o.Server != "" && f.own {
		return ErrOwnServer
	}
	for _, m := range f.Values {
		if !m.ofServer || o.readable() {
			return nil
		}
	}
	return ErrNoProcess
}

// readable tells whether it can be read what the server uses.
func (o *Options) readable() bool {
	_, err := process.CPU(os.Getpid())
	return err == nil && (o.Server == "" || o.PID != 0)
}
