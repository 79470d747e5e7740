package world

import (
	"bytes"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/reseal/reseal/client"
)

// State is a section's records in memory; what is in it survives a crash.
type State struct {
	values map[string][]byte
	names  []string // sorted
	size   int
}

func newState() *State { return &State{values: map[string][]byte{}} }

// Get implements [client.State].
func (s *State) Get(name string) ([]byte, bool) {
	v, ok := s.values[name]
	return v, ok
}

// Range implements [client.State].
func (s *State) Range(prefix string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		from, _ := slices.BinarySearch(s.names, prefix)
		for _, name := range s.names[from:] {
			if !strings.HasPrefix(name, prefix) || !yield(name, s.values[name]) {
				return
			}
		}
	}
}

// Commit stores a batch, all of it.
func (s *State) Commit(b client.Batch) {
	names := slices.Clone(s.names) // a Range that is under way must not notice
	for _, w := range b {
		i, found := slices.BinarySearch(names, w.Name)
		switch {
		case w.Value == nil && found:
			names = slices.Delete(names, i, i+1)
			s.size -= len(w.Name) + len(s.values[w.Name])
			delete(s.values, w.Name)
		case w.Value == nil:
		default:
			if !found {
				names = slices.Insert(names, i, w.Name)
				s.size += len(w.Name)
			}
			s.size += len(w.Value) - len(s.values[w.Name])
			s.values[w.Name] = bytes.Clone(w.Value)
		}
	}
	s.names = names
}

// Names implements [client.State].
func (s *State) Names(prefix string) (names []string) {
	for name := range s.Range(prefix) {
		names = append(names, name)
	}
	return names
}

// Size implements [client.State].
func (s *State) Size() int { return s.size }

// Clone is a copy of everything: a cloned folder, or what a test compares with.
func (s *State) Clone() *State {
	// Values are never changed, so both may have the same.
	return &State{values: maps.Clone(s.values), names: slices.Clone(s.names), size: s.size}
}

// Equal tells whether two states hold the same records.
func (s *State) Equal(o *State) bool {
	if !slices.Equal(s.names, o.names) {
		return false
	}
	for name, v := range s.values {
		if !bytes.Equal(v, o.values[name]) {
			return false
		}
	}
	return true
}
