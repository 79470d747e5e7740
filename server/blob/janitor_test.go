package blob_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/reseal/reseal/api/blobs"
	"github.com/reseal/reseal/server/blob"
	"github.com/reseal/reseal/server/blob/folder"
	"github.com/reseal/reseal/store"
)

// left is how many files there are.
func (w *world) left() int { return len(w.disk.Files()) }

func TestUnreferencedIsCollectedAfterTheGrace(t *testing.T) {
	w := newWorld(t)
	c := newContent(1, 500)
	w.mustUpload(c)
	w.pass(blob.Grace - time.Minute)
	w.sweep()
	w.readable(c)
	w.pass(2 * time.Minute)
	w.sweep()
	if w.left() != 0 {
		t.Fatalf("left: %v", w.disk.Files())
	}
	w.settle()
	w.empty()
}

func TestReferenceKeepsUntilItsExpiry(t *testing.T) {
	w := newWorld(t)
	c := newContent(1, 500)
	w.mustUpload(c)
	for n, life := range []time.Duration{50 * time.Hour, 100 * time.Hour} {
		for range 2 { // a repeated send
			if err := w.refer(c, byte(n), life); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 99 {
		w.pass(time.Hour)
		w.sweep()
		w.readable(c)
	}
	w.pass(2 * time.Hour)
	w.sweep()
	w.empty()
	if err := w.refer(c, 7, time.Hour); !errors.Is(err, blob.ErrNotFound) {
		t.Fatal(err)
	}
	if err := w.refer(newContent(2, 5), 7, time.Hour); !errors.Is(err, blob.ErrNotFound) {
		t.Fatal(err)
	}
}

func TestReferenceNeedsTheCapability(t *testing.T) {
	w := newWorld(t)
	c := newContent(1, 500)
	w.mustUpload(c)
	w.pass(time.Second)
	if err := w.refer(c, 1, -time.Hour); !errors.Is(err, blob.ErrMalformed) {
		t.Fatal(err)
	}
	refs := blob.References{Service: w.svc}
	if err := refs.AddReference(ctx, c.id, [32]byte{1}, bob, msg(1), 1<<50); err == nil {
		t.Fatal("a reference without the capability")
	}
	w.settle()
	w.empty()
}

// A message that ends takes its blob along at once; the same id may have a
// second life, which reminders of the first leave alone.
func TestSecondLife(t *testing.T) {
	w := newWorld(t)
	c := newContent(1, 500)
	w.mustUpload(c)
	if err := w.refer(c, 1, 30*time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.DropReference(ctx, c.id, alice, msg(1)); err != nil {
		t.Fatal(err)
	}
	w.sweep()
	if w.left() != 0 {
		t.Fatalf("left: %v", w.disk.Files())
	}
	w.pass(22 * time.Hour)
	w.mustUpload(c)
	w.pass(10 * time.Hour) // past the grace and expiry of the first life
	w.sweep()
	w.readable(c)
	w.settle()
	w.empty()
}

func TestRunCollectsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.svc.Tick = time.Hour
	run, cancel := context.WithCancelCause(ctx)
	stop := errors.New("stop")
	ended := make(chan error)
	go func() { ended <- w.svc.Run(run) }()
	c := newContent(1, 500)
	w.mustUpload(c)
	if err := w.refer(c, 1, 30*time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.DropReference(ctx, c.id, alice, msg(1)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); w.left() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not collected")
		}
	}
	cancel(stop)
	if err := <-ended; !errors.Is(err, stop) {
		t.Fatal(err)
	}
}

// The mark follows the clock, so that sweeps stay short, and survives a clock
// that was wrong and a server that was away.
func TestMark(t *testing.T) {
	w := newWorld(t)
	w.pass(5000 * time.Hour)
	w.sweep()
	before := w.mem.Examined()
	w.sweep()
	if n := w.mem.Examined() - before; n > 10 {
		t.Fatalf("a sweep of nothing read %d rows", n)
	}
	w.pass(-4990 * time.Hour) // the clock was wrong
	c, d := newContent(1, 500), newContent(2, 500)
	w.mustUpload(c)
	w.settle()
	w.empty()
	w.mustUpload(d)
	if err := w.refer(d, 1, 200*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	w.sweep() // and after this one a reminder for the present hour
	if err := w.svc.DropReference(ctx, d.id, alice, msg(1)); err != nil {
		t.Fatal(err)
	}
	w.restart(true) // and now nobody sweeps for months
	w.pass(100 * 24 * time.Hour)
	w.sweep()
	if w.left() != 0 {
		t.Fatalf("left: %v", w.disk.Files())
	}
	w.pass(101 * 24 * time.Hour)
	w.sweep()
	w.empty()
}

func TestOneBadBlobDoesNotKeepTheOthers(t *testing.T) {
	w := newWorld(t)
	c, d := newContent(1, 500), newContent(2, 500)
	w.mustUpload(c)
	w.mustUpload(d)
	w.pass(25 * time.Hour)
	stuck := ""
	w.disk.SetBefore(func(_ int, op, path string) error {
		if op == "rename" && (stuck == "" || stuck == path) {
			stuck = path
			return io.ErrClosedPipe
		}
		return nil
	})
	w.sweep()
	if w.left() != 2 {
		t.Fatalf("left: %v", w.disk.Files())
	}
	w.disk.SetBefore(nil)
	w.settle()
	w.empty()
}

func TestNodesShareTheWork(t *testing.T) {
	w := newWorld(t)
	dir, err := folder.Open("/data/blobs", folder.Options{FS: w.disk})
	if err != nil {
		t.Fatal(err)
	}
	other := w.node(dir, w.store, func() time.Time { return w.clock().Add(time.Second) })
	c := newContent(1, 500)
	w.mustUpload(c)
	if err := w.refer(c, 1, 200*time.Hour); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		w.pass(25 * time.Hour)
		if err := errors.Join(w.svc.Sweep(ctx), other.Sweep(ctx)); err != nil {
			t.Fatal(err)
		}
		w.readable(c)
	}
}

// A commit that hangs past its hour, while a janitor is through with that hour,
// must not leave its reminder where nobody reads any more.
func TestReminderThatComesLate(t *testing.T) {
	w := newWorld(t)
	c := newContent(1, 500)
	w.mustUpload(c)
	if err := w.refer(c, 1, 300*time.Hour); err != nil {
		t.Fatal(err)
	}
	commits := 0
	w.store.at = func() (bool, bool) {
		if commits++; commits == 2 { // the first deletes the reference
			w.store.reset()
			w.pass(5 * time.Hour)
			w.sweep()
		}
		return false, false
	}
	if err := w.svc.DropReference(ctx, c.id, alice, msg(1)); err != nil {
		t.Fatal(err)
	}
	w.sweep()
	if w.left() != 0 {
		t.Fatalf("left: %v", w.disk.Files())
	}
}

// A doomed blob is as good as gone, even while its bytes cannot be deleted.
func TestDoomed(t *testing.T) {
	w := newWorld(t)
	c := newContent(1, 500)
	w.mustUpload(c)
	w.pass(25 * time.Hour)
	w.disk.SetBefore(func(_ int, op, _ string) error {
		if op == "rename" {
			return io.ErrClosedPipe
		}
		return nil
	})
	w.sweep()
	if w.left() != 2 {
		t.Fatalf("left: %v", w.disk.Files())
	}
	if rec := w.get(c, blobs.ContentPath(c.id), nil); rec.Code != 404 {
		t.Errorf("read: %d", rec.Code)
	}
	if _, err := w.svc.Status(ctx, alice, c.id); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("status: %v", err)
	}
	if st, err := w.svc.Complete(ctx, alice, c.id); err == nil {
		t.Errorf("complete: %+v", st)
	}
	if err := w.refer(c, 1, 100*time.Hour); err == nil {
		t.Error("reference to a doomed blob")
	}
	w.disk.SetBefore(nil)
	w.mustUpload(c)
	if err := w.refer(c, 1, 100*time.Hour); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.readable(c)
}

// unreadable is a store in which whatever a janitor ranges over is damaged.
type unreadable struct{ store.Store }

func (unreadable) Range(context.Context, store.Partition, store.Key, store.Key, int, bool) ([]store.Record, error) {
	return nil, fmt.Errorf("%w: 000012.sst", store.ErrDamaged)
}

// A store that cannot be read is one error of a sweep, and not one for each of
// the parts that it looks at.
func TestSweepOfUnreadableStore(t *testing.T) {
	w := newWorld(t)
	dir, err := folder.Open("/data/blobs", folder.Options{FS: w.disk})
	if err != nil {
		t.Fatal(err)
	}
	err = w.node(dir, unreadable{w.store}, w.clock).Sweep(ctx)
	if !errors.Is(err, store.ErrDamaged) || strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), "000012") != 1 {
		t.Errorf("got %v", err)
	}
}
