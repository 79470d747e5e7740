package opaque

import (
	"runtime/debug"
	"sync"
)

// stretching is held while Argon2id runs: its 64 MiB are most of what a client
// may have in memory (100 MiB), so there is room for them once.
var stretching sync.Mutex

// stretched calls f, in which Argon2id runs once, when no other does in this
// process, and gives its memory back to the system before the next may begin.
// Left to the collector's pace, three runs in a row took 240 MiB and kept them;
// what is given back is also nobody's to read any more.
func stretched(f func()) {
	stretching.Lock()
	defer stretching.Unlock()
	defer debug.FreeOSMemory()
	f()
}
