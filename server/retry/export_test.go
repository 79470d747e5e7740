package retry

import (
	"time"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// MaxAsked is how many messages Asked remembers.
const MaxAsked = maxAsked

// Ask notes that a device asks for a message.
func (a *Asked) Ask(id message.ID, d identity.DeviceID, at time.Time) bool { return a.ask(id, d, at) }

// Len is how many messages it remembers.
func (a *Asked) Len() int { return a.asked.Len() }
