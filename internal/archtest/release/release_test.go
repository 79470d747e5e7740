package release

import (
	"debug/buildinfo"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const root = "../../.."

// sources are the files that the command is built from.
func sources(t *testing.T) (all []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if err == nil && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return fs.SkipDir
			}
			return err
		}
		rel, err := filepath.Rel(root, path)
		if ext := filepath.Ext(path); err == nil && !strings.HasSuffix(path, "_test.go") && d.Type().IsRegular() {
			if ext == ".go" || ext == ".mod" || ext == ".sum" || ext == ".s" || ext == ".sh" || strings.HasPrefix(rel, "internal"+string(filepath.Separator)+"demo") {
				all = append(all, rel)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// release runs script/release.sh for some targets from a copy of the tree or the
// tree itself, and returns the folder of the binaries.
func release(t *testing.T, sources, targets string) string {
	t.Helper()
	out := t.TempDir()
	c := exec.Command("sh", filepath.Join(sources, "script", "release.sh"), "v9.8.7", out)
	c.Env = append(os.Environ(), "TARGETS="+targets)
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

// copyTree copies the sources to another folder.
func copyTree(t *testing.T) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "another", "folder")
	for _, name := range sources(t) {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// TestRelease: the release of this system is the same from two folders, has its
// version, and says its name in the checksums. script/release.sh --twice does it
// for all systems, from nothing.
func TestRelease(t *testing.T) {
	target := runtime.GOOS + "/" + runtime.GOARCH
	here, there := release(t, root, target), release(t, copyTree(t), target)
	name := "reseal_v9.8.7_" + runtime.GOOS + "_" + runtime.GOARCH
	sums := make([]string, 2)
	for i, dir := range []string{here, there} {
		b, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = string(b)
	}
	if sums[0] != sums[1] || !strings.HasSuffix(sums[0], "  "+name+"\n") || len(sums[0]) < 64 {
		t.Errorf("checksums:\n%s%s", sums[0], sums[1])
	}
	binary := filepath.Join(here, name)
	out, err := exec.Command(binary, "--version").Output()
	if err != nil || string(out) != "reseal v9.8.7\n" {
		t.Errorf("%q, %v", out, err)
	}
	b, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), folder) {
		t.Error("the folder it was built in is in the binary")
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range info.Settings {
		if s.Key == "CGO_ENABLED" && s.Value != "0" {
			t.Error("not static: built with cgo")
		}
	}
}
