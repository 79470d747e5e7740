package client

import (
	"slices"

	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// newestOf is the time of the newest message of a stranger that is here, and of
// now, so that what is on its way is older.
func (s *step) newestOf(id identity.AccountID) identity.Time {
	newest := s.now
	if s.clock.Server > newest {
		newest = s.clock.Server
	}
	for _, e := range s.strangers() {
		if in := s.in(e.id); in != nil && identity.AccountID(e.Sender) == id {
			if h, err := message.ParseHeader(in.Header); err == nil {
				newest = max(newest, h.Created)
			}
		}
	}
	return newest
}

// waitsOf tells whether a message of a stranger is here that is not over.
func (s *step) waitsOf(id identity.AccountID) bool {
	return slices.ContainsFunc(s.strangers(), func(e entry) bool { return identity.AccountID(e.Sender) == id && !e.Over })
}

// unwanted tells whether the user did not want what a stranger created then.
func (s *step) unwanted(h message.Header) bool {
	c := s.contact(h.Sender)
	return c != nil && !c.Accepted && uint64(h.Created) <= c.Refused
}

// refuse drops the messages of a stranger up to a time, but those that are being
// viewed. Should the user think better of it, they are at the server.
func (s *step) refuse(id identity.AccountID, through identity.Time) {
	for _, e := range s.strangers() {
		in := s.in(e.id)
		if identity.AccountID(e.Sender) != id || e.Over || in == nil || in.State == inViewing {
			continue
		}
		if h, err := message.ParseHeader(in.Header); err == nil && h.Created > through {
			continue
		}
		s.tx.delete(strangerName(e.id))
		s.dropIn(e.id, in)
	}
	s.freed()
}

// dropIn forgets a message to us that is not over, without a mark.
func (s *step) dropIn(id message.ID, in *state.In) {
	if in.File != "" {
		s.do(Forget{in.File})
	}
	if h, err := message.ParseHeader(in.Header); err == nil {
		s.tx.delete(expireName(h.Expires, "in/"+id.String()))
	}
	s.waitsNoMore(id, in)
	s.tx.delete(inName(id))
	for _, prefix := range []string{prefixAnswer, prefixAdd} {
		for _, name := range s.tx.names(prefix + id.String() + "/") {
			s.tx.delete(name)
		}
	}
	s.closeAsks(id)
}
