package sim

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// check checks what must be true of a healed world.
func (l *life) check() {
	for _, wrong := range l.w.Overfull() {
		l.fail("%s", wrong)
	}
	l.orphans()
	for _, m := range l.sent {
		l.arrived(m)
	}
	l.once()
	l.erased()
	l.quiet()
	l.figures()
	// Answers are linear in messages and devices.
	if most := 10 + 3*len(l.sent)*len(l.devices); l.witness.adds > most {
		l.fail("%d calls added wraps for %d messages and %d devices", l.witness.adds, len(l.sent), len(l.devices))
	}
}

// figures: what a device has counted agrees with itself (docs/figures.md),
// whatever crashed, was repeated, or was put back.
func (l *life) figures() {
	for _, d := range l.devices {
		if !d.runs() {
			continue
		}
		c := d.Engine.Counters()
		once, retried := d.Engine.Times()
		for _, rule := range []struct {
			what  string
			holds bool
		}{
			{"more stale sends than sends", c.Stale <= c.Sends},
			{"readable and lost are more than received", c.Opened+c.Lost <= c.Received},
			{"more retries than received", c.Retries <= c.Received},
			{"more answers than retries", c.Retried <= c.Retries && c.Retried <= c.Opened},
			{"an answer by nobody, or by two", c.Retried == c.ByOwn+c.BySender+c.BySenderOther},
			{"more times than readable", once.Count()+retried.Count() <= c.Opened && retried.Count() <= c.Retried},
		} {
			if !rule.holds {
				l.fail("%s counts %s: %+v, %d and %d times", d.Name, rule.what, c, once.Count(), retried.Count())
			}
		}
	}
}

// orphans: every device that runs has, for each pending message, a wrap, an open
// request or an end. One that does not run comes to it at its next sync; one that
// blocks the sender asks for nothing of theirs.
func (l *life) orphans() {
	for _, d := range l.devices {
		if !d.runs() {
			continue
		}
		all := l.w.OrphansOn(func(id identity.DeviceID) bool { return id == d.ID })
		for _, m := range l.sent {
			missing := slices.ContainsFunc(all, func(o string) bool { return strings.HasPrefix(o, m.know.String()) })
			if missing && !d.restored && !l.blocked(d, m) && d.Is(m.Message) != client.Held {
				l.fail("%s has neither wrap nor open request nor end for %v, %s", d.Name, m.know, l.why(m))
			}
		}
	}
}

// arrived: an acknowledged message is readable on every current device of its
// recipient, or has ended in a way that somebody caused, as long as somebody
// holds its key.
func (l *life) arrived(m *sent) {
	if m.from.runs() {
		m.know = m.ID()
	}
	if m.know == (message.ID{}) {
		return // its sender never got as far
	}
	if !m.acked {
		if m.from.runs() && !m.from.restored && l.listed(m.from) && !m.refused && !m.unsent {
			if got := m.from.Is(m.Message); got == client.Queued {
				l.fail("%v is still queued on %s", m.know, m.from.Name)
			}
		}
		return
	}
	expired := !l.w.Now().Before(m.expires)
	for _, d := range l.here(m.To) {
		if !d.runs() || !l.listed(d) || d == m.from {
			continue
		}
		got, _, err := d.Engine.Get(d.Now(), m.know)
		state := got.State
		switch {
		case expired && d.Opens(m.Message):
			l.fail("%s opens %v, which has expired", d.Name, m.know)
		case expired, d.restored:
		case err == nil && state == client.IsUnsent && m.unsent, err == nil && state == client.IsViewed && m.viewed && m.policy == message.Once:
		case !l.w.Pending(m.Message) && (m.unsent || m.viewed && m.policy == message.Once) && !d.Opens(m.Message):
			// It ended before this device came.
		case l.blocked(d, m):
		case err != nil && l.shut[[2]*world.Account{d.Account, m.from.Account}]:
			// It may have come while the sender was blocked, and is for nobody then.
		case d.Opens(m.Message):
		case !l.held(m):
		default:
			l.fail("%s has %v %q (%v), %s by %s, %s", d.Name, m.know, state, err, map[bool]string{true: "once", false: "keep"}[m.policy == message.Once], m.from.Name, l.why(m))
		}
	}
}

