package recent

import (
	"math/rand/v2"
	"testing"
)

// Whatever is put, found and deleted: a value that is found is the one that was
// put last, what is kept is within the bound, and what is used all the time stays.
func TestMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const limit = 100
	m := Sized(limit, func(_ int, v int) int { return 1 + v%7 })
	last := map[int]int{}
	dropped := 0
	m.Put(-1, 0)
	last[-1] = 0
	for range 20_000 {
		k := r.IntN(60)
		switch r.IntN(4) {
		case 0:
			v := r.IntN(1000)
			m.Put(k, v)
			last[k] = v
		case 1:
			m.Delete(k)
			delete(last, k)
		default:
			had := m.Has(k)
			v, ok := m.Get(k)
			want, there := last[k]
			if ok != had || (ok && (!there || v != want)) {
				t.Fatalf("%d: %d %v, has %v; put %d %v", k, v, ok, had, want, there)
			}
			if !ok && there {
				dropped++
			}
		}
		if _, ok := m.Get(-1); !ok {
			t.Fatal("what is used all the time was dropped")
		}
		size := 0
		for k, v := range last {
			if m.Has(k) {
				size += 1 + v%7
			}
		}
		if size != m.Size() || size > limit {
			t.Fatalf("%d is kept, Size says %d, at most %d may be", size, m.Size(), limit)
		}
	}
	if dropped == 0 || m.Len() == 0 {
		t.Errorf("%d were dropped, %d are kept: the test shows nothing", dropped, m.Len())
	}
}

func TestNewKeepsHalfAtLeast(t *testing.T) {
	m := New[int, bool](10)
	for i := range 100 {
		m.Put(i, true)
		if m.Len() > 10 {
			t.Fatalf("%d are kept", m.Len())
		}
		for j := max(0, i-4); j <= i; j++ {
			if !m.Has(j) {
				t.Fatalf("after %d, %d is gone", i, j)
			}
		}
	}
}

// What happens to a clone does not happen to the other.
func TestClone(t *testing.T) {
	m := New[int, string](4)
	m.Put(1, "a")
	c := m.Clone()
	c.Put(1, "b")
	c.Put(2, "c")
	m.Delete(1)
	if m.Len() != 0 || c.Len() != 2 {
		t.Errorf("%d and %d", m.Len(), c.Len())
	}
	if v, _ := c.Get(1); v != "b" {
		t.Errorf("%q", v)
	}
}

// A value that alone is too large takes nothing else's place for long.
func TestTooLarge(t *testing.T) {
	m := Sized(10, func(int, int) int { return 50 })
	m.Put(1, 1)
	if v, ok := m.Get(1); !ok || v != 1 {
		t.Error("it is not kept at all")
	}
	m.Put(2, 2)
	m.Put(3, 3)
	if m.Has(1) || m.Len() != 2 {
		t.Errorf("%d are kept", m.Len())
	}
}

// A look by bytes finds what Get does, counts as use, copies nothing of what is
// kept, and keeps nothing of the bytes.
func TestLookup(t *testing.T) {
	m := New[string, int](4)
	k := []byte("key of some length that no small buffer on the stack would hold")
	m.Put(string(k), 1)
	if n := testing.AllocsPerRun(100, func() {
		if v, ok := Lookup(&m, k); !ok || v != 1 {
			t.Fatalf("%d %v", v, ok)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	m.Put("a", 2)
	m.Put("b", 3) // the first is among the old ones now
	if _, ok := Lookup(&m, k); !ok {
		t.Fatal("the old one is gone")
	}
	before := string(k)
	k[0] = 'K'
	if _, ok := Lookup(&m, k); ok {
		t.Error("other bytes are found")
	}
	m.Put("c", 4)
	m.Put("d", 5)
	if v, ok := m.Get(before); !ok || v != 1 {
		t.Error("what was looked up was not kept as used")
	}
}
