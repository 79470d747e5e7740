package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestErrorsAndEventsAreInTheGuide: the documentation of the root package says
// what an app does on each.
func TestErrorsAndEventsAreInTheGuide(t *testing.T) {
	sources, err := filepath.Glob(filepath.Join(root, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var guide string
	var names []string
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		guide += f.Doc.Text()
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range g.Specs {
				switch s := s.(type) {
				case *ast.ValueSpec:
					for _, n := range s.Names {
						if strings.HasPrefix(n.Name, "Err") || strings.HasPrefix(n.Name, "Kind") {
							names = append(names, n.Name)
						}
					}
				case *ast.TypeSpec:
					if strings.HasSuffix(s.Name.Name, "Error") && s.Name.IsExported() {
						names = append(names, s.Name.Name)
					}
				}
			}
		}
	}
	if len(names) < 50 {
		t.Fatalf("only %d found: %v", len(names), names)
	}
	for _, n := range names {
		if !strings.Contains(guide, "["+n+"]") {
			t.Errorf("the guide does not say what to do on %s", n)
		}
	}
}
