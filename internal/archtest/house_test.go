package archtest

import (
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	maxLines     = 450 // of a source file; most have 80 to 250
	maxMainLines = 100 // of main.go: it wires, and nothing else
)

func TestFilesStaySmall(t *testing.T) {
	for _, name := range files(t, ".go") {
		source := read(t, name)
		n := strings.Count(source, "\n")
		if n > maxLines && !generated(source) {
			t.Errorf("%s has %d lines, more than %d: part it by what it is about", name, n, maxLines)
		}
		if path.Base(name) == "main.go" && strings.HasPrefix(name, "cmd/") && n > maxMainLines {
			t.Errorf("%s has %d lines, more than %d: main wires and nothing else", name, n, maxMainLines)
		}
	}
}

// unfinished is what nobody may leave behind. The words are put together here
// so that this file does not contain them.
var unfinished = regexp.MustCompile(strings.Join([]string{
	`\bTO` + `DO\b`, `\bFIX` + `ME\b`, `\bX` + `XX\b`, `\bHA` + `CK\b`, `(?i)(^|[^d] )\bfor` + ` now[,.;)]`, `\b[tb]\.Sk` + `ip`,
}, "|"))

// elsewhere are paths and hosts of somebody's machine.
var elsewhere = regexp.MustCompile(strings.Join([]string{
	`(^|[^\w.])/wo` + `rk/`, `(^|[^\w.])/ro` + `ot/`, `/ho` + `me/[a-z]`, `/Us` + `ers/`, `proxy\.gol` + `ang\.org`, `registry\.np` + `mjs`, `bash_` + `jobs`,
}, "|"))

func TestNothingIsLeftUnfinishedOrTiedToAMachine(t *testing.T) {
	for _, name := range tree(t) {
		switch path.Ext(name) {
		case ".go", ".md", ".proto", ".mjs", ".sh", ".yaml", ".txtar", ".txt", ".mod", ".gitignore", "":
		default:
			continue
		}
		source := read(t, name)
		if strings.Contains(source, "\x00") {
			continue // a program that somebody built here
		}
		for i, line := range strings.Split(source, "\n") {
			if m := unfinished.FindString(line); m != "" {
				t.Errorf("%s:%d: %q: finish it, or leave it out and say so", name, i+1, m)
			}
			if m := elsewhere.FindString(line); m != "" {
				t.Errorf("%s:%d: %q is of one machine", name, i+1, m)
			}
		}
	}
}

// TestFormat: gofmt has nothing to change.
func TestFormat(t *testing.T) {
	for _, name := range files(t, ".go") {
		source := read(t, name)
		if formatted, err := format.Source([]byte(source)); err != nil || string(formatted) != source {
			t.Errorf("%s is not formatted: run gofmt -w %s (%v)", name, name, err)
		}
	}
}

// TestNames: the name of a package or a source file says what it is about.
func TestNames(t *testing.T) {
	empty := []string{"util", "utils", "common", "helper", "helpers", "misc", "manager", "pkg", "base", "shared"}
	for _, name := range files(t, ".go") {
		if strings.HasSuffix(name, "_test.go") {
			name = path.Dir(name)
		}
		for part := range strings.SplitSeq(strings.TrimSuffix(name, ".go"), "/") {
			if slices.Contains(empty, part) {
				t.Errorf("%s: %q says nothing", name, part)
			}
		}
	}
}

// TestNoInit: capabilities register by a call in main, so that what a program
// does can be read from its start.
func TestNoInit(t *testing.T) {
	for _, name := range files(t, ".go") {
		source := read(t, name)
		if generated(source) || strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && d.Recv == nil && d.Name.Name == "init" {
				t.Errorf("%s has an init function", name)
			}
		}
	}
}

func TestLicence(t *testing.T) {
	if l := read(t, "LICENSE"); !strings.Contains(l, "Apache License") || !strings.Contains(l, "Version 2.0") {
		t.Error("LICENSE is not the Apache License 2.0 that the README names")
	}
	if !strings.Contains(read(t, "README.md"), "[Apache 2.0](LICENSE)") {
		t.Error("README does not name the licence")
	}
}

// TestDependenciesHaveAReason: each direct dependency has its line in
// CONTRIBUTING, and no line is about one that is gone.
func TestDependenciesHaveAReason(t *testing.T) {
	require := regexp.MustCompile(`(?m)^\t(\S+) v\S+$`) // without "// indirect"
	direct := map[string]bool{}
	for _, m := range require.FindAllStringSubmatch(read(t, "go.mod"), -1) {
		direct[m[1]] = true
	}
	tool := regexp.MustCompile(`(?m)^\t([a-z.]+/\S+)$`)
	for _, m := range tool.FindAllStringSubmatch(read(t, "internal/tools/go.mod"), -1) {
		direct[m[1]] = true
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z0-9-]+\\.[a-z0-9.]+/[^`]+)` \\| \\S")
	told := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(read(t, "CONTRIBUTING.md"), -1) {
		told[m[1]] = true
	}
	for d := range direct {
		if !told[d] {
			t.Errorf("CONTRIBUTING gives no reason for %s", d)
		}
	}
	for d := range told {
		if !direct[d] {
			t.Errorf("CONTRIBUTING has a reason for %s, which is no direct dependency", d)
		}
	}
}

// TestEveryFolderIsBuilt: what is not built is not tested.
func TestEveryFolderIsBuilt(t *testing.T) {
	built := map[string]bool{}
	for _, p := range packages(t) {
		built[filepath.ToSlash(p.short())] = true
	}
	for _, name := range files(t, ".go") {
		dir := path.Dir(name)
		if dir == "." {
			dir = ""
		}
		if !built[dir] && !strings.Contains(dir, "testdata") {
			t.Errorf("%s belongs to no package that is built here", name)
		}
	}
}
