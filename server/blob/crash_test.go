package blob_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/reseal/reseal/server/blob"
)

// everyCrash runs op again and again, each time with the power failing one
// change later, until it gets through. check runs after each restart.
func everyCrash(t *testing.T, setup func(*world), op func(*world) error, check func(t *testing.T, w *world, err error)) {
	t.Helper()
	for _, lost := range []bool{true, false} {
		for _, after := range []bool{true, false} {
			for n := 0; ; n++ {
				finished := false
				t.Run(fmt.Sprintf("lost=%v/after=%v/step=%d", lost, after, n), func(t *testing.T) {
					w := newWorld(t)
					setup(w)
					w.cutAt(n, after)
					err := op(w)
					finished = err == nil && !w.store.dead()
					w.restart(lost)
					w.owned(false)
					check(t, w, err)
					w.owned(false)
				})
				if finished || t.Failed() {
					if n < 3 {
						t.Fatalf("only %d steps", n)
					}
					break
				}
			}
		}
	}
}

func TestCrashInUploadIsRepeated(t *testing.T) {
	c := newContent(1, 1000)
	everyCrash(t, func(*world) {}, func(w *world) error { return w.upload(c) }, func(t *testing.T, w *world, err error) {
		if err == nil { // acknowledged, so it is there without help
			w.readable(c)
		}
		w.mustUpload(c)
		w.readable(c)
		if err := w.refer(c, 1, 200*time.Hour); err != nil {
			t.Fatal(err)
		}
		w.settle()
		w.readable(c)
	})
}

func TestCrashInUploadIsCleanedUp(t *testing.T) {
	c := newContent(2, 1000)
	everyCrash(t, func(*world) {}, func(w *world) error { return w.upload(c) }, func(t *testing.T, w *world, _ error) {
		w.settle()
		w.empty()
		// The id is free again.
		w.mustUpload(c)
		w.readable(c)
	})
}

func TestCrashInCollectIsFinished(t *testing.T) {
	c := newContent(3, 1000)
	drop := func(w *world) error {
		if err := w.svc.DropReference(ctx, c.id, alice, msg(1)); err != nil {
			return err
		}
		return w.svc.Sweep(ctx)
	}
	setup := func(w *world) {
		w.mustUpload(c)
		if err := w.refer(c, 1, 100*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	everyCrash(t, setup, drop, func(t *testing.T, w *world, _ error) {
		if err := drop(w); err != nil { // the caller had no answer
			t.Fatal(err)
		}
		if left := w.disk.Files(); len(left) > 0 {
			t.Fatalf("left: %v", left)
		}
		if err := w.refer(c, 2, time.Hour); !errors.Is(err, blob.ErrNotFound) {
			t.Fatalf("reference to a collected blob: %v", err)
		}
		w.pass(110 * time.Hour)
		w.sweep()
		w.empty()
	})
}

func TestCrashInCollectKeepsWhatIsReferredTo(t *testing.T) {
	c := newContent(4, 1000)
	setup := func(w *world) {
		w.mustUpload(c)
		for n := range byte(2) {
			if err := w.refer(c, n, 100*time.Hour); err != nil {
				t.Fatal(err)
			}
		}
	}
	drop := func(w *world) error {
		if err := w.svc.DropReference(ctx, c.id, alice, msg(1)); err != nil {
			return err
		}
		return w.svc.Sweep(ctx)
	}
	everyCrash(t, setup, drop, func(t *testing.T, w *world, _ error) {
		w.readable(c)
		if err := w.refer(c, 3, 100*time.Hour); err != nil {
			t.Fatal(err)
		}
		w.settle()
		w.readable(c)
		w.settle()
		w.empty()
	})
}

func TestCrashInSweepIsFinished(t *testing.T) {
	c, d := newContent(6, 1000), newContent(7, 1000)
	setup := func(w *world) {
		w.mustUpload(c)
		if err := errors.Join(w.create(d), w.put(d)); err != nil { // never completed
			t.Fatal(err)
		}
		w.pass(25 * time.Hour)
	}
	sweep := func(w *world) error { return errors.Join(w.svc.Sweep(ctx), ctx.Err()) }
	everyCrash(t, setup, sweep, func(t *testing.T, w *world, _ error) {
		w.sweep()
		w.empty() // at the next start, without waiting for anything else
	})
}

func TestMultipartSurvivesPowerLoss(t *testing.T) {
	w := newWorld(t)
	c := newContent(5, 8<<20+4321)
	w.mustUpload(c)
	w.disk.Cut()
	w.restart(true)
	w.readable(c)
}
