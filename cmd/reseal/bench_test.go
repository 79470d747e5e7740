package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/reseal/reseal/internal/bench"
)

// benchmark runs "reseal bench" in a process of its own.
func benchmark(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append(append([]string{"bench"}, args...), "--folder", t.TempDir())...)
	cmd.Env = append(os.Environ(), processVar+"=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if err != nil {
		t.Logf("%s%s", out.String(), errs.String())
	}
	return out.String(), err
}

// TestBench takes every figure in its quick form: each value that is promised
// comes once, is above 0, and has percentiles in order.
func TestBench(t *testing.T) { quickly(t, bench.Figures()) }

// TestSoak puts a server through the soaks in their quick form: what is refused under
// overload is refused by name, and who was there before is served all the while.
func TestSoak(t *testing.T) { quickly(t, bench.Soaks(), "soak") }

func quickly(t *testing.T, figures []bench.Figure, command ...string) {
	for _, f := range figures {
		t.Run(f.Name, func(t *testing.T) {
			out, err := benchmark(t, append(command, "--quick", "--json", "--only", f.Name)...)
			if err != nil {
				t.Fatal(err)
			}
			var want, got []string
			for _, m := range f.Values {
				want = append(want, f.Name+"."+m.Name+" "+m.Unit)
			}
			for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
				var v bench.Value
				if err := d.Decode(&v); err != nil {
					t.Fatal(err)
				}
				got = append(got, v.Figure+" "+v.Unit)
				// Of a few users, what the collector gave back may be more than they took.
				if (v.Value <= 0 && v.Unit != "KiB" && v.Figure != "overload.recovery") || v.Seconds < 0 || v.ServerCores < 0 || v.ClientCores < 0 {
					t.Errorf("not a value: %+v", v)
				}
				counted := 0.0
				for _, pair := range v.Histogram {
					counted += pair[1]
				}
				if counted != float64(v.Count) {
					t.Errorf("%v in the histogram of %+v", counted, v)
				}
				if v.Count > 0 && (v.P50 <= 0 || v.P50 != v.Value || v.P90 < v.P50 || v.P99 < v.P90 || v.Max < v.P99) {
					t.Errorf("not percentiles: %+v", v)
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("values %q, want %q", got, want)
			}
		})
	}
}

func TestBenchTable(t *testing.T) {
	out, err := benchmark(t, "--quick", "--only", "flood")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) < 3 || !strings.HasPrefix(lines[0], "figure") || !strings.HasPrefix(lines[1], "flood.") {
		t.Errorf("not the table: %q", out)
	}
}

func TestHistogram(t *testing.T) {
	var b strings.Builder
	histogramOf(&b, bench.Value{Figure: "a.b", Unit: "ms"})
	if b.Len() != 0 {
		t.Errorf("of no times: %q", b.String())
	}
	histogramOf(&b, bench.Value{Figure: "a.b", Unit: "ms", Count: 4, Histogram: [][2]float64{{0.9, 1}, {1, 1}, {3.5, 2}}})
	want := "\na.b (ms)\n" +
		"  up to     1.00         2  " + strings.Repeat("#", 25) + "\n" +
		"  up to     2.00         0  \n" +
		"  up to     4.00         2  " + strings.Repeat("#", 25) + "\n"
	if b.String() != want {
		t.Errorf("got %s want %s", b.String(), want)
	}
}

func TestBenchWrongUse(t *testing.T) {
	for _, args := range [][]string{{"--only", "speed"}, {"--pid", "1"}, {"flood"}} {
		out, err := benchmark(t, append(args, "--json")...)
		exit, ok := err.(*exec.ExitError)
		if !ok || exit.ExitCode() != exitUsage || !strings.Contains(out, `"usage"`) {
			t.Errorf("%q: %v, %s", args, err, out)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{20345.6: "20346", 99.96: "100.0", 12.34: "12.3", 1.234: "1.23", 0.04321: "0.0432", 0: "0.0000"} {
		if got := number(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}
