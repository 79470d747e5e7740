package retry

import (
	"sync"
	"time"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// maxAsked is how many messages Asked remembers at least, for about 100 bytes
// each; twice as many at most.
const maxAsked = 1 << 16

// wanting is a message whose key a device asked for.
type wanting struct {
	message message.ID
	device  identity.DeviceID
}

// asking is when it did first.
type asking struct {
	at       time.Time
	answered bool
}

// Asked remembers which devices asked for which messages, for figures alone: it
// lives in memory, and forgets the oldest when there are many. After a restart
// devices ask again at their first sync, and the stored request tells since when.
// The zero value is empty. Safe for concurrent use.
type Asked struct {
	mu       sync.Mutex
	now, old map[wanting]asking
}

// ask notes that a device asks for a message, and reports whether that is new.
func (a *Asked) ask(id message.ID, d identity.DeviceID, at time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.find(wanting{id, d}); ok {
		return false
	}
	a.put(wanting{id, d}, asking{at: at})
	return true
}

// Answered tells when a device asked for a message that a wrap has come for, and
// whether it is the first one. ok is false where it did not ask.
func (a *Asked) Answered(id message.ID, d identity.DeviceID) (at time.Time, first, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q, ok := a.find(wanting{id, d})
	if !ok {
		return time.Time{}, false, false
	}
	first = !q.answered
	q.answered = true
	a.put(wanting{id, d}, q)
	return q.at, first, true
}

func (a *Asked) find(w wanting) (asking, bool) {
	if q, ok := a.now[w]; ok {
		return q, true
	}
	q, ok := a.old[w]
	return q, ok
}

func (a *Asked) put(w wanting, q asking) {
	if a.now == nil || len(a.now) >= maxAsked {
		a.old, a.now = a.now, map[wanting]asking{}
	}
	a.now[w] = q
}
