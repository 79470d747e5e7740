package retry

import (
	"sync"
	"time"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/recent"
	"github.com/reseal/reseal/message"
)

// maxAsked is how many messages Asked remembers, for about 100 bytes each.
const maxAsked = 1 << 17

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
	mu    sync.Mutex
	asked *recent.Map[wanting, asking] // nil before the first
}

// ask notes that a device asks for a message, and reports whether that is new.
func (a *Asked) ask(id message.ID, d identity.DeviceID, at time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := wanting{id, d}
	if a.asked == nil {
		m := recent.New[wanting, asking](maxAsked)
		a.asked = &m
	}
	if a.asked.Has(w) {
		return false
	}
	a.asked.Put(w, asking{at: at})
	return true
}

// Answered tells when a device asked for a message that a wrap has come for, and
// whether it is the first one. ok is false where it did not ask.
func (a *Asked) Answered(id message.ID, d identity.DeviceID) (at time.Time, first, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asked == nil {
		return time.Time{}, false, false
	}
	w := wanting{id, d}
	q, ok := a.asked.Get(w)
	if !ok {
		return time.Time{}, false, false
	}
	first = !q.answered
	q.answered = true
	a.asked.Put(w, q)
	return q.at, first, true
}
