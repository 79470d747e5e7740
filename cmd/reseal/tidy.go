package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// When a server gives memory back.
const (
	// tidyEvery is how often it looks whether it is quiet.
	tidyEvery = 3 * time.Second
	// quietBytes is how much a quiet server allocates in that time at most: a few
	// calls.
	quietBytes = 1 << 20
	// worthBytes is how much must have been allocated since the last time.
	worthBytes = 8 << 20
)

// tidy gives memory back to the system when a server has become quiet, until ctx
// ends. The collector runs when as much again was allocated as is in use, which
// after a rush of clients who connect and then are silent may be never.
func tidy(ctx context.Context) {
	t := tidier{allocated: allocated, free: debug.FreeOSMemory}
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.look()
		}
	}
}

// allocated is how many bytes the process has allocated since it began.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0 // a runtime that does not count them: nothing is ever worth it
	}
	return s[0].Value.Uint64()
}

// tidier decides. Not safe for concurrent use.
type tidier struct {
	allocated   func() uint64
	free        func()
	last, freed uint64 // at the last look, after the last time
}

func (t *tidier) look() {
	now := t.allocated()
	quiet := now-t.last < quietBytes
	if t.last = now; !quiet || now-t.freed < worthBytes {
		return
	}
	t.free()
	t.last = t.allocated()
	t.freed = t.last
}
