package archtest

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// operatorsMetrics are the metrics that docs/operators.md lists, which are those
// of a server (TestEveryMetricIsListed).
func operatorsMetrics(t *testing.T) map[string]bool {
	all := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(reseal_[a-z_]+)` \\|").FindAllStringSubmatch(read(t, "docs/operators.md"), -1) {
		all[m[1]] = true
	}
	if len(all) < 20 {
		t.Fatalf("only %d metrics found", len(all))
	}
	return all
}

// TestDashboardAndAlarms: what an operator is given to watch names metrics that
// there are, and every alarm is explained.
func TestDashboardAndAlarms(t *testing.T) {
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "deploy/dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	expressions := map[string]string{}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			expressions[p.Title+": "+target.Expr] = target.Expr
		}
	}
	alarms, page := read(t, "deploy/alarms.yaml"), read(t, "docs/operators.md")
	named := 0
	for _, m := range regexp.MustCompile(`(?m)^ +- alert: (\w+)\n +expr: (.*)$`).FindAllStringSubmatch(alarms, -1) {
		expressions[m[1]] = m[2]
		if named++; !strings.Contains(page, "| `"+m[1]+"` |") {
			t.Errorf("docs/operators.md does not say what to do about %s", m[1])
		}
	}
	if n := strings.Count(alarms, "alert:"); named != n || n < 5 || len(dashboard.Panels) < 9 {
		t.Errorf("%d alarms, %d understood; %d panels", n, named, len(dashboard.Panels))
	}
	there := operatorsMetrics(t)
	for where, e := range expressions {
		if strings.Count(e, "(") != strings.Count(e, ")") || strings.Count(e, "{") != strings.Count(e, "}") {
			t.Errorf("%s: brackets", where)
		}
		for _, name := range regexp.MustCompile(`reseal_[a-z_]+`).FindAllString(e, -1) {
			name = strings.TrimSuffix(name, "_bucket")
			if !there[name] {
				t.Errorf("%s: no metric %s", where, name)
			}
		}
	}
}

// TestUnitFile: what the unit file and the container start is there, with flags
// that there are, and the example of a config file has no name that is unknown.
func TestUnitFile(t *testing.T) {
	help, err := exec.Command("go", "run", "-C", root, "./cmd/reseal", "serve", "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, help)
	}
	flag := func(where, name string) {
		if !strings.Contains(string(help), "--"+name+" ") {
			t.Errorf("%s: no flag --%s", where, name)
		}
	}
	unit, container, config := read(t, "deploy/reseal.service"), read(t, "deploy/Containerfile"), read(t, "deploy/server.conf")
	start := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/reseal serve (.*)$`).FindStringSubmatch(unit)
	if start == nil {
		t.Fatal("the unit file starts no server")
	}
	for _, m := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(start[1], -1) {
		flag("reseal.service", m[1])
	}
	for _, m := range regexp.MustCompile(`RESEAL_([A-Z_]+)=`).FindAllStringSubmatch(container, -1) {
		flag("Containerfile", strings.ReplaceAll(strings.ToLower(m[1]), "_", "-"))
	}
	for _, m := range regexp.MustCompile(`(?m)^COPY (\S+) `).FindAllStringSubmatch(container, -1) {
		if m[1] != "." && !strings.HasPrefix(m[1], "--") {
			read(t, m[1])
		}
	}
	// The command's own check takes the example for good settings.
	checked, _ := exec.Command("go", "run", "-C", root, "./cmd/reseal", "serve", "--check", "--config", "deploy/server.conf", "--json").CombinedOutput()
	if !regexp.MustCompile(`"check":"settings"[^\n]*"ok":true`).Match(checked) {
		t.Errorf("the example is no good:\n%s", checked)
	}
	settings := 0
	for s := bufio.NewScanner(strings.NewReader(config)); s.Scan(); {
		if m := regexp.MustCompile(`^(?:# )?([a-z-]+) = \S`).FindStringSubmatch(s.Text()); m != nil {
			flag(filepath.Base("deploy/server.conf"), m[1])
			settings++
		}
	}
	if settings < 8 {
		t.Errorf("only %d settings found in the example", settings)
	}
}
