package world

import (
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/internal/crashfs"
)

// Outage is how a device's disk fails at a commit; the zero value does not.
type Outage struct {
	Kind OutageKind
	// At is how many changes of the disk go well before. Where the commit makes
	// fewer, the power goes right after it, and the other kinds do nothing.
	At int
	// Left is what of the changes that were not synced survives.
	Left crashfs.Survival
}

// OutageKind is a way for a disk to fail.
type OutageKind uint8

// The ways. After each of them the device starts anew.
const (
	NoOutage  OutageKind = iota
	NoPower              // the machine goes down
	DiskFull             // half of a write, then no room
	SyncFails            // and the machine goes down
)

// disk is a device's real vault, on a folder in memory that fails on demand.
type disk struct {
	fs      *crashfs.Disk
	section *vault.Section
	key     capsule.RowKey
	share   capsule.Share
}

// Vault gives a device a real vault on a disk of its own, which has what its
// records are, and takes each of its commits from now on. [World.Power] says when
// the disk fails.
func (d *Device) Vault() {
	d.W.T.Helper()
	key, err := capsule.NewRowKey(d.W.rand)
	must(d.W, 0, err)
	share, err := capsule.NewShare(d.W.rand)
	must(d.W, 0, err)
	x := &disk{fs: crashfs.New(), key: key, share: share}
	x.section, err = must(d.W, x.open(d), nil).Create(key, share)
	must(d.W, 0, err)
	var all vault.Batch
	for name, v := range d.State.Range("") {
		all = append(all, vault.Write{Name: name, Value: v})
	}
	must(d.W, 0, x.section.Commit(all))
	d.disk = x
}

func (x *disk) open(d *Device) *vault.Vault {
	v, err := vault.Open("/home", vault.Options{FS: x.fs, Rand: d.W.rand})
	return must(d.W, v, err)
}

// commit makes a batch durable, or fails so that the device has to start anew.
// What it then finds on its disk is all of the batch or nothing of it; all, if
// the commit said so.
func (d *Device) commit(b client.Batch) error {
	if d.disk == nil {
		d.State.Commit(b)
		return nil
	}
	var o Outage
	if d.W.Power != nil && len(b) > 0 {
		o = d.W.Power(d)
	}
	before := d.State
	if o.Kind != NoOutage {
		before = before.Clone()
	}
	d.disk.fail(o)
	var writes vault.Batch
	for _, w := range b {
		writes = append(writes, vault.Write(w))
	}
	err := d.disk.section.Commit(writes)
	d.disk.fail(Outage{})
	if err != nil && o.Kind == NoOutage {
		d.W.T.Fatalf("world: %s: commit: %v", d.Name, err)
	}
	d.State.Commit(b) // the engine's own, which ends here if the disk failed
	after := d.State
	switch {
	case err == nil && o.Kind != NoPower:
		return nil
	case o.Kind == DiskFull:
		o.Left = crashfs.Everything // the process ends, not the machine
	}
	d.replace(d.disk.fs.Restart(o.Left))
	switch {
	case d.State.Equal(after):
	case err != nil && d.State.Equal(before):
	default:
		d.W.T.Fatalf("world: %s: after %+v, and %v from the commit, the disk has neither what was before nor what is after", d.Name, o, err)
	}
	return ErrCrashed
}

// fail lets the disk fail from the step of o on, or not any more.
func (x *disk) fail(o Outage) {
	at := map[OutageKind]*int{NoPower: &x.fs.StopAt, DiskFull: &x.fs.FullAt, SyncFails: &x.fs.SyncFailsAt}
	for kind, p := range at {
		if *p = -1; kind == o.Kind {
			*p = x.fs.Steps() + o.At
		}
	}
}

// replace gives the device a folder, and reads its records from there.
func (d *Device) replace(fs *crashfs.Disk) {
	d.disk.fs = fs
	slot, err := d.disk.open(d).Find(d.disk.key)
	must(d.W, 0, err)
	d.disk.section, err = slot.Unlock(d.disk.share)
	must(d.W, 0, err)
	d.State = newState()
	for name, v := range d.disk.section.Range("") {
		d.State.Commit(client.Batch{{Name: name, Value: v}})
	}
}

// Rot flips a bit of a file in the folder of a device whose process has ended, as
// n says. It reports whether the folder still opens; if it does, it has what it
// had.
func (d *Device) Rot(n uint32) bool {
	names, err := d.disk.fs.ReadDir()
	name := must(d.W, names, err)[n%uint32(len(names))]
	b := d.disk.fs.Read(name)
	if len(b) == 0 {
		return true
	}
	b[n/8%uint32(len(b))] ^= 1 << (n % 8)
	d.disk.fs.Put(name, b)
	v, err := vault.Open("/home", vault.Options{FS: d.disk.fs, Rand: d.W.rand})
	if err != nil {
		return false
	}
	slot, err := v.Find(d.disk.key)
	if err != nil {
		return false
	}
	s, err := slot.Unlock(d.disk.share)
	if err != nil {
		return false
	}
	has := newState()
	for name, v := range s.Range("") {
		has.Commit(client.Batch{{Name: name, Value: v}})
	}
	if !has.Equal(d.State) {
		d.W.T.Fatalf("world: %s: with bit %d of %s flipped the folder opens, and has something else", d.Name, n, name)
	}
	d.disk.section = s
	return true
}

// Copy is a copy of a device's folder.
type Copy struct {
	state *State
	fs    *crashfs.Disk
}

// Copy copies the folder as it is.
func (d *Device) Copy() *Copy {
	c := &Copy{state: d.State.Clone()}
	if d.disk != nil {
		c.fs = d.disk.fs.Restart(crashfs.Everything)
	}
	return c
}

// PutBack puts a copy in the place of the folder of a device that does not run.
func (d *Device) PutBack(c *Copy) {
	d.State = c.state
	if c.fs != nil {
		d.replace(c.fs)
	}
}

// OnDisk are the contents of the files of the device's folder.
func (d *Device) OnDisk() (all [][]byte) {
	if d.disk == nil {
		return nil
	}
	names, err := d.disk.fs.ReadDir()
	for _, name := range must(d.W, names, err) {
		all = append(all, d.disk.fs.Read(name))
	}
	return all
}
