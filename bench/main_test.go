package main

import (
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reseal/reseal/internal/bench"
)

// The floor is this program in a process of its own.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "floor" {
		main()
		return
	}
	os.Exit(m.Run())
}

// A quick run measures ours and the floor, and writes tables, ratios, and plots.
func TestQuickRun(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Fatal("the go command is needed: ", err)
	}
	out := t.TempDir()
	if err := run(t.Context(), []string{"-quick", "-runs", "1", "-core", "-1", "-only", "flood,idle-tls,content", "-out", out}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(out, "performance.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, want := range []string{
		"A quick run", "Medians of 1 runs", "| flood.delivered | msg/s |", "flood.server_cpu", "idle-tls.memory", "content.aes_gcm",
		"(performance/cpu.svg)", "(performance/memory.svg)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	rows := 0
	for line := range strings.Lines(text) {
		if cells := strings.Split(line, "|"); strings.HasPrefix(line, "| flood.delivered |") && len(cells) == 9 {
			rows++
			if strings.TrimSpace(cells[6]) == "" || strings.TrimSpace(cells[7]) == "" {
				t.Errorf("no floor beside ours: %s", line)
			}
		}
	}
	if rows != 1 {
		t.Errorf("%d rows of flood.delivered in\n%s", rows, text)
	}
	plots, err := filepath.Glob(filepath.Join(out, "performance", "*.svg"))
	if err != nil || len(plots) != 2 {
		t.Fatalf("plots: %v %v", plots, err)
	}
	for _, p := range plots {
		svg, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := xml.Unmarshal(svg, new(struct{})); err != nil || !strings.Contains(string(svg), "floor-") {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestJudge(t *testing.T) {
	r := results{}
	for _, v := range []float64{9, 1, 2} {
		r.add(bench.Value{Figure: "a", Value: v, Unit: "ms", P99: 10 * v})
		r.add(bench.Value{Figure: "floor-a", Value: v / 2, P99: 2 * v})
	}
	for _, c := range []struct {
		g       goal
		reached bool
		words   string
	}{
		{goal{value: "a", limit: 2}, true, "at most 2"},
		{goal{value: "a", limit: 1.9}, false, "at most 1.9"},
		{goal{value: "a", least: true, limit: 2}, true, "at least 2"},
		{goal{value: "a", least: true, limit: 2.1}, false, "at least 2.1"},
		{goal{value: "a", times: true, limit: 2}, true, "at most 2 x floor-a"},
		{goal{value: "a", times: true, limit: 1.9}, false, "at most 1.9 x floor-a"},
		{goal{value: "a", p99: true, times: true, limit: 5}, true, "at most 5 x floor-a"},
		{goal{value: "a", p99: true, times: true, limit: 4}, false, "at most 4 x floor-a"},
		{goal{value: "a", times: true, other: "a", least: true, limit: 1.5}, false, "at least 1.5 x a"},
	} {
		j, ok := c.g.judge(r)
		if !ok || j.reached != c.reached || j.goal.String() != c.words {
			t.Errorf("%v: %v %v %q", c.g, ok, j.reached, j.goal)
		}
	}
	if _, ok := (goal{value: "b", limit: 1}).judge(r); ok {
		t.Error("what was not measured is judged")
	}
	if _, ok := (goal{value: "a", times: true, other: "b", limit: 1}).judge(r); ok {
		t.Error("what was not measured is compared with")
	}
}

// The goals are of values that there are.
func TestGoalsAreOfFigures(t *testing.T) {
	there := map[string]bool{}
	for _, f := range bench.Figures() {
		for _, m := range f.Values {
			there[f.Name+"."+m.Name] = true
		}
	}
	for _, g := range goals {
		if !there[g.value] || (g.other != "" && !there[g.other]) {
			t.Errorf("no figure %q, %q", g.value, g.other)
		}
	}
}
