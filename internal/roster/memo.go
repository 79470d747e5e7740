package roster

import (
	"bytes"
	"sync"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/recent"
)

// memo remembers what bytes were read as: the same lists and certificates are
// looked at for every message, and a signature takes 60 us to verify. It is keyed
// by the bytes alone, so that it can never tell what the store does not.
type memo[T any] struct {
	parse func([]byte) (T, error)

	mu   sync.Mutex
	kept recent.Map[string, T]
}

// maxMemo is how many are remembered: a list of ten devices is 1.1 KiB, a
// certificate 1.4.
const maxMemo = 8192

var (
	lists        = newMemo(identity.ParseSignedList)
	certificates = newMemo(identity.ParseCertificate)
)

func newMemo[T any](parse func([]byte) (T, error)) *memo[T] {
	return &memo[T]{parse: parse, kept: recent.New[string, T](maxMemo)}
}

// List is [identity.ParseSignedList] for a list that the store has, verified once
// for the same bytes. What it returns is shared and must not be changed. It keeps
// nothing of b.
func List(b []byte) (*identity.SignedList, error) { return lists.read(b) }

// read is parse, once for the same bytes, of which it keeps nothing. What did not
// pass is not remembered.
// What is returned is shared and must not be changed.
func (m *memo[T]) read(b []byte) (T, error) {
	m.mu.Lock()
	v, ok := recent.Lookup(&m.kept, b)
	m.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := m.parse(bytes.Clone(b))
	if err != nil {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept.Put(string(b), v)
	return v, nil
}
