package archtest

import (
	"bytes"
	"go/format"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// run runs a command at the top of the tree and returns what it printed.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// tool are the arguments of go that run a tool of the tool module, at the
// version that is pinned there.
func tool(args ...string) []string {
	return append([]string{"tool", "-modfile=internal/tools/go.mod"}, args...)
}

func TestFormat(t *testing.T) {
	for _, name := range files(t, ".go") {
		source := read(t, name)
		if formatted, err := format.Source([]byte(source)); err != nil || string(formatted) != source {
			t.Errorf("%s is not formatted: run gofmt -w %s (%v)", name, name, err)
		}
	}
}

func TestVet(t *testing.T) { run(t, nil, "go", "vet", "./...") }

func TestStaticcheck(t *testing.T) { run(t, nil, "go", tool("staticcheck", "./...")...) }

// TestModuleIsTidy: no requirement too many or too few.
func TestModuleIsTidy(t *testing.T) { run(t, nil, "go", "mod", "tidy", "-diff") }

// TestGeneratedCodeIsCurrent generates the protobuf code anew and compares.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	bin := t.TempDir()
	run(t, nil, "go", "build", "-modfile=internal/tools/go.mod", "-o", bin+string(filepath.Separator),
		"github.com/bufbuild/buf/cmd/buf", "google.golang.org/protobuf/cmd/protoc-gen-go", "connectrpc.com/connect/v2/cmd/protoc-gen-connect-go")
	env := []string{"PATH=" + bin + string(filepath.ListSeparator) + os.Getenv("PATH"), "BUF_CACHE_DIR=" + t.TempDir()}
	n := 0
	for _, name := range files(t, "buf.gen.yaml") {
		from, out := filepath.FromSlash(path.Dir(name)), t.TempDir()
		buf := func(args ...string) {
			cmd := exec.Command(filepath.Join(bin, "buf"), args...)
			cmd.Dir, cmd.Env = filepath.Join(root, from), append(os.Environ(), env...)
			if b, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("buf %s in %s: %v\n%s", args[0], from, err, b)
			}
		}
		buf("generate", "-o", out)
		buf("lint")
		err := filepath.WalkDir(out, func(file string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			fresh, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(out, file)
			if err != nil {
				return err
			}
			n++
			if kept, err := os.ReadFile(filepath.Join(root, from, rel)); err != nil || !bytes.Equal(kept, fresh) {
				t.Errorf("%s is not what its .proto gives: run buf generate (CONTRIBUTING)", filepath.Join(from, rel))
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if n < 8 {
		t.Errorf("only %d files generated", n)
	}
}
