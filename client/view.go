package client

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

var (
	// ErrClaimed: another device of the account is viewing the message now.
	ErrClaimed = errors.New("client: another device is viewing the message")
	// ErrNotAtServer: the server, which grants the one view, says that it has no
	// such message, and shows no end of it.
	ErrNotAtServer = errors.New("client: the server does not have the message")
	// ErrHeld: the sender's keys raised an alarm, or the sender is blocked.
	ErrHeld = errors.New("client: the message is held back until you decide about its sender")
)

// openable tells why a message cannot be opened, nil if it can.
func (s *step) openable(in *state.In, h message.Header) error {
	if st, ended := inState(in.State); ended {
		return &EndedError{st}
	}
	if h.Expired(s.now) {
		return &EndedError{message.StateExpired}
	}
	p := s.peer(h.Sender)
	switch {
	case p.blocked || p.alarm:
		return ErrHeld
	case in.State == inUpdate:
		return ErrUpdate
	case in.State == inWaiting && in.ToldEnd != 0:
		return &EndedError{message.State(in.ToldEnd)}
	case in.State == inWaiting:
		return ErrWaiting
	}
	return nil
}

// view begins to open a message. The caller has fetched and verified the whole
// ciphertext of a once message before; the intent is stored, then the claim is
// made. It may be repeated: a claim is free for the device that has it.
func (s *step) view(ev View) error {
	in := s.in(ev.ID)
	if in == nil || in.Copy {
		return ErrUnknownMessage
	}
	h, err := message.ParseHeader(in.Header)
	if err != nil {
		return fmt.Errorf("%w: in", ErrState)
	}
	if err := s.openable(in, h); err != nil {
		return err
	}
	// Opening a stranger's message is the user's word that it may be known
	// to have come.
	s.post(h, message.R(in.R), message.Received)
	if h.Policy == message.Keep {
		s.show(Granted(ev))
		return nil
	}
	in.State = inViewing
	s.saveIn(ev.ID, in)
	s.e.views[ev.ID] = awaited
	s.claim(ev.ID)
	return nil
}

// downloaded notes where the verified ciphertext of a message lies, and what
// the content says of itself.
func (s *step) downloaded(ev Downloaded) error {
	in := s.in(ev.ID)
	if in == nil {
		s.do(Forget{ev.File})
		return nil
	}
	if _, ended := inState(in.State); ended {
		if ev.File != "" {
			s.do(Forget{ev.File})
		}
		return nil
	}
	in.Unreadable = false
	in.File, in.Name, in.Type, in.Caption, in.Size = ev.File, ev.Name, ev.Type, ev.Caption, ev.Size
	s.saveIn(ev.ID, in)
	return nil
}

// viewed: the content was shown completely. Receipt and end mark are stored,
// the keys go, in one batch.
func (s *step) viewed(ev Viewed) error {
	rec, ok := s.record(ev.ID)
	if !ok || rec.in == nil || rec.in.Copy {
		return ErrUnknownMessage
	}
	if _, ended := inState(rec.in.State); ended || !rec.keyed {
		return nil
	}
	if rec.h.Policy == message.Keep {
		s.post(rec.h, rec.r, message.Seen)
		if !rec.in.Opened {
			rec.in.Opened = true
			s.saveIn(ev.ID, rec.in)
		}
		return nil
	}
	s.post(rec.h, rec.r, message.Viewed)
	if s.isStranger(rec.h.Sender) {
		s.rereadIn(rereadSoon)
	}
	s.over(rec, message.StateViewed)
	return nil
}

const (
	// eraseApart is how far apart two ticks must be, by the monotonic clock,
	// that both see the wall clock past an expiry, where no server confirms it.
	eraseApart = time.Hour
	// clocksAgree is how near the device's and the server's clock must be.
	clocksAgree = 24 * time.Hour
	// eraseAnyway is how long after the expiry content goes although the
	// clocks disagree.
	eraseAnyway = 30 * 24 * time.Hour
)

