package secretmem

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// scrubbing keeps scrubs apart: each turns the collector's pace off for a while.
var scrubbing sync.Mutex

// rounds is how often free room is filled. Between rounds the collector takes back the
// spans that other processors keep for themselves.
const rounds = 2

// Scrub overwrites what garbage has left in the heap and in the stacks of
// goroutines that ended: Go frees memory without clearing it, and a key that
// some library copied stays readable until something else happens to take its
// place. So Scrub collects, takes all the free room that there is in spans in
// use, which clears it, and gives everything else back to the system.
//
// It takes some tenths of a second and up to about 100 MiB for that time,
// and is meant for the moment after a logout. What is still referenced, or is
// used by goroutines that run meanwhile, is not touched.
func Scrub() {
	clearStack() // the caller's: wiping is handling, too
	scrubbing.Lock()
	defer scrubbing.Unlock()
	pace := debug.SetGCPercent(-1)
	defer debug.SetGCPercent(pace)
	// Twice, since a pool keeps what it has over one collection.
	runtime.GC()
	debug.FreeOSMemory()
	var f fill
	for range rounds {
		runtime.GC()
		// In a goroutine of its own: what it took must not be held by a stack.
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.heap()
		}()
		<-done
	}
	clearStacks()
	runtime.KeepAlive(&f)
	f = fill{}
	debug.FreeOSMemory()
}

// fill holds what was taken.
type fill struct {
	bytes    [][]byte
	pointers [][]*byte
}

// above are the sizes of small objects that runtime.MemStats does not list.
var above = []uint32{20480, 21760, 24576, 27264, 28672, 32768}

// heap takes the free places of every size of object, of those with pointers
// and those without.
func (f *fill) heap() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	sizes := slices.Clone(above)
	for _, c := range m.BySize {
		sizes = append(sizes, c.Size)
	}
	slices.Sort(sizes)
	for _, size := range slices.Compact(sizes) {
		if size < 16 {
			continue // less than any key
		}
		until(int(size), func() { f.bytes = append(f.bytes, make([]byte, size)) })
		n := int(size) / 8
		if size > 512 {
			n-- // the runtime puts a word before these
		}
		until(int(size), func() { f.pointers = append(f.pointers, make([]*byte, n)) })
	}
}

// fresh is how many batches in a row must have come from new memory before the
// old is taken for full, and batch the least size of one, in bytes: some spans.
const (
	fresh = 2
	batch = 32 << 10
)

// until takes objects of a size until they all come from new memory.
func until(size int, take func()) {
	n := max(batch/size, 8)
	for news, tries := 0, 0; news < fresh && tries < 1<<12; tries++ {
		before := heapInUse()
		for range n {
			take()
		}
		if heapInUse() >= before+uint64(n*size)/2 {
			news++
		} else {
			news = 0
		}
	}
}

func heapInUse() uint64 {
	s := [2]metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	metrics.Read(s[:])
	return s[0].Value.Uint64() + s[1].Value.Uint64()
}

// freeStacks is more than the free stacks that the runtime keeps, as a rule.
func freeStacks() int {
	s := [1]metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s[:])
	// A processor keeps up to 64 stacks of goroutines that ended.
	least := 64 * uint64(runtime.GOMAXPROCS(0))
	return int(min(max(s[0].Value.Uint64()/leastStack, least), 1024))
}

const (
	leastStack = 2 << 10
	mostStack  = 16 << 10 // larger ones go back to the heap at a collection
)

// clearStacks takes the free stacks of each size that the runtime keeps, and
// clears them. A processor keeps some of each for itself, of which it hands out
// those that it got last: so they are taken twice, with a collection before,
// which makes the processors give them back.
func clearStacks() {
	var all sync.WaitGroup
	end := make(chan struct{})
	for size := leastStack; size <= mostStack; size *= 2 {
		for _, n := range []int{freeStacks(), 64 * runtime.GOMAXPROCS(0)} {
			runtime.GC()
			var turn sync.WaitGroup
			turn.Add(n)
			onAll(func(first, step int) {
				for i := first; i < n; i += step {
					all.Go(func() {
						if size > leastStack {
							deepen(size / 2)
						}
						clearStack()
						turn.Done()
						<-end
					})
				}
			})
			turn.Wait()
		}
	}
	close(end)
	all.Wait()
}

// onAll runs f on each processor of the runtime, as far as that can be had from
// outside: each keeps goroutines that ended, with their stacks, and only what it
// starts itself takes them again.
func onAll(f func(first, step int)) {
	n := runtime.GOMAXPROCS(0)
	var there atomic.Int32
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			there.Add(1)
			// Who spins keeps his processor from the others.
			for end := time.Now().Add(5 * time.Millisecond); int(there.Load()) < n && time.Now().Before(end); {
				continue
			}
			f(i, n)
		})
	}
	all.Wait()
}

// deepen uses n bytes of the stack and some.
//
//go:noinline
func deepen(n int) byte {
	var b [256]byte
	clear(b[:])
	if n > len(b) {
		return b[n%256] + deepen(n-len(b))
	}
	return b[0]
}
