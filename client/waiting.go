package client

import (
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// other is the account on the other side of a message.
func (s *step) other(h message.Header) identity.AccountID {
	if h.Sender == s.e.id.account {
		return h.Recipient
	}
	return h.Sender
}

// waits notes that a message waits for its key: by day, and by account.
func (s *step) waits(h message.Header) {
	s.tx.put(prefixWait+h.ID.String(), present)
	s.tx.put(byName(s.other(h), h.ID), present)
}

func (s *step) waitsNoMore(id message.ID, in *state.In) {
	s.tx.delete(prefixWait + id.String())
	if h, err := message.ParseHeader(in.Header); err == nil {
		s.tx.delete(byName(s.other(h), id))
	}
}

// waiting are the messages that wait and that an account is a party of, oldest
// day first.
func (s *step) waiting(a identity.AccountID) (ids []message.ID) {
	prefix := prefixBy + a.String() + "/"
	if a == s.e.id.account {
		prefix = prefixWait // a party of all
	}
	for _, name := range s.tx.names(prefix) {
		if id, err := message.ParseID(name[len(prefix):]); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}
