package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/reseal/reseal/internal/archtest/race"
)

// covers tells whether a pattern of packages, as go test takes it, has a package.
func covers(pattern, short string) bool {
	pattern = strings.TrimPrefix(strings.TrimPrefix(pattern, "."), "/")
	below, all := strings.CutSuffix(pattern, "...")
	return pattern == short || all && strings.HasPrefix(short+"/", below)
}

// goroutine is where a package, or a test of it, starts one first: a go statement,
// or the Go of a sync.WaitGroup or the like.
func goroutine(t *testing.T, p goPackage) (where string) {
	t.Helper()
	for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles, p.IgnoredGoFiles) {
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			starts := false
			switch n := n.(type) {
			case *ast.GoStmt:
				starts = true
			case *ast.CallExpr:
				sel, ok := n.Fun.(*ast.SelectorExpr)
				starts = ok && sel.Sel.Name == "Go" && len(n.Args) == 1
			}
			if starts && where == "" {
				where = set.Position(n.Pos()).String()
			}
			return where == ""
		})
	}
	return where
}

// TestGoroutinesAreUnderTheRaceDetector: each package that starts a goroutine is in
// a run under the detector, or it is said why not.
func TestGoroutinesAreUnderTheRaceDetector(t *testing.T) {
	found := 0
	for _, p := range packages(t) {
		where, short := goroutine(t, p), p.short()
		run := slices.ContainsFunc(race.Runs(), func(r race.Run) bool {
			return slices.ContainsFunc(r.Packages, func(pattern string) bool { return covers(pattern, short) })
		})
		why := race.Without[short]
		switch {
		case where != "" && !run && why == "":
			t.Errorf("%s starts a goroutine: put the package into internal/archtest/race/runs.go", where)
		case why != "" && (where == "" || run):
			t.Errorf("%s is excused in race.Without, and needs no excuse", short)
		case why != "" && strings.HasPrefix(why, "has no tests") != (len(p.TestGoFiles)+len(p.XTestGoFiles) == 0):
			t.Errorf("%s: %s: it is the other way", short, why)
		}
		if where != "" {
			found++
		}
	}
	if found < 20 {
		t.Errorf("only %d packages with goroutines found", found)
	}
}

// TestRaceRunsNameTests: what the runs under the detector leave out, or name, is a
// test of theirs; and each pattern has a package.
func TestRaceRunsNameTests(t *testing.T) {
	word := regexp.MustCompile(`\bTest[A-Z]\w*`)
	for _, r := range race.Runs() {
		names := word.FindAllString(r.Only, -1)
		for _, pattern := range r.Packages {
			tests := testsOf(t, pattern)
			if len(tests) == 0 {
				t.Errorf("%s: no package with tests", pattern)
			}
			names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(tests, n) })
		}
		if len(names) > 0 {
			t.Errorf("no such tests in %s: %s", r.Packages, names)
		}
	}
	var all []string
	for _, r := range race.Runs() {
		for _, pattern := range r.Packages {
			all = append(all, testsOf(t, pattern)...)
		}
	}
	for _, name := range race.Sequential {
		if !slices.Contains(all, name) {
			t.Errorf("race.Sequential names %s, which no run has", name)
		}
	}
}

// testsOf are the names of the tests of the packages that a pattern has.
func testsOf(t *testing.T, pattern string) (names []string) {
	t.Helper()
	for _, p := range packages(t) {
		if !covers(pattern, p.short()) {
			continue
		}
		for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				if d, ok := d.(*ast.FuncDecl); ok && d.Recv == nil && strings.HasPrefix(d.Name.Name, "Test") {
					names = append(names, d.Name.Name)
				}
			}
		}
	}
	return names
}
