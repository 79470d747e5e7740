package fuzz

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// PerTurn is how many targets a run of the tests fuzzes.
	PerTurn = 2
	// Each is for how long it does each of them, once they are built.
	Each = time.Minute
	// Period is how long a turn lasts: some more than a run of all tests, so that
	// a run right after another has the next turn.
	Period = 15 * time.Minute
)

// Target is a fuzz target.
type Target struct {
	// Package is a path from the top of the tree, "./seal".
	Package string
	// Name is the function's, "FuzzOpen".
	Name string
}

func (t Target) String() string { return t.Package + " " + t.Name }

// Targets are the fuzz targets of the module at top, on this system, in order.
func Targets(top string) (all []Target, err error) {
	cmd := exec.Command("go", "list", "-json=Dir,ImportPath,Module,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = filepath.FromSlash(top)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir, ImportPath           string
			Module                    struct{ Path string }
			TestGoFiles, XTestGoFiles []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		short := "." + strings.TrimPrefix(p.ImportPath, p.Module.Path)
		for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			names, err := targetsOf(filepath.Join(p.Dir, name))
			if err != nil {
				return nil, err
			}
			for _, n := range names {
				all = append(all, Target{short, n})
			}
		}
	}
}

// targetsOf are the names of the fuzz targets of a file.
func targetsOf(file string) (names []string, err error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range f.Decls {
		d, ok := d.(*ast.FuncDecl)
		if ok && d.Recv == nil && strings.HasPrefix(d.Name.Name, "Fuzz") {
			names = append(names, d.Name.Name)
		}
	}
	return names, nil
}

// Turn is whose turn it is at a time. In each round every target has one turn. The
// order is another in each round, so that whoever tests at the same hour of each
// day, or after each second commit, comes by all of them, too. It goes by the time
// and not by the commit, which a source archive does not have.
func Turn(all []Target, at time.Time) []Target {
	if len(all) == 0 {
		return nil
	}
	turns := int64((len(all) + PerTurn - 1) / PerTurn)
	now := at.Unix() / int64(Period/time.Second)
	order := rand.New(rand.NewPCG(uint64(now/turns), 0)).Perm(len(all))
	var mine []Target
	from := int(now%turns) * PerTurn
	for _, i := range order[from:min(from+PerTurn, len(all))] {
		mine = append(mine, all[i])
	}
	return mine
}
