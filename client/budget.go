package client

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/reseal/reseal/identity"
)

// An answer of the server may call for the next question about the same thing.
// A server that lies could keep that going for ever, as fast as the network is;
// so what has been asked so often in so short a time waits for a later tick.
const (
	// budgetCalls is more than honest answers call for: ten devices that put
	// the book at the same time, or a contact that rotates twice.
	budgetCalls  = 16
	budgetPeriod = time.Minute
	// maxBudgets bounds what is remembered of it.
	maxBudgets = 4096
)

// budget is how often something was asked since a time by the monotonic clock.
type budget struct {
	calls int
	since time.Duration
}

// mayCall tells whether what has this name may be asked now, and counts it. If
// it may not, it is noted as late.
func (s *step) mayCall(name string) bool {
	b, known := s.e.budgets[name]
	if s.clock.Mono-b.since >= budgetPeriod || !known {
		b = budget{since: s.clock.Mono}
	}
	if b.calls >= budgetCalls {
		s.e.late[name] = true
		return false
	}
	if len(s.e.budgets) >= maxBudgets {
		clear(s.e.budgets)
	}
	b.calls++
	s.e.budgets[name] = b
	delete(s.e.late, name)
	return true
}

// budgetBook is the name of the book's budget; those of accounts are the names
// of their questions.
const budgetBook = "book"

// callLate asks what had to wait, as far as it may now.
func (s *step) callLate() {
	for _, name := range slices.Sorted(maps.Keys(s.e.late)) {
		if s.clock.Mono-s.e.budgets[name].since < budgetPeriod {
			continue
		}
		delete(s.e.late, name)
		if name == budgetBook {
			s.getBook()
			continue
		}
		id, err := identity.ParseAccountID(strings.TrimPrefix(name, prefixResolve))
		if _, wanted := s.tx.get(name); err == nil && wanted {
			s.resolve(id)
		}
	}
}
