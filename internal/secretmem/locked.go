package secretmem

import (
	"math/bits"
	"os"
	"sync"
	"unsafe"
)

// Kind is how well the memory of New is kept.
type Kind string

// The kinds of memory, best first.
const (
	// Secret: no other process reads it, the kernel neither, it is never swapped
	// out, and in no core file (memfd_secret of Linux).
	Secret Kind = "secret"
	// Locked: it is not swapped out, and in no core file where the system can
	// leave it out.
	Locked Kind = "locked"
	// Plain: the system refused both.
	Plain Kind = "plain"
)

// slot is what New hands out, or several in a row; slots is how many one page
// has. Limits on locked memory are small (64 KiB at some), secrets as well.
const (
	slot     = 64
	pageSize = 4 << 10
	slots    = pageSize / slot
	// maxPages bounds what is locked: 2,048 secrets of 32 bytes. What comes
	// beyond is plain.
	maxPages = 32
)

// page is one page of memory of a kind. taken has a bit for each slot.
type page struct {
	memory []byte
	kind   Kind
	taken  uint64
}

// arena is the process's. Its pages are never given back: who holds a slice too
// long reads zeros or another secret of ours, and does not crash.
var arena struct {
	mu    sync.Mutex
	pages []*page
	worst Kind // of what was handed out, "" for none
}

// New moves a secret into memory that is kept from swap and core files as far as
// the system lets us, and clears b. Free gives it back. It never fails: what the
// system refuses to lock is plain memory.
func New(b []byte) []byte {
	arena.mu.Lock()
	defer arena.mu.Unlock()
	s, kind := take(len(b))
	copy(s, b)
	clear(b)
	if arena.worst == "" || rank(kind) > rank(arena.worst) {
		arena.worst = kind
	}
	return s
}

// Free clears memory of New and takes it back. It must not be used any more.
func Free(b []byte) {
	if len(b) == 0 {
		return
	}
	arena.mu.Lock()
	defer arena.mu.Unlock()
	clear(b)
	for _, p := range arena.pages {
		at := uintptr(unsafe.Pointer(unsafe.SliceData(b))) - uintptr(unsafe.Pointer(unsafe.SliceData(p.memory)))
		if at < pageSize {
			p.taken &^= mask(len(b)) << (at / slot)
			return
		}
	}
}

// Worst is the kind that secrets are kept in, the worst where there are several.
func Worst() Kind {
	arena.mu.Lock()
	worst := arena.worst
	arena.mu.Unlock()
	if worst != "" {
		return worst
	}
	Free(New(make([]byte, 1)))
	return Worst()
}

func rank(k Kind) int { return map[Kind]int{Secret: 0, Locked: 1, Plain: 2}[k] }

// mask has a bit for each slot that n bytes take.
func mask(n int) uint64 { return ^uint64(0) >> (64 - (n+slot-1)/slot) }

// take finds room for n bytes. The caller holds arena.mu.
func take(n int) ([]byte, Kind) {
	if n == 0 || n > pageSize {
		return make([]byte, n), Plain
	}
	m := mask(n)
	for _, p := range arena.pages {
		for at := 0; at <= slots-bits.OnesCount64(m); at++ {
			if p.taken&(m<<at) == 0 {
				p.taken |= m << at
				return p.memory[at*slot : at*slot+n : at*slot+n], p.kind
			}
		}
	}
	if len(arena.pages) == maxPages || os.Getpagesize()%pageSize != 0 {
		return make([]byte, n), Plain
	}
	memory, kind, err := newPage()
	if err != nil {
		return make([]byte, n), Plain
	}
	arena.pages = append(arena.pages, &page{memory: memory, kind: kind, taken: m})
	return memory[:n:n], kind
}
