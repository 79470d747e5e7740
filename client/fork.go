package client

import (
	"io"
	"maps"
	"slices"
)

// Fork is the same engine once more, over st, which holds what this one's state
// does, and with a source of randomness of its own: what one of the two does the
// other does not see; they share a [Memory]. It is for searches through every order of events; two
// engines that both talk to a server are a cloned device.
func (e *Engine) Fork(st State, rand io.Reader) *Engine {
	f := *e
	f.state, f.rand = st, rand
	f.pastExpiry, f.noCert, f.late = maps.Clone(e.pastExpiry), maps.Clone(e.noCert), maps.Clone(e.late)
	f.budgets, f.views = maps.Clone(e.budgets), maps.Clone(e.views)
	f.asker.fresh, f.rereading.days = maps.Clone(e.asker.fresh), slices.Clone(e.rereading.days)
	f.bookPutting, f.watched = slices.Clone(e.bookPutting), slices.Clone(e.watched)
	return &f
}
