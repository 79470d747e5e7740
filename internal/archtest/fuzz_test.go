package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
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
	"bus/nats.Open":           "takes what the operator wrote; parse reads it and is fuzzed",
	"server/blob/folder.Open": "takes a folder's name; the bytes in it are opaque",
	"server.LoadKeyFile":      "takes a file's name; opaque.ParseSetup reads the bytes and is fuzzed",
	"Find":                    "what a user typed: digits, and nothing is built from them",
	"sessionHash":             "the token that this installation made, out of its session record, which is fuzzed in client/vault",
	"client.loadBook":         "is book.Load, which is fuzzed",
	"client.loadSelf":         "as client.load",
	"client.openCount":        "two bytes that this device wrote itself",
	"client.readd":            "as client.load",
	"internal/demo.note":      "what the demo's own clients say",
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
// names, so it finds too much rather than too little: it cannot miss a call, and it
// takes what has the same name for one.
func (u unit) reach(from string, seen map[string]bool) {
	if seen[from] {
		return
	}
	seen[from] = true
	for name := range u[from] {
		u.reach(name, seen)
	}
}

// takesApart tells whether a function's body reads fields out of bytes or text: by
// cryptobyte, encoding/binary, protobuf, JSON, hexadecimal or base64.
func takesApart(body ast.Node) (found bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		name := sel.Sel.Name
		if x, ok := sel.X.(*ast.Ident); ok {
			switch x.Name {
			case "cryptobyte":
				found = found || name == "String"
			case "protowire":
				found = found || strings.HasPrefix(name, "Consume")
			case "proto", "json", "protojson":
				found = found || name == "Unmarshal" || name == "NewDecoder"
			case "binary":
				found = found || strings.HasPrefix(name, "Read") || strings.HasPrefix(name, "Uvarint") || strings.HasPrefix(name, "Varint")
			}
		}
		if inner, ok := sel.X.(*ast.SelectorExpr); ok && (inner.Sel.Name == "BigEndian" || inner.Sel.Name == "LittleEndian") {
			found = found || strings.HasPrefix(name, "Uint")
		}
		found = found || name == "DecodeString"
		return true
	})
	return found
}

// seeded tells whether a fuzz target, or what it hands its F to, adds a seed.
func seeded(decls map[string]*ast.FuncDecl, d *ast.FuncDecl, seen map[string]bool) (found bool) {
	if d == nil || d.Body == nil || seen[d.Name.Name] {
		return false
	}
	seen[d.Name.Name] = true
	f := map[string]bool{}
	for _, p := range d.Type.Params.List {
		star, ok := p.Type.(*ast.StarExpr)
		if !ok {
			continue
		}
		if sel, ok := star.X.(*ast.SelectorExpr); ok && sel.Sel.Name == "F" {
			for _, n := range p.Names {
				f[n.Name] = true
			}
		}
	}
	ast.Inspect(d.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch fun := call.Fun.(type) {
		case *ast.SelectorExpr:
			x, ok := fun.X.(*ast.Ident)
			found = found || ok && f[x.Name] && fun.Sel.Name == "Add"
		case *ast.Ident:
			for _, a := range call.Args {
				if id, ok := a.(*ast.Ident); ok && f[id.Name] {
					found = found || seeded(decls, decls[fun.Name], seen)
				}
			}
		}
		return true
	})
	return found
}

// TestEveryParserIsFuzzed: what takes apart bytes from outside, by its name or by
// what it does, is reached by a fuzz target of its package, methods and the command
// too; and each target has a seed, which every go test runs.
func TestEveryParserIsFuzzed(t *testing.T) {
	targets := 0
	excused := maps.Clone(unfuzzed)
	for _, p := range packages(t) {
		if generatedPackage(t, p) || madeForTests(p) {
			continue
		}
		u, parsers, decls := unit{}, map[string]string{}, map[string]*ast.FuncDecl{}
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
						decls[d.Name.Name] = d
						if !strings.HasSuffix(name, "_test.go") && takesBytes(d.Type) && (parserName.MatchString(d.Name.Name) || takesApart(d)) {
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
				if !seeded(decls, decls[name], map[string]bool{}) {
					t.Errorf("%s: %s adds no seed", p.ImportPath, name)
				}
			}
		}
		for name, where := range parsers {
			full := strings.TrimPrefix(p.short()+"."+name, ".")
			if !fuzzed[name] && unfuzzed[full] == "" {
				t.Errorf("%s: no fuzz target of the package reaches %s", where, full)
			}
			if !fuzzed[name] {
				delete(excused, full)
			}
		}
	}
	if targets < 30 {
		t.Errorf("only %d fuzz targets found", targets)
	}
	for name := range excused {
		t.Errorf("%s is excused from fuzzing, and needs no excuse", name)
	}
}

// madeForTests tells of packages that run in tests alone, on bytes that these made.
func madeForTests(p goPackage) bool {
	for _, folder := range []string{"internal/archtest", "internal/testworld", "internal/world", "internal/sim", "internal/attacks", "internal/mutants", "internal/acmetest", "internal/crashfs", "internal/tools", "server/blob/internal/crashfs", "store/storetest"} {
		if p.short() == folder || strings.HasPrefix(p.short(), folder+"/") {
			return true
		}
	}
	return false
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
