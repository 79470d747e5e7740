package client

import (
	"fmt"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// changeContact is what the user decides about a contact.
func (s *step) changeContact(ev ChangeContact) error {
	c := s.contact(ev.Account)
	if c == nil {
		return ErrUnknownContact
	}
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
	case Unverify:
		c.VerifiedKey = nil
	case Trust:
		if err := s.trust(c, ev.Key); err != nil {
			return err
		}
	default:
		return fmt.Errorf("client: internal error: unknown change %d", ev.Change)
	}
	s.saveContact(c)
	s.dirtyBook(ev.Account)
	s.reconsider(ev.Account)
	if ev.Change == Accept {
		s.acceptMessages(ev.Account)
	}
	return nil
}

// trust takes the list that raised the alarm for the account's, with that very
// key and no other.
func (s *step) trust(c *state.Contact, key identity.AccountPublic) error {
	if c.Alarm == "" {
		return nil
	}
	l, err := identity.ParseSignedList(c.AlarmList)
	if err != nil || l.List.Key != key {
		return ErrKeyChanged
	}
	pin := identity.PinOf(l)
	c.Key, c.Next, c.ListVersion, c.ListHash = pin.Key[:], pin.Next[:], pin.Version, pin.Hash[:]
	c.List, c.Certificates = l.Bytes(), nil
	c.Alarm, c.AlarmList = "", nil
	s.saveContact(c)
	s.resolve(identity.AccountID(c.Account))
	return nil
}

// acceptMessages tells an accepted sender that its messages have come.
func (s *step) acceptMessages(id identity.AccountID) {
	for _, name := range s.tx.names(prefixIn) {
		in := load[state.In](&s.tx, name)
		if in == nil || in.Copy || in.State != inReady {
			continue
		}
		if h, err := message.ParseHeader(in.Header); err == nil && h.Sender == id {
			s.post(h, message.R(in.R), message.Received)
		}
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
