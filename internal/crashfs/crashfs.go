// Package crashfs is a folder in memory that loses power, runs full and fails
// to sync on demand, for the tests of package vault.
//
// Every call that changes something is a step. A Disk told to stop at step n
// does not carry that step out and fails from then on; Restart then gives the
// disk that a machine would find, in one of several ways that real disks and
// file systems leave behind what was not synced.
package crashfs

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"syscall"

	"github.com/reseal/reseal/client/vault"
)

// ErrPower is what every call returns once the power is gone.
var ErrPower = errors.New("crashfs: power lost")

// ErrSync is what a failing sync returns.
var ErrSync = syscall.EIO

// Survival is what of the unsynced state a power loss leaves.
type Survival int

// The ways in which a disk can come back.
const (
	// Synced: only what was synced, of files and of the folder.
	Synced Survival = iota
	// Everything: all of it, as after a kill of the process.
	Everything
	// Half: the folder as it was, of each file half of what was appended.
	Half
	// Zeros: the folder and all lengths as they were, unsynced bytes zero.
	Zeros
	// Names: names as they were last synced, contents as they were.
	Names
	// Sectors: as Everything, but every second 512-byte sector of what was
	// not synced is zero.
	Sectors
)

// Survivals are all of them.
var Survivals = []Survival{Synced, Everything, Half, Zeros, Names, Sectors}

// inode is a file. What synced holds is never written to; while shared is set,
// now is the same bytes and is copied before it is written to.
type inode struct {
	now, synced []byte
	shared      bool
}

// own makes now the inode's own, with room for size bytes.
func (i *inode) own(size int) {
	if i.shared {
		i.now, i.shared = append(make([]byte, 0, max(size, len(i.now))), i.now...), false
	}
}

// Disk is one folder. It implements vault.FS.
type Disk struct {
	mu     sync.Mutex
	now    map[string]*inode
	synced map[string]*inode
	locked bool
	dead   bool
	steps  int

	// StopAt is the step at which the power goes; negative: never.
	StopAt int
	// FullAt is the step from which on there is no room; negative: never.
	FullAt int
	// SyncFailsAt is the step from which on syncs fail; negative: never.
	SyncFailsAt int
	// OnSync is called at the start of every sync of a file, if set.
	OnSync func()
}

// New is an empty disk that does not fail.
func New() *Disk {
	return &Disk{now: map[string]*inode{}, synced: map[string]*inode{}, StopAt: -1, FullAt: -1, SyncFailsAt: -1}
}

// Steps is how many steps were made or tried.
func (d *Disk) Steps() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.steps
}

// Dead reports whether the power went.
func (d *Disk) Dead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

// step counts one change. The caller holds mu.
func (d *Disk) step() (full, syncFails bool, err error) {
	n := d.steps
	d.steps++
	if d.dead || n == d.StopAt {
		d.dead = true
		return false, false, ErrPower
	}
	return d.FullAt >= 0 && n >= d.FullAt, d.SyncFailsAt >= 0 && n >= d.SyncFailsAt, nil
}

// Restart is the disk as it comes back; d itself is not changed.
func (d *Disk) Restart(s Survival) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := d.now
	if s == Synced || s == Names {
		names = d.synced
	}
	r := New()
	for name, i := range names {
		b := i.left(s)
		r.now[name] = &inode{b, b, true}
	}
	r.synced = maps.Clone(r.now)
	return r
}

func (i *inode) left(s Survival) []byte {
	if i.shared || s == Synced {
		return i.synced
	}
	same := 0
	for same < min(len(i.now), len(i.synced)) && i.now[same] == i.synced[same] {
		same++
	}
	b := slices.Clone(i.now)
	switch s {
	case Half:
		return b[:same+(len(b)-same)/2]
	case Zeros:
		clear(b[same:])
	case Sectors:
		for at := (same + 511) / 512 * 512; at < len(b); at += 1024 {
			clear(b[at:min(at+512, len(b))])
		}
		// At least one sector was lost, or nothing was.
		if at := (same + 511) / 512 * 512; at >= len(b) && same < len(b) {
			clear(b[same:])
		}
	}
	return b
}