// blocked tells whether the recipient's device holds the sender back.
func (l *life) blocked(d *device, m *sent) bool { return l.blocks(d, m.from.Account) }

// blocks tells whether a device deals with an account no more.
func (l *life) blocks(d *device, a *world.Account) bool {
	all, err := d.Engine.Contacts()
	if err != nil {
		l.fail("%s: contacts: %v", d.Name, err)
	}
	for _, c := range all {
		if c.Account == a.ID {
			return c.Blocked || c.Alarm != ""
		}
	}
	return false
}

// held tells whether anybody who is online holds the key of a message and may
// answer: its sender device, or one that opens it.
func (l *life) held(m *sent) bool {
	for _, d := range l.devices {
		if !d.runs() || !l.listed(d) || d.restored {
			continue
		}
		if d.Account == m.To && d.Opens(m.Message) || d == m.from && !l.blocks(d, m.To) {
			return true
		}
	}
	return false
}

func (l *life) why(m *sent) string {
	var b strings.Builder
	fmt.Fprintf(&b, "sent at %v", m.Content.Created.Time().Format(time.DateTime))
	for _, d := range l.devices {
		if d.Account != m.To && d.Account != m.from.Account {
			continue
		}
		if d.runs() {
			cs, _ := d.Engine.Contacts()
			for _, c := range cs {
				fmt.Fprintf(&b, "\n    has %s: accepted %v, blocked %v, alarm %q", c.Handle, c.Accepted, c.Blocked, c.Alarm)
			}
		}
		fmt.Fprintf(&b, "\n  %s: runs %v, listed %v, gone %v, restored %v", d.Name, d.runs(), l.listed(d), d.gone, d.restored)
		if d.runs() {
			fmt.Fprintf(&b, ", %q, opens %v, calls %v", d.Is(m.Message), d.Opens(m.Message), d.Calls())
		}
	}
	return b.String()
}

// once: one send makes one message, whatever was repeated.
func (l *life) once() {
	type made struct {
		digest message.Digest
		to     string
	}
	have := map[made]message.ID{}
	for _, d := range l.devices {
		if !d.runs() {
			continue
		}
		in, err := d.Engine.Inbox(d.Now(), true)
		if err != nil {
			l.fail("%s: inbox: %v", d.Name, err)
		}
		for _, m := range in {
			k := made{m.Header.Digest, d.Account.Handle}
			if id, ok := have[k]; ok && id != m.ID && !l.twice(m.Header.Digest) {
				l.fail("%s has one send as two messages, %v and %v", d.Name, id, m.ID)
			}
			have[k] = m.ID
		}
	}
}

// twice tells whether what was sent may have become two messages: an old copy of
// its sender does not know that it was built anew on a later day.
func (l *life) twice(d message.Digest) bool {
	return slices.ContainsFunc(l.sent, func(m *sent) bool { return m.Content.Digest == d && m.from.restored })
}

// erased: what has ended leaves no key on a device that knows of it.
func (l *life) erased() {
	for _, d := range l.devices {
		files := d.OnDisk()
		for _, m := range l.sent {
			if m.know == (message.ID{}) {
				continue
			}
			if slices.ContainsFunc(files, func(b []byte) bool { return bytes.Contains(b, m.Content.CEK[:]) }) {
				l.fail("%s has the key of %v on its disk, in the clear", d.Name, m.know)
			}
			if !d.runs() {
				continue
			}
			switch is := d.Is(m.Message); is {
			case client.IsViewed, client.IsUnsent, client.Expired:
				if is == client.Expired && !l.listed(d) {
					continue // no server tells it the time any more: it waits an hour
				}
				if m.policy == message.Once && d.Holds(m.Content.CEK[:]) && !l.uses(m) {
					l.fail("%s keeps the key of %v, which is %s", d.Name, m.know, d.Is(m.Message))
				}
			}
		}
	}
}

// uses tells whether another message of the same content has not ended.
func (l *life) uses(m *sent) bool {
	for _, o := range l.sent {
		if o != m && o.Content.ID == m.Content.ID {
			return true
		}
	}
	return false
}

// quiet: nothing goes on for ever.
func (l *life) quiet() {
	for _, d := range l.devices {
		if d.runs() && l.listed(d) && len(d.Calls()) > 0 {
			l.fail("%s does not come to rest: %v", d.Name, d.Calls())
		}
	}
}
