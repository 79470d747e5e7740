// Package crashfs is a file system in memory that loses power when told to. It
// keeps apart what was written and what was synced, so that a test can cut the
// power at every single access and go on with either.
package crashfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/reseal/reseal/server/blob/folder"
)

// ErrPower is what every access returns from the power cut to the restart.
var ErrPower = errors.New("crashfs: power is off")

// FS implements [folder.FS]. Safe for concurrent use.
type FS struct {
	mu    sync.Mutex // guards everything below
	root  *node
	off   bool
	steps int
	free  uint64
	// before is asked before each change; see SetBefore.
	before func(step int, op, path string) error
}

type node struct {
	dir     bool
	names   map[string]*node // of a folder
	synced  map[string]*node // as of its last sync
	data    []byte           // of a file
	durable []byte           // as of its last sync
}

func newDir() *node {
	return &node{dir: true, names: map[string]*node{}, synced: map[string]*node{}}
}

// New makes a file system with an empty folder at each of roots.
func New(roots ...string) *FS {
	f := &FS{root: newDir(), free: 1 << 62}
	for _, path := range roots {
		at := f.root
		for _, name := range split(path) {
			if at.names[name] == nil {
				at.names[name] = newDir()
				at.synced[name] = at.names[name]
			}
			at = at.names[name]
		}
	}
	return f
}

// SetBefore sets what is asked before each change, with its number from 0. An
// error makes the change fail; [ErrPower] turns the power off before it.
func (f *FS) SetBefore(before func(step int, op, path string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.steps = before, 0
}

// Steps is how many changes there were since SetBefore.
func (f *FS) Steps() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.steps
}

// SetFree sets what Free returns.
func (f *FS) SetFree(n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free = n
}

// Cut turns the power off now.
func (f *FS) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off = true
}

// Restart turns the power on again. What was not synced is lost, or is there
// all the same: a disk may do either.
func (f *FS) Restart(lost bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off, f.before, f.steps = false, nil, 0
	if lost {
		f.root.lose(map[*node]bool{})
	} else {
		f.root.keep()
	}
}

func (n *node) lose(seen map[*node]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	n.data = bytes.Clone(n.durable)
	n.names = make(map[string]*node)
	for name, c := range n.synced {
		n.names[name] = c
		c.lose(seen)
	}
}

func (n *node) keep() {
	n.durable = bytes.Clone(n.data)
	n.synced = make(map[string]*node)
	for name, c := range n.names {
		n.synced[name] = c
		c.keep()
	}
}

// Files returns the paths of all files.
func (f *FS) Files() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	f.root.files("/", &out)
	return out
}

func (n *node) files(path string, out *[]string) {
	for name, c := range n.names {
		if p := filepath.Join(path, name); c.dir {
			c.files(p, out)
		} else {
			*out = append(*out, p)
		}
	}
}

func split(path string) []string {
	return strings.FieldsFunc(filepath.ToSlash(path), func(r rune) bool { return r == '/' })
}

func (f *FS) step(op, path string) error {
	if f.off {
		return ErrPower
	}
	n := f.steps
	f.steps++
	if f.before == nil {
		return nil
	}
	err := f.before(n, op, path)
	if errors.Is(err, ErrPower) {
		f.off = true
	}
	return err
}

func (f *FS) find(path string) *node {
	at := f.root
	for _, name := range split(path) {
		if at == nil || !at.dir {
			return nil
		}
		at = at.names[name]
	}
	return at
}

// at returns the folder of path, its last name, and what is there.
func (f *FS) at(path string) (*node, string, *node, error) {
	dir := f.find(filepath.Dir(path))
	if dir == nil || !dir.dir {
		return nil, "", nil, fs.ErrNotExist
	}
	return dir, filepath.Base(path), dir.names[filepath.Base(path)], nil
}

func (f *FS) add(op, path string, n *node) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step(op, path); err != nil {
		return err
	}
	dir, name, there, err := f.at(path)
	if err != nil {
		return err
	}
	if there != nil {
		return fs.ErrExist
	}
	dir.names[name] = n
	return nil
}

// Mkdir implements [folder.FS].
func (f *FS) Mkdir(path string) error { return f.add("mkdir", path, newDir()) }

// Create implements [folder.FS].
func (f *FS) Create(path string) (folder.WriteFile, error) {
	n := new(node)
	if err := f.add("create", path, n); err != nil {
		return nil, err
	}
	return &file{f, n, path}, nil
}

// Open implements [folder.FS].
func (f *FS) Open(path string) (io.ReadSeekCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.off {
		return nil, ErrPower
	}
	n := f.find(path)
	if n == nil || n.dir {
		return nil, fs.ErrNotExist
	}
	return reading{bytes.NewReader(bytes.Clone(n.data))}, nil
}

// Rename implements [folder.FS].
func (f *FS) Rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step("rename", to); err != nil {
		return err
	}
	a, an, n, err := f.at(from)
	b, bn, there, err2 := f.at(to)
	if err != nil || err2 != nil || n == nil {
		return fs.ErrNotExist
	}
	if there != nil && there.dir {
		return fs.ErrExist
	}
	delete(a.names, an)
	b.names[bn] = n
	return nil
}

// Remove implements [folder.FS].
func (f *FS) Remove(path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step("remove", path); err != nil {
		return err
	}
	dir, name, n, err := f.at(path)
	if err != nil || n == nil {
		return fs.ErrNotExist
	}
	delete(dir.names, name)
	return nil
}

// RemoveAll implements [folder.FS].
func (f *FS) RemoveAll(path string) error {
	if err := f.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// ReadDir implements [folder.FS].
func (f *FS) ReadDir(path string) ([]fs.DirEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.off {
		return nil, ErrPower
	}
	n := f.find(path)
	if n == nil {
		return nil, fs.ErrNotExist
	}
	var out []fs.DirEntry
	for name, c := range n.names {
		out = append(out, entry{name, c.dir, int64(len(c.data))})
	}
	return out, nil
}

// SyncDir implements [folder.FS].
func (f *FS) SyncDir(path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step("syncdir", path); err != nil {
		return err
	}
	n := f.find(path)
	if n == nil {
		return fs.ErrNotExist
	}
	n.synced = make(map[string]*node)
	for name, c := range n.names {
		n.synced[name] = c
	}
	return nil
}

// Free implements [folder.FS].
func (f *FS) Free(string) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.free, nil
}

type file struct {
	fs   *FS
	node *node
	path string
}

func (w *file) Write(p []byte) (int, error) {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	if err := w.fs.step("write", w.path); err != nil {
		return 0, err
	}
	w.node.data = append(w.node.data, p...)
	return len(p), nil
}

func (w *file) Sync() error {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	if err := w.fs.step("sync", w.path); err != nil {
		return err
	}
	w.node.durable = bytes.Clone(w.node.data)
	return nil
}

func (w *file) Close() error { return nil }

type reading struct{ *bytes.Reader }

func (reading) Close() error { return nil }

type entry struct {
	name string
	dir  bool
	size int64
}

func (e entry) Name() string               { return e.name }
func (e entry) IsDir() bool                { return e.dir }
func (e entry) Type() fs.FileMode          { return e.Mode().Type() }
func (e entry) Info() (fs.FileInfo, error) { return e, nil }
func (e entry) Size() int64                { return e.size }
func (e entry) ModTime() time.Time         { return time.Time{} }
func (e entry) Sys() any                   { return nil }
func (e entry) Mode() fs.FileMode {
	if e.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}
