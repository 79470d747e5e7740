package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The deterministic packages: reviewable alone, same bytes in wasm, no clock of
// their own (times come in as identity.Time) and no output. What they reach
// inside the module is held to the same.
var deterministic = []string{"seal", "wrap", "identity", "opaque", "message", "retry", "capsule", "book", "handle", "invite", "client", "internal/records"}

// forbidden are imports that would break that, each with what it would let in.
// log/slog is allowed for the one interface that keeps secrets out of logs
// (LogValue); calls that write a log are not, see writesLog.
var forbidden = map[string]string{
	"net":          "the network",
	"net/http":     "the network",
	"os":           "files, the environment and exit",
	"os/exec":      "processes",
	"syscall":      "the system",
	"log":          "output",
	"math/rand":    "randomness that is not for keys",
	"math/rand/v2": "randomness that is not for keys",
	"unsafe":       "memory",
	"C":            "what Go does not check",
}

// clock are the functions of package time that read or wait for a clock.
var clock = map[string]bool{
	"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true, "Tick": true, "NewTimer": true, "NewTicker": true,
}

// writesLog are the functions of log/slog that log instead of describing a value.
func writesLog(name string) bool {
	for _, p := range []string{"Debug", "Info", "Warn", "Error", "Log", "Default", "SetDefault", "New", "With"} {
		if strings.HasPrefix(name, p) && name != "LogValuer" {
			return true
		}
	}
	return false
}

func TestDeterministicPackages(t *testing.T) {
	byPath := map[string]goPackage{}
	for _, p := range packages(t) {
		byPath[p.ImportPath] = p
	}
	for _, name := range deterministic {
		p, ok := byPath[module+"/"+name]
		if !ok {
			t.Errorf("no package %s", name)
			continue
		}
		checkPure(t, p)
		for _, d := range p.Deps {
			// Generated code uses unsafe for its descriptors, and does nothing else.
			if q, ok := byPath[d]; ok && !generatedPackage(t, q) {
				checkPure(t, q)
			}
		}
	}
}

func generatedPackage(t *testing.T, p goPackage) bool {
	for _, f := range p.GoFiles {
		b, err := os.ReadFile(filepath.Join(p.Dir, f))
		if err != nil {
			t.Fatal(err)
		}
		if !generated(string(b)) && !strings.HasSuffix(f, "doc.go") {
			return false
		}
	}
	return true
}

func checkPure(t *testing.T, p goPackage) {
	for _, name := range append(p.GoFiles, p.IgnoredGoFiles...) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			if what, bad := forbidden[strings.Trim(i.Path.Value, `"`)]; bad {
				t.Errorf("%s imports %s: %s has no place in a deterministic package", set.Position(i.Pos()), i.Path.Value, what)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s starts a goroutine", set.Position(g.Pos()))
			}
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if ok && x.Obj == nil && (x.Name == "time" && clock[sel.Sel.Name] || x.Name == "slog" && writesLog(sel.Sel.Name)) {
				t.Errorf("%s uses %s.%s: time comes in as an argument, and nothing is logged", set.Position(n.Pos()), x.Name, sel.Sel.Name)
			}
			return true
		})
	}
}
