package client

import (
	"reflect"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// Counters are what a device has counted since it was made. None of them names
// anybody. docs/figures.md says what each of the first three groups counts, and
// what it does not; each message counts once in each, whatever is repeated.
type Counters struct {
	// Sends are messages of this device that the server has stored, one for each
	// recipient account; Stale those of them whose second look found a device
	// without a wrap.
	Sends, Stale uint64
	// Received are messages to the account that this device took in, Opened those
	// whose key came: they became readable. Lost expired here without having
	// been readable here.
	Received, Opened, Lost uint64
	// Retries are messages whose key had to be asked for; Retried those of them
	// whose key came then: from an own device, from the sending device, or from
	// another device of the sender.
	Retries, Retried, ByOwn, BySender, BySenderOther uint64
	// Answers are wraps made for others' retry requests, Repeats those given
	// again, Refusals messages of requests that were not answered.
	Answers, Repeats, Refusals uint64
	// What did not hold: wraps, keys and certificates, headers, receipts and
	// ends, retry requests. Alarms are keys that did not follow.
	BadWraps, BadKeys, BadHeaders    uint64
	BadReceipts, BadRequests, Alarms uint64
	// OlderLists are lists served that were older than what is known; Newer
	// records of a version that this program does not read.
	OlderLists, Newer uint64
	// BookFull counts changes that the full book could not take.
	BookFull uint64
	// Reoffered are messages that a server had taken and forgotten, and that were
	// sent again.
	Reoffered uint64
	// Left counts messages that stayed at the server for want of room here.
	Left uint64
}

// Each calls f for every counter, by its name in snake case.
func (c Counters) Each(f func(name string, n uint64)) {
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		f(snake(v.Type().Field(i).Name), v.Field(i).Uint())
	}
}

func snake(s string) string {
	var b []byte
	for i, r := range []byte(s) {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b = append(b, '_')
			}
			r += 'a' - 'A'
		}
		b = append(b, r)
	}
	return string(b)
}

// Add adds what d has counted: the figures of several devices together.
func (c *Counters) Add(d Counters) {
	v, w := reflect.ValueOf(c).Elem(), reflect.ValueOf(d)
	for i := range v.NumField() {
		if n := w.Field(i).Uint(); n != 0 {
			v.Field(i).SetUint(v.Field(i).Uint() + n)
		}
	}
}

// figures are all that an engine counts.
type figures struct {
	Counters
	// atOnce and retried are times to readable: of messages that needed no
	// retry, and of those that did.
	atOnce, retried Times
	// unsaved tells that the record is behind.
	unsaved bool
}

// loadFigures reads what was counted before. A record that cannot be read is
// begun anew: nothing else depends on it.
func (e *Engine) loadFigures() {
	b, ok := e.state.Get(nameCounters)
	r := new(state.Counters)
	if !ok || proto.Unmarshal(b, r) != nil {
		return
	}
	v := reflect.ValueOf(&e.count.Counters).Elem()
	for i := range v.NumField() {
		v.Field(i).SetUint(r.Counts[snake(v.Type().Field(i).Name)])
	}
	e.count.atOnce, e.count.retried = timesOf(r.AtOnce), timesOf(r.Retried)
}

// saveFigures stores what a step has counted with the batch of what it counted,
// so that a crash neither loses nor doubles a message in the figures. What came
// to nothing, a bad receipt, say, makes no write of its own: it could be sent
// without end. It is stored with the next batch, at the next tick, or when the
// connection ends. The caller
// takes what is returned once the step has succeeded.
func (s *step) saveFigures(ev Event) (f figures) {
	f = s.e.count
	f.Counters.Add(s.count)
	for _, w := range s.waited {
		if w.retried {
			f.retried.Add(w.time)
		} else {
			f.atOnce.Add(w.time)
		}
	}
	f.unsaved = f.unsaved || s.count != Counters{} || len(s.waited) > 0
	now := len(s.tx.order) > 0
	switch ev.(type) {
	case Tick, Disconnected:
		now = true
	}
	if !f.unsaved || !now {
		return f
	}
	s.tx.save(nameCounters, f.record())
	f.unsaved = false
	return f
}

func (f *figures) record() *state.Counters {
	r := &state.Counters{Counts: map[string]uint64{}, AtOnce: f.atOnce.record(), Retried: f.retried.record()}
	f.Each(func(name string, n uint64) {
		if n > 0 {
			r.Counts[name] = n
		}
	})
	return r
}

// wait is how long a message was not readable that now is.
type wait struct {
	time    time.Duration
	retried bool
}

// waitsFrom is from when the time to readable of a message counts that is new
// here: from now, or, where it came while this device was away, from when it
// was back.
func (s *step) waitsFrom() uint64 {
	if s.e.behind {
		return uint64(s.e.backAt)
	}
	return uint64(s.now)
}

// countOpened counts a message whose key has come.
func (s *step) countOpened(h message.Header, in *state.In, from *message.WrapFrom) {
	s.count.Opened++
	if in.WaitFrom != 0 && !in.Held {
		s.waited = append(s.waited, wait{s.now.Sub(identity.Time(in.WaitFrom)), in.Retried})
	}
	if !in.Retried {
		return
	}
	s.count.Retried++
	switch {
	case from.Account == s.e.id.account:
		s.count.ByOwn++
	case from.Device == h.SenderDevice:
		s.count.BySender++
	default:
		s.count.BySenderOther++
	}
}

// countExpired counts a message to us that expires now, where it is lost: its
// key never came, or its ciphertext was never to be had as it was sent. What a
// blocked account sent was not to be read.
func (s *step) countExpired(h message.Header, in *state.In) {
	unread := len(in.Cek) == 0 || (in.Unreadable && !in.Opened)
	if unread && !in.Copy && !s.peer(h.Sender).blocked {
		s.count.Lost++
	}
}

// holdTime takes a message's time out of the figures: it waits for its user to
// decide, or for another program.
func (s *step) holdTime(id message.ID, in *state.In) {
	if !in.Held {
		in.Held = true
		s.saveIn(id, in)
	}
}

// unreadable notes that the ciphertext of a message was not to be had.
func (s *step) unreadable(ev Unreadable) error {
	in := s.in(ev.ID)
	if in == nil || in.Copy {
		return nil // it is over, and forgotten
	}
	if _, ended := inState(in.State); !ended && !in.Unreadable {
		in.Unreadable = true
		s.saveIn(ev.ID, in)
	}
	return nil
}
