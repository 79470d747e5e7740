package archtest

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// sources parses the sources of a package, without tests.
func sources(t *testing.T, p goPackage) (*token.FileSet, []*ast.File) {
	t.Helper()
	set := token.NewFileSet()
	var all []*ast.File
	for _, name := range append(p.GoFiles, p.IgnoredGoFiles...) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return set, all
}

func TestEveryPackageIsDocumentedOnce(t *testing.T) {
	for _, p := range packages(t) {
		if generatedPackage(t, p) {
			continue
		}
		_, all := sources(t, p)
		var docs []string
		for _, f := range all {
			if f.Doc != nil {
				docs = append(docs, f.Doc.Text())
			}
		}
		if len(docs) != 1 {
			t.Errorf("%s has %d package comments, want 1", p.ImportPath, len(docs))
			continue
		}
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command " + path.Base(p.ImportPath) + " "
			if strings.HasPrefix(docs[0], strings.ToUpper(path.Base(p.ImportPath)[:1])+path.Base(p.ImportPath)[1:]+" ") {
				continue // "Reseal is ...", as the standard library's commands have it
			}
		}
		if !strings.HasPrefix(docs[0], want) {
			t.Errorf("%s: the package comment does not begin with %q", p.ImportPath, want)
		}
	}
}

// plain are methods whose meaning the standard library gives.
var plain = map[string]bool{"Error": true, "String": true, "GoString": true, "Format": true, "LogValue": true}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, p := range packages(t) {
		if p.Name == "main" || strings.Contains("/"+p.short()+"/", "/internal/") || generatedPackage(t, p) {
			continue
		}
		set, all := sources(t, p)
		d, err := doc.NewFromFiles(set, all, p.ImportPath)
		if err != nil {
			t.Fatal(err)
		}
		missing := func(what, text string) {
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s: %s has no comment", p.short(), what)
			}
		}
		values := func(groups []*doc.Value) {
			for _, v := range groups {
				for _, s := range v.Decl.Specs {
					s := s.(*ast.ValueSpec)
					if ast.IsExported(s.Names[0].Name) && s.Comment.Text() == "" && s.Doc.Text() == "" {
						missing(s.Names[0].Name, v.Doc)
					}
				}
			}
		}
		funcs := func(on string, all []*doc.Func) {
			for _, f := range all {
				if !plain[f.Name] || on == "" {
					missing(on+f.Name, f.Doc)
				}
			}
		}
		values(d.Consts)
		values(d.Vars)
		funcs("", d.Funcs)
		for _, ty := range d.Types {
			missing(ty.Name, ty.Doc)
			values(ty.Consts)
			values(ty.Vars)
			funcs("", ty.Funcs)
			funcs(ty.Name+".", ty.Methods)
		}
	}
}

// prose is a document without its code.
func prose(text string) string {
	text = regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(text, "")
	return regexp.MustCompile("(?m)^(    |\t).*$").ReplaceAllString(text, "")
}

// slug is the anchor that forges give a heading.
func slug(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(heading)) {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			b.WriteRune(r)
		case r == ' ':
			b.WriteByte('-')
		}
	}
	return b.String()
}

func TestLinksResolve(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	for _, name := range files(t, ".md") {
		for _, m := range link.FindAllStringSubmatch(prose(read(t, name)), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			target, anchor, _ := strings.Cut(m[1], "#")
			file := name
			if target != "" {
				file = path.Join(path.Dir(name), target)
			}
			info, err := os.Stat(filepath.Join(root, file))
			if err != nil {
				t.Errorf("%s: %s is not there", name, m[1])
				continue
			}
			if anchor == "" || info.IsDir() {
				continue
			}
			found := false
			for _, h := range heading.FindAllStringSubmatch(read(t, file), -1) {
				found = found || slug(h[1]) == anchor
			}
			if !found {
				t.Errorf("%s: %s has no heading for #%s", name, file, anchor)
			}
		}
	}
}

// TestNamedCodeExists: documents name code as `folder/file.go` and
// `folder/file.go#Name`; both must be there.
func TestNamedCodeExists(t *testing.T) {
	token := regexp.MustCompile("`((?:[a-z0-9_]+/)*[a-z0-9_]+\\.go)(?:#([A-Za-z0-9_.]+))?`")
	named := 0
	for _, name := range files(t, ".md") {
		for _, m := range token.FindAllStringSubmatch(read(t, name), -1) {
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s: no file %s", name, m[1])
				continue
			}
			if named++; m[2] != "" && !declares(t, m[1], m[2]) {
				t.Errorf("%s: %s has no %s", name, m[1], m[2])
			}
		}
	}
	if named < 30 {
		t.Errorf("only %d names of code found in the documents", named)
	}
}

// declares tells whether a file declares a function, a method (Type.Method), a
// type, a variable or a constant.
func declares(t *testing.T, file, name string) bool {
	f, err := parser.ParseFile(token.NewFileSet(), file, read(t, file), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			full := d.Name.Name
			if d.Recv != nil {
				full = receiver(d.Recv.List[0].Type) + "." + full
			}
			if full == name {
				return true
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					if s.Name.Name == name {
						return true
					}
				case *ast.ValueSpec:
					for _, n := range s.Names {
						if n.Name == name {
							return true
						}
					}
				}
			}
		}
	}
	return false
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
