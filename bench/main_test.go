package main

import (
	"encoding/xml"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/reseal/reseal/bench/peers"
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
	if err := run(t.Context(), []string{"-quick", "-runs", "3", "-within", "1ns", "-core", "-1", "-only", "flood,idle-tls,drain,content", "-peers", "", "-out", out}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(out, "performance.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, want := range []string{
		"A quick run", "A partial run", "flood, idle-tls, drain, content", "1 runs in", "| flood.delivered | msg/s |", "content.aes_gcm", "| login.server_cpu | | at most 0.5 | not measured |",
		"(performance/cpu.svg)", "(performance/memory.svg)", "(performance/delivered.svg)", "go run ./bench -runs 1 -quick -only flood,idle-tls,drain,content",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	// Ours and the floor are side by side, in a flood, idle with TLS, and in a drain.
	if n := strings.Count(text, "\n| ours |"); n != 3 {
		t.Errorf("%d tables with ours in\n%s", n, text)
	}
	ratio := regexp.MustCompile(`(?m)^\| floor \| \S+ \(\S+\) \|`)
	if n := len(ratio.FindAllString(text, -1)); n != 3 {
		t.Errorf("%d tables with the floor and its ratio to ours in\n%s", n, text)
	}
	plots, err := filepath.Glob(filepath.Join(out, "performance", "*.svg"))
	if err != nil || len(plots) != 3 {
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

// What a goal was missed by, or what was left, is said.
func TestHowFarFromTheGoal(t *testing.T) {
	r := results{}
	r.add(bench.Value{Figure: "a", Value: 12, Unit: "ms"})
	for words, g := range map[string]goal{
		"**missed** by 20 %":  {value: "a", limit: 10},
		"met, 40 % to spare":  {value: "a", limit: 20},
		"**missed** by 40 % ": {value: "a", least: true, limit: 20},
		"met, 20 % to spare":  {value: "a", least: true, limit: 10},
	} {
		if j, ok := g.judge(r); !ok || j.words() != strings.TrimSpace(words) {
			t.Errorf("%v: %q, want %q", g, j.words(), words)
		}
	}
}

// Who is not on the machine is named, with what installs it, and is no failure.
func TestMissingPeers(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	there, away, err := options{peers: []string{"prosody"}}.rivals(t.Context())
	if _, lone := os.Stat("/usr/sbin/prosody"); lone == nil {
		t.Fatal("prosody is where no system has it")
	}
	if err != nil || len(there) != 1 || len(away) != 1 {
		t.Fatalf("there %v, away %v, %v", there, away, err)
	}
	var b strings.Builder
	whoTheyAre(&b, there, away)
	if !strings.Contains(b.String(), "prosody: missing here") || !strings.Contains(b.String(), "apt-get install") {
		t.Errorf("not named: %s", b.String())
	}
	if _, _, err := (options{peers: []string{"pigeons"}}).rivals(t.Context()); err == nil {
		t.Error("a peer that there is not was taken")
	}
}

// A peer that stumbles is told of, and the rest is measured; ours must not.
func TestFailures(t *testing.T) {
	f := failures{}
	f.add("mosquitto-flood", errors.New("no | legs"))
	if err := f.ours(); err != nil {
		t.Errorf("a peer's: %v", err)
	}
	var b strings.Builder
	f.table(&b)
	if !strings.Contains(b.String(), "| mosquitto-flood | 1 | no / legs |") {
		t.Errorf("not told: %s", b.String())
	}
	f.add("flood", errors.New("ours"))
	if f.ours() == nil {
		t.Error("ours failed, and that is no failure")
	}
}

// All take turns at a figure, in every second run the other way round.
func TestOrder(t *testing.T) {
	o := options{only: []string{"flood", "wrap"}}
	rivals := []bench.Rival{floorRival{}, peerRival{Peer: peers.Named("mosquitto")}, peerRival{Peer: peers.Named("nginx")}}
	if got := strings.Join(o.order(0, rivals), " "); got != "flood floor-flood mosquitto-flood wrap" {
		t.Error(got)
	}
	if got := strings.Join(o.order(1, rivals), " "); got != "mosquitto-flood floor-flood flood wrap" {
		t.Error(got)
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
