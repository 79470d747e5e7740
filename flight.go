package reseal

import "sync"

// flights are the effects that are under way, by their key. An effect that
// comes out again is the same one and is not started twice; but where the one
// under way ends without an answer, because its connection was lost, it is
// started again for whoever wanted it meanwhile. Otherwise a call that gives up
// just after the next connection has asked for it would wait for the one after
// that. The zero value is ready for use, by many goroutines.
type flights struct {
	wg sync.WaitGroup

	mu      sync.Mutex
	byKey   map[string]*flight
	running int
	over    bool
}

// flight is one effect under way. Its address is what tells it from the next
// one with its key.
type flight struct {
	again func(answered func()) // what was wanted since it began, nil for nothing
}

// begin runs f in a goroutine of its own, unless something with its key is
// under way. f calls answered once nothing is left to be done: from then on the
// key is free, and what was wanted meanwhile has been done.
func (fs *flights) begin(key string, f func(answered func())) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.over {
		return
	}
	if under := fs.byKey[key]; under != nil {
		under.again = f
		return
	}
	fs.launch(key, f)
}

// launch is called with the lock held.
func (fs *flights) launch(key string, f func(answered func())) {
	if fs.byKey == nil {
		fs.byKey = map[string]*flight{}
	}
	me := new(flight)
	fs.byKey[key] = me
	fs.running++
	fs.wg.Go(func() {
		f(func() {
			fs.mu.Lock()
			defer fs.mu.Unlock()
			fs.free(key, me)
		})
		fs.mu.Lock()
		defer fs.mu.Unlock()
		fs.running--
		if fs.free(key, me) && me.again != nil && !fs.over {
			fs.launch(key, me.again)
		}
	})
}

// free frees the key, if it is still this flight's. It is called with the lock
// held.
func (fs *flights) free(key string, me *flight) bool {
	if fs.byKey[key] != me {
		return false
	}
	delete(fs.byKey, key)
	return true
}

// quiet reports whether nothing is under way, what follows from an answer
// included.
func (fs *flights) quiet() bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.running == 0
}

// end lets nothing begin any more, and waits for what is under way.
func (fs *flights) end() {
	fs.mu.Lock()
	fs.over = true
	fs.mu.Unlock()
	fs.wg.Wait()
}
