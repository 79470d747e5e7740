package vault

import (
	"encoding/binary"
	"iter"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

// Write is one record of a batch: Value nil deletes it, an empty one that is
// not nil stores an empty record.
type Write struct {
	// Name is 1 to MaxName bytes.
	Name string
	// Value is at most MaxValue bytes.
	Value []byte
}

// Batch is stored as a whole or not at all. A later write of the same name
// wins.
type Batch []Write

const (
	recordsSize = 4     // count
	recordSize  = 2 + 4 // lengths of name and value
)

// records is the content of a section: names in order, values by name. Values
// are never changed in place.
type records struct {
	names  []string
	values map[string][]byte
	size   int // of the encoding
}

func newRecords() *records { return &records{values: map[string][]byte{}, size: recordsSize} }

func (r *records) put(name string, value []byte) {
	old, ok := r.values[name]
	if !ok {
		i, _ := slices.BinarySearch(r.names, name)
		r.names = slices.Insert(r.names, i, name)
		r.size += recordSize + len(name)
	}
	clear(old)
	r.size += len(value) - len(old)
	r.values[name] = slices.Clone(value)
}

func (r *records) delete(name string) {
	old, ok := r.values[name]
	if !ok {
		return
	}
	i, _ := slices.BinarySearch(r.names, name)
	r.names = slices.Delete(r.names, i, i+1)
	r.size -= recordSize + len(name) + len(old)
	clear(old)
	delete(r.values, name)
}

func (r *records) apply(b Batch) {
	for _, w := range b {
		if w.Value == nil {
			r.delete(w.Name)
		} else {
			r.put(w.Name, w.Value)
		}
	}
}

// sizeAfter is the size of the encoding once all batches are applied.
func (r *records) sizeAfter(batches ...Batch) int {
	n, now := r.size, map[string]int{} // name -> size of the record, 0 for none
	for _, w := range slices.Concat(batches...) {
		old, seen := now[w.Name]
		if v, ok := r.values[w.Name]; !seen && ok {
			old = recordSize + len(w.Name) + len(v)
		}
		now[w.Name] = 0
		if w.Value != nil {
			now[w.Name] = recordSize + len(w.Name) + len(w.Value)
		}
		n += now[w.Name] - old
	}
	return n
}

// named copies out the names that begin with prefix.
func (r *records) named(prefix string) []string {
	from, _ := slices.BinarySearch(r.names, prefix)
	n := 0
	for n < len(r.names)-from && strings.HasPrefix(r.names[from+n], prefix) {
		n++
	}
	return slices.Clone(r.names[from : from+n])
}

// prefixed copies out the records whose names begin with prefix.
func (r *records) prefixed(prefix string) iter.Seq2[string, []byte] {
	var found Batch
	for _, name := range r.named(prefix) {
		found = append(found, Write{name, slices.Clone(r.values[name])})
	}
	return func(yield func(string, []byte) bool) {
		for _, w := range found {
			if !yield(w.Name, w.Value) {
				return
			}
		}
	}
}

func (r *records) wipe() {
	for _, v := range r.values {
		clear(v)
	}
	*r = *newRecords()
}

// encode writes all records into exactly capacity bytes, zeros after them.
func (r *records) encode(capacity int) []byte {
	b := make([]byte, 0, capacity+tagSize)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.names)))
	for _, name := range r.names {
		b = appendRecord(b, name, r.values[name])
	}
	if len(b) != r.size || len(b) > capacity {
		panic("vault: internal error: section outgrew its slot")
	}
	return b[:capacity]
}

func appendRecord(b []byte, name string, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(name)))
	b = append(b, name...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

// readRecord reads one record; value is never nil and aliases s.
func readRecord(s *cryptobyte.String) (name string, value []byte, ok bool) {
	var n cryptobyte.String
	var size uint32
	if !s.ReadUint16LengthPrefixed(&n) || len(n) == 0 || len(n) > MaxName ||
		!s.ReadUint32(&size) || size > MaxValue || !s.ReadBytes(&value, int(size)) {
		return "", nil, false
	}
	return string(n), value[:len(value):len(value)], true
}

// parseRecords reads a section's content: names strictly ascending, nothing
// but zeros after the last record.
func parseRecords(b []byte) (*records, error) {
	s := cryptobyte.String(b)
	var count uint32
	r := newRecords()
	if !s.ReadUint32(&count) {
		return nil, damaged(vaultName, "content")
	}
	for range count {
		name, value, ok := readRecord(&s)
		if !ok || len(r.names) > 0 && r.names[len(r.names)-1] >= name {
			return nil, damaged(vaultName, "content")
		}
		r.names = append(r.names, name)
		r.values[name] = append([]byte{}, value...)
		r.size += recordSize + len(name) + len(value)
	}
	if !zeros(s) {
		return nil, damaged(vaultName, "content")
	}
	return r, nil
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
