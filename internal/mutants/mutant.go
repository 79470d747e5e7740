package mutants

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Mutant is one fault.
type Mutant struct {
	// Name says what is wrong with the program.
	Name string
	// File is where, from the top of the tree; Old stands there once, and New
	// takes its place.
	File, Old, New string
	// Tests are the arguments for go test with which it is to be caught.
	Tests []string
}

// Apply gives the file with the fault.
func (m Mutant) Apply(top string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(m.File)))
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(b, []byte(m.Old)); n != 1 {
		return nil, fmt.Errorf("mutants: %s: %q stands %d times in %s, not once", m.Name, m.Old, n, m.File)
	}
	return bytes.Replace(b, []byte(m.Old), []byte(m.New), 1), nil
}

// ErrBroken is returned for a mutant that does not build: it proves nothing.
var ErrBroken = errors.New("mutants: does not build")

// Run plants the fault in the tree at top and runs its tests. caughtBy is the
// first test that failed, empty if none did: then the fault has survived.
func (m Mutant) Run(ctx context.Context, top string) (caughtBy string, err error) {
	b, err := m.Apply(top)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	top, err = filepath.Abs(top)
	if err != nil {
		return "", err
	}
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	files := map[string]map[string]string{"Replace": {filepath.Join(top, filepath.FromSlash(m.File)): changed}}
	j, err := json.Marshal(files)
	if err == nil {
		err = errors.Join(os.WriteFile(changed, b, 0o600), os.WriteFile(overlay, j, 0o600))
	}
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-overlay", overlay, "-failfast", "-timeout", "4m"}, m.Tests...)...)
	cmd.Dir = top
	out, err := cmd.CombinedOutput()
	if err == nil {
		return "", nil
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return failed(out, err)
}

// failed finds the first test that failed in what go test printed.
func failed(out []byte, err error) (string, error) {
	all := bufio.NewScanner(bytes.NewReader(out))
	all.Buffer(nil, 1<<24)
	first := ""
	for all.Scan() {
		line := strings.TrimSpace(all.Text())
		if strings.Contains(line, "[build failed]") || strings.Contains(line, "[setup failed]") {
			return "", fmt.Errorf("%w:\n%s", ErrBroken, out)
		}
		if name, ok := strings.CutPrefix(line, "--- FAIL: "); ok && (first == "" || strings.Contains(name, first)) {
			first = strings.Fields(name)[0] // the innermost of the first
		} else if first == "" && (strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:")) {
			first = line
		}
	}
	if first == "" {
		return "", fmt.Errorf("mutants: %w:\n%s", err, out)
	}
	return first, nil
}