// OpenFile implements vault.FS.
func (d *Disk) OpenFile(name string, flag int) (vault.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil, ErrPower
	}
	i, ok := d.now[name]
	if !ok && flag&os.O_CREATE == 0 {
		return nil, fs.ErrNotExist
	}
	if !ok || flag&os.O_TRUNC != 0 {
		full, _, err := d.step()
		if err != nil {
			return nil, err
		}
		if full && !ok {
			return nil, syscall.ENOSPC
		}
	}
	if !ok {
		i = &inode{}
		d.now[name] = i
	} else if flag&os.O_TRUNC != 0 {
		i.now, i.shared = nil, false
	}
	return &file{d, i}, nil
}

// Rename implements vault.FS.
func (d *Disk) Rename(oldname, newname string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, _, err := d.step(); err != nil {
		return err
	}
	i, ok := d.now[oldname]
	if !ok {
		return fs.ErrNotExist
	}
	delete(d.now, oldname)
	d.now[newname] = i
	return nil
}

// Remove implements vault.FS.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, _, err := d.step(); err != nil {
		return err
	}
	if _, ok := d.now[name]; !ok {
		return fs.ErrNotExist
	}
	delete(d.now, name)
	return nil
}

// SyncDir implements vault.FS.
func (d *Disk) SyncDir() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, fails, err := d.step()
	if err != nil {
		return err
	}
	if fails {
		return ErrSync
	}
	d.synced = maps.Clone(d.now)
	return nil
}

// Stamp implements vault.FS: there are no times here.
func (d *Disk) Stamp(string) {}

// ReadDir implements vault.FS.
func (d *Disk) ReadDir() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil, ErrPower
	}
	return slices.Sorted(maps.Keys(d.now)), nil
}

// Lock implements vault.FS. The lock is of this Disk value.
func (d *Disk) Lock(name string) (io.Closer, error) {
	f, err := d.OpenFile(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		return nil, vault.ErrBusy
	}
	d.locked = true
	return &unlock{f, d}, nil
}

// Close implements vault.FS.
func (d *Disk) Close() error { return nil }

// Read returns a file's content, nil if there is none.
func (d *Disk) Read(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i, ok := d.now[name]; ok {
		return slices.Clone(i.now)
	}
	return nil
}

// Put sets a file's content, durably; nil removes it.
func (d *Disk) Put(name string, b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.now, name)
	if b != nil {
		b = slices.Clone(b)
		d.now[name] = &inode{b, b, true}
	}
	d.synced = maps.Clone(d.now)
}

type unlock struct {
	io.Closer
	d *Disk
}

func (u *unlock) Close() error {
	u.d.mu.Lock()
	defer u.d.mu.Unlock()
	u.d.locked = false
	return nil
}

type file struct {
	d *Disk
	i *inode
}

func (f *file) ReadAt(b []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.dead {
		return 0, ErrPower
	}
	if off >= int64(len(f.i.now)) {
		return 0, io.EOF
	}
	n := copy(b, f.i.now[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes; on a full disk half of it.
func (f *file) WriteAt(b []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	full, _, err := f.d.step()
	if err != nil {
		return 0, err
	}
	if full {
		b = b[:len(b)/2]
	}
	f.i.own(int(off) + len(b))
	if was, end := len(f.i.now), int(off)+len(b); end > was {
		f.i.now = slices.Grow(f.i.now, max(end-was, was))[:end]
		clear(f.i.now[was:])
	}
	copy(f.i.now[off:], b)
	if full {
		return len(b), syscall.ENOSPC
	}
	return len(b), nil
}

func (f *file) Truncate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if _, _, err := f.d.step(); err != nil {
		return err
	}
	f.i.now, f.i.shared = slices.Clone(f.i.now[:min(int(size), len(f.i.now))]), false
	return nil
}

func (f *file) Sync() error {
	if f.d.OnSync != nil {
		f.d.OnSync()
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	_, fails, err := f.d.step()
	if err != nil {
		return err
	}
	if fails {
		return ErrSync
	}
	f.i.synced, f.i.shared = f.i.now, true
	return nil
}

func (f *file) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.i.now)), nil
}

func (f *file) Close() error { return nil }
