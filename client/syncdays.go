package client

import (
	"strings"

	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// syncedDays is for how many days back the server keeps records at most.
const syncedDays = 32

// SyncDays are the days that a sync has to read, first and last: from the last
// complete sync minus 2, or from that of the oldest message that waits, to
// tomorrow; a new device reads all 32.
func (e *Engine) SyncDays(now identity.Time) (from, through uint32) {
	if e.server != 0 {
		now = e.server // the records lie where its clock has put them
	}
	through = now.Day() + 1
	from = through - syncedDays
	// A day in the future was noted by a clock that was wrong.
	first := from
	if synced := e.self.SyncedDay; synced > from+3 && synced <= through {
		from = synced - 3 // which is one day ahead itself
	}
	// A wrap for a message that waits may have come without an entry in the
	// queue. Ids begin with the day: the first name is the oldest.
	for _, name := range e.state.Names(prefixWait) {
		if id, err := message.ParseID(name[len(prefixWait):]); err == nil {
			from = max(first, min(from, id.Day()))
			break
		}
	}
	return from, through
}

// maxWatched is how many accounts the server lets a stream watch.
const maxWatched = 4096

// Watched are the accounts whose changes this device wants to hear of: those
// that the user accepted first; whoever was sent anything is one of them.
// Whoever writes becomes a contact, so that strangers could otherwise make the
// list longer than the server takes, and the stream would be refused for good.
// The list is made anew when a contact has changed; the caller must not change
// it.
func (e *Engine) Watched() []identity.AccountID {
	if e.watched != nil {
		return e.watched
	}
	accepted, others := []identity.AccountID{}, []identity.AccountID(nil)
	s := e.read()
	for _, name := range s.tx.names(prefixContact) {
		c := load[state.Contact](&s.tx, name)
		id, err := identity.ParseAccountID(strings.TrimPrefix(name, prefixContact))
		switch {
		case c == nil || err != nil:
		case c.Accepted:
			accepted = append(accepted, id)
		default:
			others = append(others, id)
		}
	}
	all := append(accepted, others...)
	e.watched = all[:min(len(all), maxWatched)]
	return e.watched
}
