package backup_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/reseal/reseal/server/backup"
)

// parts is a store and blobs that note what is asked of them.
type parts struct {
	calls []string
	fail  string
}

func (p *parts) call(name, folder string) error {
	p.calls = append(p.calls, name)
	if p.fail == name {
		return errors.New("no " + name)
	}
	if folder == "" {
		return nil
	}
	return errors.Join(os.Mkdir(folder, 0o700), os.WriteFile(filepath.Join(folder, name), nil, 0o600))
}

func (p *parts) Checkpoint(folder string) error                { return p.call("checkpoint", folder) }
func (p *parts) CopyTo(_ context.Context, folder string) error { return p.call("copy", folder) }
func (p *parts) Hold() (release func()) {
	_ = p.call("hold", "")
	return func() { _ = p.call("release", "") }
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "copy")
	ctx := context.Background()
	// What is cut short leaves no copy, in no step.
	for _, fail := range []string{"checkpoint", "copy"} {
		p := &parts{fail: fail}
		if err := backup.Write(ctx, dir, p, p); err == nil {
			t.Error("a copy without " + fail)
		}
		if left, err := filepath.Glob(dir + "*"); len(left) > 0 || err != nil {
			t.Errorf("left after no %s: %v, %v", fail, left, err)
		}
		if p.calls[len(p.calls)-1] != "release" {
			t.Errorf("held after no %s: %v", fail, p.calls)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if p := new(parts); !errors.Is(backup.Write(ended, dir, p, p), context.Canceled) || slices.Contains(p.calls, "checkpoint") {
		t.Error("a copy that was given up")
	}
	// While it is made it is marked.
	p := &parts{}
	seen := errors.New("seen")
	err := backup.Write(ctx, dir, storeFunc(func(string) error {
		if !errors.Is(backup.Check(dir+backup.Unfinished), backup.ErrUnfinished) {
			t.Error("not marked")
		}
		return seen
	}), p)
	if !errors.Is(err, seen) {
		t.Error(err)
	}
	// One that a crash cut short is in nobody's way.
	if err := errors.Join(os.MkdirAll(filepath.Join(dir+".part", "store"), 0o700), os.WriteFile(filepath.Join(dir+".part", "old"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	p = new(parts)
	if err := backup.Write(ctx, dir+"/", p, p); err != nil {
		t.Fatal(err)
	}
	if want := []string{"hold", "checkpoint", "copy", "release"}; !slices.Equal(p.calls, want) {
		t.Errorf("%v, want %v", p.calls, want)
	}
	var names []string
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if err != nil || !slices.Equal(names, []string{"blobs", "store"}) {
		t.Errorf("the copy has %v, %v", names, err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	// It is never written over.
	if err := backup.Write(ctx, dir, p, p); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another copy: %v", err)
	}
}

type storeFunc func(folder string) error

func (f storeFunc) Checkpoint(folder string) error { return f(folder) }
