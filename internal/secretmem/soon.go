package secretmem

import (
	"sync"
	"time"
)

// settle is how long Soon waits for goroutines that are about to end, and again
// is when it scrubs once more, for those that took longer.
const (
	settle = 300 * time.Millisecond
	again  = 2 * time.Second
)

var pending struct {
	sync.Mutex
	timers [2]*time.Timer
}

// Soon scrubs when what a logout has ended is over: in a third of a second, and
// once more after two. Logouts that follow each other share a scrub. It returns at
// once.
func Soon() {
	pending.Lock()
	defer pending.Unlock()
	for i, after := range []time.Duration{settle, again} {
		if pending.timers[i] == nil {
			pending.timers[i] = time.AfterFunc(after, Scrub)
		} else {
			pending.timers[i].Reset(after)
		}
	}
}
