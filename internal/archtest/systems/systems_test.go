package systems

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const top = "../../.."

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	ImportMap  map[string]string
	Module     *struct{ Main bool }
	Error      *struct{ Err string }
}

// TestSystems: the sources agree with each other, and with those of everything
// that they import, on all systems of script/release.sh.
func TestSystems(t *testing.T) {
	script, err := os.ReadFile(filepath.Join(top, "script", "release.sh"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(script), `${TARGETS:=`)
	list, _, _ = strings.Cut(list, "}")
	systems := strings.Fields(list)
	if len(systems) != 6 {
		t.Fatalf("script/release.sh names %q", systems)
	}
	for _, s := range systems {
		t.Run(strings.ReplaceAll(s, "/", "-"), func(t *testing.T) {
			t.Parallel()
			os, arch, _ := strings.Cut(s, "/")
			own := check(t, os, arch)
			if own < 30 {
				t.Errorf("only %d packages of the project", own)
			}
		})
	}
}

// check type-checks the command and all that it imports, and returns how many
// packages of the project that were. Bodies of functions are checked in these.
func check(t *testing.T, system, arch string) (own int) {
	c := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,ImportMap,Module,Error", "./cmd/reseal")
	c.Dir = filepath.FromSlash(top)
	c.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+arch, "CGO_ENABLED=0", "GOWORK=off")
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	done := map[string]*types.Package{"unsafe": types.Unsafe}
	fset := token.NewFileSet()
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return own
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Error != nil {
			t.Errorf("%s: %s", p.ImportPath, p.Error.Err)
		}
		if p.ImportPath == "unsafe" {
			continue
		}
		ours := p.Module != nil && p.Module.Main
		if ours {
			own++
		}
		if done[p.ImportPath], err = p.check(fset, arch, ours, done); err != nil {
			t.Fatalf("%s/%s: %v", system, arch, err)
		}
	}
}

func (p *pkg) check(fset *token.FileSet, arch string, bodies bool, done map[string]*types.Package) (*types.Package, error) {
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	config := types.Config{
		Sizes: types.SizesFor("gc", arch), IgnoreFuncBodies: !bodies,
		Importer: importer(func(path string) (*types.Package, error) {
			if to, ok := p.ImportMap[path]; ok {
				path = to
			}
			if got := done[path]; got != nil {
				return got, nil
			}
			return nil, fmt.Errorf("%s imports %s, which is not there", p.ImportPath, path)
		}),
	}
	return config.Check(p.ImportPath, fset, files, nil)
}

type importer func(path string) (*types.Package, error)

func (i importer) Import(path string) (*types.Package, error) { return i(path) }
