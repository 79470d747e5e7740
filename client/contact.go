package client

import (
	"errors"
	"fmt"
	"slices"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
)

// changeContact is what the user decides about a contact.
func (s *step) changeContact(ev ChangeContact) error {
	if !s.e.bookRead() {
		return ErrNoBook
	}
	c := s.contact(ev.Account)
	if c == nil {
		return ErrUnknownContact
	}
	before := decisionOf(c)
	switch ev.Change {
	case Accept:
		c.Accepted = true
	case Block, Unblock:
		c.Blocked = ev.Change == Block
		c.BlockedCounter++
		c.BlockUnsent = true
		s.tellBlock(c)
	case Verify:
		if string(ev.Key[:]) != string(c.Key) || c.Alarm != "" {
			return ErrKeyChanged
		}
		c.VerifiedKey = c.Key
		// Who was compared with is no stranger. A block is another decision, and
		// stays the only one: its end finds them a stranger still.
		c.Accepted = c.Accepted || !c.Blocked
	case Unverify:
		c.VerifiedKey = nil
	case Trust:
		if err := s.trust(c, ev.Key); err != nil {
			return err
		}
	case Refuse:
		if c.Accepted {
			return ErrNoStranger
		}
		c.Refused = max(c.Refused, uint64(s.newestOf(ev.Account)))
	default:
		return fmt.Errorf("client: internal error: unknown change %d", ev.Change)
	}
	s.saveContact(c)
	s.dirtyBook(ev.Account)
	s.reconsider(ev.Account)
	s.decided(c, before)
	return nil
}

// offered are the keys that the user may agree to: that of the list that raised
// the alarm, where it follows from nothing but the user's word, or those that
// the account's own devices disagree about.
func (s *step) offered(c *state.Contact) (keys []identity.AccountPublic) {
	switch {
	case c.Alarm == "":
	case c.Alarm == errTwoKeys.Error():
		k, _ := s.ownBook().Contact(identity.AccountID(c.Account))
		for _, p := range k.Pins {
			if !slices.Contains(keys, p.Key) {
				keys = append(keys, p.Key)
			}
		}
		if present := pinOf(c).Key; !slices.Contains(keys, present) {
			keys = append(keys, present)
		}
	default:
		l, err := s.e.list(c.AlarmList)
		if err != nil {
			return nil
		}
		if _, err := pinOf(c).Agree(l, l.List.Key); err == nil {
			keys = append(keys, l.List.Key)
		}
	}
	return keys
}

// trust takes the list that raised the alarm for the account's, with that very
// key and no other.
func (s *step) trust(c *state.Contact, key identity.AccountPublic) error {
	if c.Alarm == "" {
		if key != pinOf(c).Key {
			return ErrKeyChanged // it is over, by another way
		}
		return nil
	}
	if c.Alarm == errTwoKeys.Error() {
		return s.pick(c, key)
	}
	l, err := s.e.list(c.AlarmList)
	if err != nil {
		return ErrAlarm // a fork: only a later list is the way out
	}
	switch pin, err := pinOf(c).Agree(l, key); {
	case errors.Is(err, identity.ErrKeyChanged):
		return ErrKeyChanged
	case err != nil:
		return fmt.Errorf("%w: %w", ErrAlarm, err)
	default:
		setPin(c, pin)
		c.List = l.Bytes()
	}
	c.Alarm, c.AlarmList = "", nil
	s.chosen = append(s.chosen, identity.AccountID(c.Account))
	s.saveContact(c)
	s.wantAccount(identity.AccountID(c.Account))
	return nil
}

// pick ends a conflict of the account's own devices about a contact's key.
func (s *step) pick(c *state.Contact, key identity.AccountPublic) error {
	k, _ := s.ownBook().Contact(identity.AccountID(c.Account))
	i := slices.IndexFunc(k.Pins, func(p identity.Pin) bool { return p.Key == key })
	switch {
	case string(c.Key) == string(key[:]):
	case i < 0:
		return ErrKeyChanged
	default:
		setPin(c, k.Pins[i])
	}
	c.Alarm, c.AlarmList = "", nil
	s.chosen = append(s.chosen, identity.AccountID(c.Account))
	s.saveContact(c)
	s.wantAccount(identity.AccountID(c.Account))
	return nil
}

// decision is what the user decided about a contact.
type decision struct {
	accepted, blocked bool
	refused           uint64
}

func decisionOf(c *state.Contact) decision { return decision{c.Accepted, c.Blocked, c.Refused} }

// decided does what follows from a change of what the user decided, here or on
// another device.
func (s *step) decided(c *state.Contact, before decision) {
	id := identity.AccountID(c.Account)
	switch {
	case c.Accepted && !before.accepted:
		s.welcome(id)
		if c.Refused > 0 {
			s.recall() // the user thought better of it
		}
	case c.Accepted:
	case c.Blocked && !before.blocked:
		s.refuse(id, s.newestOf(id))
	case before.blocked && !c.Blocked:
		s.recall()
	case c.Refused > before.refused:
		s.refuse(id, identity.Time(c.Refused))
	}
}

// tellBlock asks the server to drop what a blocked account sends.
func (s *step) tellBlock(c *state.Contact) {
	s.do(Call{"block/" + identity.AccountID(c.Account).String(), &resealv1.SetBlockedRequest{AccountId: c.Account, Blocked: c.Blocked}})
}

func (s *step) blockTold(req *resealv1.SetBlockedRequest) {
	if len(req.AccountId) != len(identity.AccountID{}) {
		return
	}
	c := s.contact(identity.AccountID(req.AccountId))
	if c == nil || c.Blocked != req.Blocked {
		return
	}
	c.BlockUnsent = false
	s.saveContact(c)
}
