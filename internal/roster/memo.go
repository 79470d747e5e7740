package roster

import (
	"sync"

	"github.com/reseal/reseal/identity"
)

// memo remembers what bytes were read as: the same lists and certificates are
// looked at for every message, and a signature takes 60 us to verify. It is keyed
// by the bytes alone, so that it can never tell what the store does not.
type memo[T any] struct {
	parse func([]byte) (T, error)

	mu         sync.Mutex
	young, old map[string]T
}

// maxMemo is how many are remembered, twice: a list of ten devices is 1.1 KiB, a
// certificate 1.4.
const maxMemo = 4096

var (
	lists        = memo[*identity.SignedList]{parse: identity.ParseSignedList}
	certificates = memo[*identity.SignedCertificate]{parse: identity.ParseCertificate}
)

// List is [identity.ParseSignedList] for a list that the store has, verified once
// for the same bytes. What it returns is shared and must not be changed.
func List(b []byte) (*identity.SignedList, error) { return lists.read(b) }

// read is parse, once for the same bytes. What did not pass is not remembered.
// What is returned is shared and must not be changed.
func (m *memo[T]) read(b []byte) (T, error) {
	m.mu.Lock()
	v, ok := m.young[string(b)]
	if !ok {
		if v, ok = m.old[string(b)]; ok {
			m.keep(string(b), v)
		}
	}
	m.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := m.parse(b)
	if err != nil {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep(string(b), v)
	return v, nil
}

func (m *memo[T]) keep(b string, v T) {
	if m.young == nil || len(m.young) >= maxMemo {
		m.young, m.old = map[string]T{}, m.young
	}
	m.young[b] = v
}
