package tools

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var root = filepath.Join("..", "..", "..")

// run runs a command at the top of the tree, or in a folder of it.
func run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = filepath.Join(root, dir)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func TestVet(t *testing.T) { run(t, "", nil, "go", "vet", "./...") }

func TestStaticcheck(t *testing.T) {
	run(t, "", nil, "go", "tool", "-modfile=internal/tools/go.mod", "staticcheck", "./...")
}

// TestModuleIsTidy: no requirement too many or too few.
func TestModuleIsTidy(t *testing.T) { run(t, "", nil, "go", "mod", "tidy", "-diff") }

// TestBuildsElsewhere: the engine and what it stands on build for wasm, and the
// client for the systems that it has files for.
func TestBuildsElsewhere(t *testing.T) {
	for _, c := range []struct {
		os, arch string
		what     []string
	}{
		{"js", "wasm", []string{"./client", "./opaque", "./capsule", "./seal", "./wrap", "./api/mux", "./client/remote/..."}},
		{"windows", "amd64", []string{"."}},
		{"darwin", "arm64", []string{".", "./client/handover"}},
	} {
		t.Run(c.os, func(t *testing.T) {
			env := []string{"GOOS=" + c.os, "GOARCH=" + c.arch, "CGO_ENABLED=0"}
			run(t, "", env, "go", append([]string{"build"}, c.what...)...)
		})
	}
}

// protos are the folders with a buf.gen.yaml.
var protos = []string{"api", "client/internal/state"}

// TestGeneratedCodeIsCurrent generates the protobuf code anew and compares.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	bin := t.TempDir()
	run(t, "", nil, "go", "build", "-modfile=internal/tools/go.mod", "-o", bin+string(filepath.Separator),
		"github.com/bufbuild/buf/cmd/buf", "google.golang.org/protobuf/cmd/protoc-gen-go", "connectrpc.com/connect/v2/cmd/protoc-gen-connect-go")
	env := []string{"PATH=" + bin + string(filepath.ListSeparator) + os.Getenv("PATH"), "BUF_CACHE_DIR=" + t.TempDir()}
	buf := filepath.Join(bin, "buf")
	n := 0
	for _, dir := range protos {
		out := t.TempDir()
		run(t, dir, env, buf, "generate", "-o", out)
		run(t, dir, env, buf, "lint")
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
			if kept, err := os.ReadFile(filepath.Join(root, dir, rel)); err != nil || !bytes.Equal(kept, fresh) {
				t.Errorf("%s is not what its .proto gives: run buf generate (CONTRIBUTING)", filepath.Join(dir, rel))
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
