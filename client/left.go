package client

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// What the records of a section may take. The vault takes 64 MiB; what is above
// these limits is for what has to go on in any case: receipts, ends, answers,
// epochs, wraps for what is here.
const (
	// MaxIncoming is the size up to which new messages are stored.
	MaxIncoming = 40 << 20
	// MaxOutgoing is the size up to which contents are taken for sending.
	MaxOutgoing = 52 << 20
)

// ErrNoRoom: the section has no room for what the user wants to send.
var ErrNoRoom = errors.New("client: no room: too many messages are stored on this device")

// NoRoom: messages stay at the server because there is no room for them here.
// They are looked for again when there is. It is told once for a day's messages.
type NoRoom struct {
	// Strangers tells that the senders are no accepted contacts: then their
	// share is full, otherwise the whole section.
	Strangers bool
}

func (NoRoom) notice() {}

// Skipped: the batch of an event was too large to be stored. What the event
// told is left at the server, so that it is not taken in over and over.
type Skipped struct{ Event Event }

func (Skipped) event() {}

// admit tells whether a message that is new here may be stored. One that may
// not is left.
func (s *step) admit(h message.Header, p *resealv1.Pending) bool {
	stranger := !p.Copy && s.isStranger(h.Sender)
	if stranger && (s.peer(h.Sender).blocked || s.unwanted(h)) {
		return false // an unblocking or accepting looks for it
	}
	size := len(p.Inline) + len(p.Segments)
	for _, w := range p.Wraps {
		size += len(w)
	}
	if s.tx.size()+size > MaxIncoming || (stranger && !s.roomForStranger(h.Sender, len(p.Inline)+len(p.Segments))) {
		s.leave(h.ID.Day(), !stranger)
		return false
	}
	return true
}

// leave notes that messages of a day stay at the server.
func (s *step) leave(day uint32, contacts bool) {
	if today := s.today(); day > today+2 || day+syncedDays < today {
		return // no server keeps it there
	}
	s.count.Left++
	if s.e.rereading.day == day {
		s.e.rereading.again = true
	}
	old := load[state.Left](&s.tx, leftName(day))
	if old != nil && (old.Contacts || !contacts) {
		return
	}
	s.tx.save(leftName(day), &state.Left{Contacts: contacts})
	s.show(NoRoom{!contacts})
}

// rereading is what an engine has under way about days that were left. A new
// process begins with all of them.
type rereading struct {
	// days are those to be read, the first of them is day: under way.
	days []uint32
	day  uint32
	// again: something of this day was left once more.
	again bool
	// due is when by the monotonic clock the days are read again, and 1 ns, 0
	// for never; last when they were.
	due, last time.Duration
}

const (
	// rereadAfter is how long after room was made, by the user or by time, the
	// days that were left are read: a sender who sends and takes back must not
	// make a device read all the time.
	rereadAfter = time.Hour
	// rereadSoon is the same where the user made the room.
	rereadSoon = time.Minute
)

// freed: there is room again.
func (s *step) freed() { s.rereadIn(rereadAfter) }

func (s *step) rereadIn(d time.Duration) {
	r := &s.e.rereading
	if due := r.last + d + 1; r.due == 0 || due < r.due {
		r.due = due
	}
}

// rereadNow reads the days that were left, if there are any.
func (s *step) rereadNow() {
	r := &s.e.rereading
	r.due = 1
	s.rereadDue()
}

// rereadSynced reads the days that were left after a sync, where something of
// them could be stored by now.
func (s *step) rereadSynced() {
	strangers := s.roomForStranger(identity.AccountID{}, 1) // for one who is new
	for _, name := range s.tx.names(prefixLeft) {
		if l := load[state.Left](&s.tx, name); l != nil && (strangers || l.Contacts) && s.tx.size() < MaxIncoming {
			s.rereadNow()
			return
		}
	}
}

// today is the day by the server's clock, where it is known.
func (s *step) today() uint32 {
	if s.clock.Server != 0 {
		return s.clock.Server.Day()
	}
	return s.now.Day()
}

