// Package recent keeps what was used lately, within a bound.
//
// A [Map] has two generations. What is put or found is in the young one; when that
// is full it becomes the old one, and what was old is dropped. So what is used
// stays, at the price of a second look, with no list to keep in order: it is as
// good as dropping what was used longest ago for tables that are asked about the
// same few things, and never starts anew.
package recent

import "maps"

// Map keeps values by key, those used lately. Make it with [New] or [Sized]; the
// zero value keeps what was put last and reckons each as 1. Not
// safe for concurrent use: a Get moves things, too.
type Map[K comparable, V any] struct {
	limit      int // of a generation
	size       func(K, V) int
	young, old map[K]sized[V]
	used       int // of young
}

type sized[V any] struct {
	value V
	size  int
}

// New keeps at most n, at least half of them and 1, of those used last.
func New[K comparable, V any](n int) Map[K, V] {
	return Sized[K, V](n, nil)
}

// Sized keeps what takes at most n in all, by what size says of it when it is put.
// What alone takes more than half of n is kept until something else is put.
func Sized[K comparable, V any](n int, size func(K, V) int) Map[K, V] {
	return Map[K, V]{limit: n / 2, size: size}
}

// Get is a value that is kept; it counts as used.
func (m *Map[K, V]) Get(k K) (v V, ok bool) {
	if e, ok := m.young[k]; ok {
		return e.value, true
	}
	e, ok := m.old[k]
	if ok {
		m.put(k, e)
	}
	return e.value, ok
}

// Lookup is [Map.Get] by bytes, which are not copied unless they have to be kept.
func Lookup[V any](m *Map[string, V], k []byte) (v V, ok bool) {
	if e, ok := m.young[string(k)]; ok {
		return e.value, true
	}
	e, ok := m.old[string(k)]
	if ok {
		m.put(string(k), e)
	}
	return e.value, ok
}

// Has tells whether a value is kept, without using it.
func (m *Map[K, V]) Has(k K) bool {
	_, young := m.young[k]
	_, old := m.old[k]
	return young || old
}

// Put keeps a value in the place of the one before.
func (m *Map[K, V]) Put(k K, v V) {
	e := sized[V]{v, 1}
	if m.size != nil {
		e.size = m.size(k, v)
	}
	m.put(k, e)
}

func (m *Map[K, V]) put(k K, e sized[V]) {
	m.Delete(k)
	if m.young == nil || m.used+e.size > m.limit {
		m.young, m.old, m.used = map[K]sized[V]{}, m.young, 0
	}
	m.young[k] = e
	m.used += e.size
}

// Delete forgets a value.
func (m *Map[K, V]) Delete(k K) {
	m.used -= m.young[k].size
	delete(m.young, k)
	delete(m.old, k)
}

// Len is how many are kept.
func (m *Map[K, V]) Len() int { return len(m.young) + len(m.old) }

// Size is what all that is kept takes.
func (m *Map[K, V]) Size() int {
	n := m.used
	for _, e := range m.old {
		n += e.size
	}
	return n
}

// Clone is a map of its own with the same values.
func (m *Map[K, V]) Clone() Map[K, V] {
	c := *m
	c.young, c.old = maps.Clone(m.young), maps.Clone(m.old)
	return c
}