// tick lets time pass: expiry, repeats, epochs.
func (s *step) tick() error {
	s.expire()
	s.ask(false)
	if !s.e.behind {
		s.renew()
		s.callLate()
		s.advance()
		s.freshEpoch()
		s.rereadDue()
	}
	return nil
}

// expire goes through what the wall clock says is over, oldest first.
func (s *step) expire() {
	// A clock that went back sees nothing past any more.
	for name := range s.e.pastExpiry {
		if at, _, ok := expiryOf(name); !ok || at > s.now {
			delete(s.e.pastExpiry, name)
		}
	}
	for _, name := range s.tx.names(prefixExpire) {
		at, what, ok := expiryOf(name)
		if !ok {
			continue
		}
		if at > s.now {
			return
		}
		if s.mayErase(name, at) {
			s.erase(name, what)
			delete(s.e.pastExpiry, name)
		}
	}
}

// expiryOf reads the name of an index record.
func expiryOf(name string) (at identity.Time, what string, ok bool) {
	digits, what, ok := strings.Cut(strings.TrimPrefix(name, prefixExpire), "/")
	n, err := strconv.ParseUint(digits, 16, 64)
	return identity.Time(n), what, ok && err == nil
}

// mayErase tells whether the clocks allow to erase what has expired: content is
// hidden by the wall clock alone, but a clock set wrong must not delete it.
func (s *step) mayErase(name string, at identity.Time) bool {
	if server := s.clock.Server; server != 0 {
		delete(s.e.pastExpiry, name)
		if s.now.Sub(server).Abs() >= clocksAgree {
			at = at.Add(eraseAnyway) // by both
		}
		return s.now >= at && server >= at
	}
	first, seen := s.e.pastExpiry[name]
	if !seen {
		s.e.pastExpiry[name] = s.clock.Mono
		return false
	}
	return s.clock.Mono-first >= eraseApart
}

// erase ends one expired thing: "in/<id>", "out/<id>", "end/<id>", "content/<id>".
func (s *step) erase(index, what string) {
	s.tx.delete(index)
	for _, kind := range []string{"in/", "out/", "end/"} {
		if len(what) != len(kind)+64 || what[:len(kind)] != kind {
			continue
		}
		id, err := message.ParseID(what[len(kind):])
		if err != nil {
			return
		}
		if kind == "end/" {
			s.eraseMark(id)
			return
		}
		rec, ok := s.record(id)
		switch {
		case !ok:
		case s.isOver(rec):
			if _, marked := s.tx.get(endName(id)); !marked { // refused
				s.eraseMark(id)
			}
		case !rec.h.Expired(s.now):
			// The index is of another header that came under this id.
		case rec.in != nil && rec.in.ToldEnd != 0:
			s.over(rec, message.State(rec.in.ToldEnd))
		default:
			s.over(rec, message.StateExpired)
		}
		return
	}
	if strings.HasPrefix(what, prefixNewer) {
		s.tx.delete(what)
		return
	}
	if name := what; len(name) > len(prefixContent) && name[:len(prefixContent)] == prefixContent {
		if c := load[state.Content](&s.tx, name); c != nil && len(s.tx.names(prefixUses+name[len(prefixContent):]+"/")) == 0 {
			s.forgetContent(c)
		}
	}
}

func (s *step) isOver(rec record) bool {
	if rec.out != nil {
		return rec.out.State != outQueued && rec.out.State != outStored
	}
	_, over := inState(rec.in.State)
	return over
}

// eraseMark forgets a message altogether, a day after its expiry.
func (s *step) eraseMark(id message.ID) {
	if out := s.out(id); out != nil {
		s.tx.delete(prefixClient + hex.EncodeToString(out.ClientId))
	}
	s.tx.delete(endName(id))
	s.tx.delete(inName(id))
	s.tx.delete(outName(id))
	s.strangerGone(id)
}

// NextTick is when something is due by the clock, 0 if nothing is.
func (e *Engine) NextTick(now identity.Time) identity.Time {
	next := now.Add(time.Hour)
	for _, name := range e.state.Names(prefixExpire) {
		if at, _, ok := expiryOf(name); ok && at > now {
			next = min(next, at)
			break
		}
	}
	return next
}
