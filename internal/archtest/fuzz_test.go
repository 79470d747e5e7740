package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// parserName is how functions are called that take bytes or text apart.
var parserName = regexp.MustCompile(`^([Pp]arse|[Oo]pen|[Ll]oad|[Dd]ecode|[Uu]nmarshal)([A-Z].*)?$`)

// unfuzzed are such functions without a fuzz target of their own, and why.
var unfuzzed = map[string]string{
	"Open":                    "takes a folder's name, not bytes; what lies in it is fuzzed in client/vault",
	"ParseRecoveryCode":       "is capsule.ParseRecoveryCode, which is fuzzed",
	"client/vault.Open":       "takes a folder's name; FuzzHeader, FuzzJournal, FuzzRecords and FuzzSession take its bytes",
	"server/blob/folder.Open": "takes a folder's name; the bytes in it are opaque",
	"store/pebble.Open":       "takes a folder's name; FuzzDecodeRow and FuzzDamage take its bytes",
	"server.LoadKeyFile":      "takes a file's name; opaque.ParseSetup reads the bytes and is fuzzed",
	"client.load":             "protobuf that this device wrote itself, out of a section that is sealed and authenticated",
	"api/mux.decodeMessage":   "protobuf's own decoder; the frames around it are fuzzed",
}

// unit is what a package declares by name, and which names each refers to.
type unit map[string]map[string]bool

func (u unit) add(name string, body ast.Node) {
	if u[name] == nil {
		u[name] = map[string]bool{}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			u[name][id.Name] = true
		}
		return true
	})
}

// reach is everything that is named by from, or by what that names. It goes by
// names, so it finds too much rather than too little; it cannot miss a call.
func (u unit) reach(from string, seen map[string]bool) {
	if seen[from] {
		return
	}
	seen[from] = true
	for name := range u[from] {
		u.reach(name, seen)
	}
}

// TestEveryParserIsFuzzed: what takes apart bytes from outside is reached by a
// fuzz target of its package.
func TestEveryParserIsFuzzed(t *testing.T) {
	targets := 0
	for _, p := range packages(t) {
		if strings.HasPrefix(p.short(), "cmd/") || generatedPackage(t, p) {
			continue
		}
		u, parsers := unit{}, map[string]string{}
		for _, names := range [][]string{p.GoFiles, p.TestGoFiles, p.XTestGoFiles} {
			for _, name := range names {
				set := token.NewFileSet()
				f, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, 0)
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range f.Decls {
					switch d := d.(type) {
					case *ast.FuncDecl:
						u.add(d.Name.Name, d)
						if parserName.MatchString(d.Name.Name) && d.Recv == nil && takesBytes(d.Type) && !strings.HasSuffix(name, "_test.go") {
							parsers[d.Name.Name] = set.Position(d.Pos()).String()
						}
					case *ast.GenDecl:
						for _, s := range d.Specs {
							if v, ok := s.(*ast.ValueSpec); ok {
								for _, n := range v.Names {
									u.add(n.Name, v)
								}
							}
						}
					}
				}
			}
		}
		fuzzed := map[string]bool{}
		for name := range u {
			if strings.HasPrefix(name, "Fuzz") {
				u.reach(name, fuzzed)
				targets++
			}
		}
		for name, where := range parsers {
			full := strings.TrimPrefix(p.short()+"."+name, ".")
			if !fuzzed[name] && unfuzzed[full] == "" && unfuzzed[p.short()] == "" {
				t.Errorf("%s: no fuzz target of the package reaches %s", where, full)
			}
		}
	}
	if targets < 30 {
		t.Errorf("only %d fuzz targets found", targets)
	}
}

func takesBytes(f *ast.FuncType) bool {
	for _, p := range f.Params.List {
		e := p.Type
		for {
			a, ok := e.(*ast.ArrayType)
			if !ok || a.Len != nil {
				break
			}
			if id, ok := a.Elt.(*ast.Ident); ok && id.Name == "byte" {
				return true
			}
			e = a.Elt
		}
		if id, ok := e.(*ast.Ident); ok && id.Name == "string" {
			return true
		}
	}
	return false
}