// rereadDue begins to read the days that were left, where it is due. Days that
// are past what the server keeps are forgotten.
func (s *step) rereadDue() {
	r := &s.e.rereading
	if s.e.behind || len(r.days) > 0 || r.due == 0 || s.clock.Mono+1 < r.due {
		return
	}
	today := s.today()
	for _, name := range s.tx.names(prefixLeft) {
		n, err := strconv.ParseUint(name[len(prefixLeft):], 16, 32)
		if day := uint32(n); err != nil || day+syncedDays < today {
			s.tx.delete(name)
		} else {
			r.days = append(r.days, day)
		}
	}
	r.due, r.last = 0, s.clock.Mono
	s.rereadNext()
}

// rereadNext reads the next of the days.
func (s *step) rereadNext() {
	r := &s.e.rereading
	r.day, r.again = 0, false
	if len(r.days) > 0 {
		r.day = r.days[0]
		s.readLeft(nil)
	}
}

func (s *step) readLeft(from []byte) {
	day := s.e.rereading.day
	s.do(Call{fmt.Sprintf("%s/%x", leftName(day), from), &resealv1.ReadDayRequest{Day: day, From: from}})
}

// leftRead takes a page of a day that was left. Once all of it is here, the day
// is like any other.
func (s *step) leftRead(req *resealv1.ReadDayRequest, resp *resealv1.ReadDayResponse) error {
	r := &s.e.rereading
	if r.day == 0 || r.day != req.Day {
		return nil
	}
	if err := s.dayRead(DayRead{req.Day, resp}); err != nil {
		return err
	}
	if next := resp.GetNext(); len(next) > 0 && !bytes.Equal(next, req.From) {
		s.readLeft(next)
		return nil
	}
	if !r.again {
		s.tx.delete(leftName(r.day))
	}
	r.days = r.days[1:]
	s.rereadNext()
	if !s.e.behind {
		s.ask(false)
	}
	return nil
}

// leftRefused goes on with the next day; this one is read another time.
func (s *step) leftRefused(req *resealv1.ReadDayRequest) {
	if r := &s.e.rereading; r.day != 0 && r.day == req.Day {
		r.days = r.days[1:]
		s.rereadNext()
	}
}

// recall makes every day that the server keeps one that was left: whose
// messages were dropped is looked for again.
func (s *step) recall() {
	through := s.today() + 1
	for day := through - syncedDays; day <= through; day++ {
		if _, ok := s.tx.get(leftName(day)); !ok {
			s.tx.save(leftName(day), new(state.Left))
		}
	}
	s.rereadNow()
}

// skipped leaves what an event told, and acknowledges it.
func (s *step) skipped(ev Skipped) error {
	switch ev := ev.Event.(type) {
	case DayRead:
		s.leave(ev.Day, true)
	case Streamed:
		s.skippedEntry(ev.Event)
	}
	return nil
}

func (s *step) skippedEntry(ev *resealv1.EventsResponse) {
	var id []byte
	switch e := ev.GetEvent().(type) {
	case *resealv1.EventsResponse_Message:
		if h, err := message.ParseHeader(e.Message.GetHeader()); err == nil {
			id = h.ID[:]
		}
	case *resealv1.EventsResponse_Wraps:
		id = e.Wraps.GetMessageId()
	case *resealv1.EventsResponse_End:
		if r, err := message.ParseEndRecord(e.End); err == nil {
			id = r.Message[:]
		}
	case *resealv1.EventsResponse_Receipt:
		if r, err := message.ParseReceipt(e.Receipt); err == nil {
			id = r.Message[:]
		}
	}
	if len(id) == len(message.ID{}) {
		s.leave(message.ID(id).Day(), true)
	}
	s.acknowledge(ev)
}

// mayStore refuses what the user adds where the section has no room for it.
func (s *step) mayStore(size int) error {
	if s.tx.size()+size > MaxOutgoing {
		return ErrNoRoom
	}
	return nil
}
