package retry

import (
	"time"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// MaxAsked is how many messages Asked remembers at least.
const MaxAsked = maxAsked

// Ask notes that a device asks for a message.
func (a *Asked) Ask(id message.ID, d identity.DeviceID, at time.Time) bool { return a.ask(id, d, at) }

// Len is how many messages it remembers.
func (a *Asked) Len() int { return len(a.now) + len(a.old) }
