package vault_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/internal/crashfs"
)

// steps is how many crash points the story has.
func steps(t *testing.T) int {
	t.Helper()
	w := newWorld(crashfs.New(), "alice", "bob")
	must(t, w.story())
	return w.disk.Steps()
}

// untilPower tells the story until the power goes. In the last steps files are
// removed that nothing needs: then the story ends well.
func (w *world) untilPower(t *testing.T) {
	t.Helper()
	if err := w.story(); err != nil {
		wantErr(t, err, crashfs.ErrPower)
	}
}

// recover is what a restart does; it may itself lose power.
func (w *world) recover() error {
	return first(w.openVault, w.check, w.goOn)
}

// leftovers are files that no crash may leave behind for good.
func leftovers(d *crashfs.Disk) error {
	names, _ := d.ReadDir()
	journals := 0
	for _, n := range names {
		if strings.HasSuffix(n, ".new") {
			return fmt.Errorf("%s is left over", n)
		}
		if strings.HasPrefix(n, "journal-") {
			journals++
		}
	}
	if journals > 2 {
		return fmt.Errorf("%d journals for two sections", journals)
	}
	return nil
}

// TestCrash loses power at every step of the story, in every way that a disk
// can come back.
func TestCrash(t *testing.T) {
	for k := range steps(t) {
		disk := crashfs.New()
		disk.StopAt = k
		w := newWorld(disk, "alice", "bob")
		w.untilPower(t)
		for _, s := range crashfs.Survivals {
			r := w.on(disk.Restart(s), 2)
			if err := r.recover(); err != nil {
				t.Fatalf("crash at step %d, survival %d: %v", k, s, err)
			}
			// What is there now is durable: it must survive the worst.
			r = r.on(r.disk.Restart(crashfs.Synced), 3)
			if err := first(r.openVault, r.check, func() error { return leftovers(r.disk) }); err != nil {
				t.Fatalf("crash at step %d, survival %d, second start: %v", k, s, err)
			}
		}
	}
}

// TestDoubleCrash loses power at every step of the replacement of a share, and
// at some of what goes before and comes after it, and again at every step of the
// recovery.
func TestDoubleCrash(t *testing.T) {
	whole := newWorld(crashfs.New(), "alice", "bob")
	must(t, whole.story())
	from, to := whole.replaced[0], whole.replaced[1]
	if to-from < 5 {
		t.Fatalf("a share is replaced in %d steps", to-from)
	}
	const stride = 11
	ways := [][2]crashfs.Survival{{crashfs.Synced, crashfs.Synced}, {crashfs.Half, crashfs.Sectors}, {crashfs.Everything, crashfs.Zeros}}
	for k := range whole.disk.Steps() {
		if (k < from || k > to) && k%stride != 0 {
			continue
		}
		disk := crashfs.New()
		disk.StopAt = k
		w := newWorld(disk, "alice", "bob")
		w.untilPower(t)
		way := ways[k%len(ways)]
		for j := 0; ; j++ {
			r := w.on(disk.Restart(way[0]), 2)
			r.disk.StopAt = j
			err := r.recover()
			if err == nil {
				break
			}
			if !r.disk.Dead() {
				t.Fatalf("crash at %d: %v", k, err)
			}
			r2 := r.on(r.disk.Restart(way[1]), 3)
			if err := r2.recover(); err != nil {
				t.Fatalf("crash at %d (%d), again at %d (%d): %v", k, way[0], j, way[1], err)
			}
		}
	}
}

// TestFull has no more room from every step on: the call says so, what was
// promised is intact, and once there is room again the same process goes on.
func TestFull(t *testing.T) {
	for k := range steps(t) {
		disk := crashfs.New()
		disk.FullAt = k
		w := newWorld(disk, "alice", "bob")
		err := w.story()
		if err == nil {
			continue // only syncs and removals were left
		}
		if !errors.Is(err, vault.ErrFull) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("full at step %d: %v", k, err)
		}
		disk.FullAt = -1
		for _, a := range w.users {
			a.inFlight = nil // ErrFull promises that nothing was stored
			if a.created && a.section != nil {
				if err := a.commit("room=again"); err != nil && !errors.Is(err, vault.ErrLocked) {
					t.Fatalf("full at step %d, %s: %v", k, a.name, err)
				}
				a.inFlight = nil
			}
		}
		r := w.on(disk.Restart(crashfs.Synced), 2)
		if err := r.recover(); err != nil {
			t.Fatalf("full at step %d: %v", k, err)
		}
	}
}

// TestSyncFails has every sync fail from some step on. What is promised after
// the disk works again must hold, whatever a power loss keeps.
func TestSyncFails(t *testing.T) {
	for k := range steps(t) {
		disk := crashfs.New()
		disk.SyncFailsAt = k
		w := newWorld(disk, "alice", "bob")
		if err := w.story(); err == nil {
			continue
		}
		disk.SyncFailsAt = -1
		for _, a := range w.users {
			if a.section == nil {
				continue
			}
			before := a.inFlight
			if err := a.commit("works=again"); err != nil {
				if !errors.Is(err, vault.ErrLocked) {
					t.Fatalf("sync failed at step %d, %s: %v", k, a.name, err)
				}
				a.inFlight = before
			}
		}
		for _, s := range crashfs.Survivals {
			r := w.on(disk.Restart(s), 2)
			if err := r.recover(); err != nil {
				t.Fatalf("sync failed at step %d, survival %d: %v", k, s, err)
			}
		}
	}
}
