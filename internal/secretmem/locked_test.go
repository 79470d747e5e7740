package secretmem

import (
	"bytes"
	"sync"
	"testing"
)

func TestNewAndFree(t *testing.T) {
	b := bytes.Repeat([]byte{7}, 32)
	s := New(b)
	if !bytes.Equal(s, bytes.Repeat([]byte{7}, 32)) || len(s) != cap(s) {
		t.Fatalf("%x of %d", s, cap(s))
	}
	if !bytes.Equal(b, make([]byte, 32)) {
		t.Error("a copy is left with the caller")
	}
	Free(s)
	if !bytes.Equal(s, make([]byte, 32)) {
		t.Error("what was given back can be read")
	}
	Free(nil)
	for _, n := range []int{0, 1, slot, slot + 1, pageSize, pageSize + 1} {
		s := New(bytes.Repeat([]byte{9}, n))
		if len(s) != n {
			t.Errorf("%d of %d bytes", len(s), n)
		}
		Free(s)
	}
}

// Secrets of many sizes, taken and given back at the same time, never overlap,
// and beyond what may be locked there still is memory.
func TestSecretsDoNotOverlap(t *testing.T) {
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			var held [][]byte
			for i := range 600 {
				n := 1 + (i*37+g*11)%300
				held = append(held, New(bytes.Repeat([]byte{byte(g + 1)}, n)))
				if i%3 == 0 {
					Free(held[0])
					held = held[1:]
				}
			}
			for _, s := range held {
				if !bytes.Equal(s, bytes.Repeat([]byte{byte(g + 1)}, len(s))) {
					t.Errorf("goroutine %d has another's bytes", g)
				}
				Free(s)
			}
		})
	}
	all.Wait()
	arena.mu.Lock()
	defer arena.mu.Unlock()
	for i, p := range arena.pages {
		if p.taken != 0 {
			t.Errorf("page %d: %b is taken for ever", i, p.taken)
		}
	}
	if len(arena.pages) > maxPages {
		t.Errorf("%d pages", len(arena.pages))
	}
}
