package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/reseal/reseal"

// root is the top of the tree; tests run in their package's folder.
var root = filepath.Join("..", "..")

// goPackage is what `go list -json` says of a package, as far as rules need it.
type goPackage struct {
	Dir, ImportPath, Name string
	Standard              bool
	GoFiles, CgoFiles     []string
	TestGoFiles           []string
	XTestGoFiles          []string
	Imports, Deps         []string
	IgnoredGoFiles        []string
}

// short is the import path without the module: "" for the root package, else
// "client/vault" and the like.
func (p goPackage) short() string { return short(p.ImportPath) }

func short(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
}

func own(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

var listed = sync.OnceValues(func() ([]goPackage, error) {
	cmd := exec.Command("go", "list", "-json", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
})

// packages lists the packages of the module for the system it runs on.
func packages(t *testing.T) []goPackage {
	t.Helper()
	all, err := listed()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return all
}

// tree is every file of the tree by its slashed path, without what git ignores.
// Outside of a clone (a source archive) it is every file.
func tree(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	cmd.Dir = root
	var all []string
	if out, err := cmd.Output(); err == nil && len(out) > 0 {
		for name := range strings.SplitSeq(string(out), "\x00") {
			if _, err := os.Lstat(filepath.Join(root, name)); name != "" && err == nil {
				all = append(all, name)
			}
		}
	} else {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || (d.IsDir() && d.Name() == ".git") {
				return errors.Join(err, fs.SkipDir)
			}
			rel, err := filepath.Rel(root, path)
			if err == nil && !d.IsDir() {
				all = append(all, filepath.ToSlash(rel))
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.SkipDir) {
			t.Fatal(err)
		}
	}
	slices.Sort(all)
	if len(all) < 100 {
		t.Fatalf("only %d files found: the rules would pass for want of anything to look at", len(all))
	}
	return slices.Compact(all)
}

// files are those of the tree whose name ends in ext.
func files(t *testing.T, ext string) []string {
	t.Helper()
	return slices.DeleteFunc(tree(t), func(f string) bool { return !strings.HasSuffix(f, ext) })
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// generated tells of files that a generator wrote.
func generated(source string) bool {
	head, _, _ := strings.Cut(source, "\npackage ")
	return strings.Contains(head, "// Code generated ") && strings.Contains(head, " DO NOT EDIT.")
}
