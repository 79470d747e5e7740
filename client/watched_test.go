package client

import (
	"encoding/binary"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
)

// watchRecords is a section of records that are only read.
type watchRecords map[string][]byte

func (r watchRecords) Get(name string) ([]byte, bool) { b, ok := r[name]; return b, ok }

func (r watchRecords) Names(prefix string) (names []string) {
	for name := range r.Range(prefix) {
		names = append(names, name)
	}
	return names
}

func (r watchRecords) Size() (n int) {
	for name, value := range r {
		n += len(name) + len(value)
	}
	return n
}

func (r watchRecords) Range(prefix string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		names := make([]string, 0, len(r))
		for name := range r {
			if strings.HasPrefix(name, prefix) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			if !yield(name, r[name]) {
				return
			}
		}
	}
}

func TestStrangersDoNotCrowdOutWhoIsWatched(t *testing.T) {
	st := watchRecords{}
	var friend identity.AccountID
	for n := range maxWatched + 10 {
		var id identity.AccountID
		binary.BigEndian.PutUint32(id[:], uint32(n))
		c := &state.Contact{Account: id[:]}
		if n == maxWatched+5 {
			c.Accepted, friend = true, id
		}
		b, err := marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		st[contactName(id)] = b
	}
	e := &Engine{state: st}
	ids := e.Watched()
	if len(ids) != maxWatched {
		t.Errorf("%d watched, want at most %d", len(ids), maxWatched)
	}
	if ids[0] != friend {
		t.Error("the accepted contact is not the first")
	}
}
