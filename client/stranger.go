package client

import (
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// Anybody may send to an account, so what comes from senders whom the user has
// not accepted gets only so much room here. What is beyond it stays at the
// server (left.go).
const (
	// maxStrangers is how many messages of strangers may wait or be ready.
	maxStrangers = 200
	// maxStrangerBytes bounds their bodies, as far as they are stored here.
	maxStrangerBytes = 1 << 20
	// maxStrangersOver is how many messages of strangers stay listed that are
	// over: who sends and takes back must not fill the section either.
	maxStrangersOver = 300
)

// isStranger tells whether an account is not an accepted contact.
func (s *step) isStranger(id identity.AccountID) bool {
	if id == s.e.id.account {
		return false
	}
	c := s.contact(id)
	return c == nil || !c.Accepted
}

// entry is one record of the index of strangers' messages.
type entry struct {
	id message.ID
	*state.Stranger
}

// strangers is the index, oldest day first. It is short by its limits.
func (s *step) strangers() (all []entry) {
	for _, name := range s.tx.names(prefixStrange) {
		id, err := message.ParseID(name[len(prefixStrange):])
		r := load[state.Stranger](&s.tx, name)
		if err == nil && r != nil && len(r.Sender) == len(identity.AccountID{}) {
			all = append(all, entry{id, r})
		}
	}
	return all
}

// roomForStranger tells whether one more message of a stranger, with a body of
// so many bytes, may be stored here. Nobody takes more than half of what the
// other strangers leave: who comes next finds the other half.
func (s *step) roomForStranger(sender identity.AccountID, body int) bool {
	count, size, others, theirs := 0, 0, 0, 0
	for _, e := range s.strangers() {
		switch {
		case e.Over:
		case identity.AccountID(e.Sender) == sender:
			count, size = count+1, size+int(e.Size)
		default:
			others, theirs = others+1, theirs+int(e.Size)
		}
	}
	return count < (maxStrangers-others+1)/2 && size+body <= (maxStrangerBytes-theirs)/2
}

func (s *step) noteStranger(id message.ID, sender identity.AccountID, in *state.In) {
	s.tx.save(strangerName(id), &state.Stranger{Sender: sender[:], Size: uint32(len(in.Inline) + len(in.Segments))})
}

// resizeStranger notes that a stranger's message has another body now.
func (s *step) resizeStranger(id message.ID, in *state.In) {
	if r := load[state.Stranger](&s.tx, strangerName(id)); r != nil {
		r.Size = uint32(len(in.Inline) + len(in.Segments))
		s.tx.save(strangerName(id), r)
	}
}

// strangerOver frees the room of a stranger's message that is over, and forgets
// the oldest of those that are.
func (s *step) strangerOver(id message.ID) {
	r := load[state.Stranger](&s.tx, strangerName(id))
	if r == nil || r.Over {
		return
	}
	r.Over, r.Size = true, 0
	s.tx.save(strangerName(id), r)
	s.freed()
	var over []entry
	for _, e := range s.strangers() {
		if e.Over {
			over = append(over, e)
		}
	}
	if len(over) <= maxStrangersOver {
		return
	}
	old := over[0]
	if old.id == id {
		old = over[1]
	}
	s.forgetStranger(old)
}

// forgetStranger forgets a message of a stranger that is over. The mark of a
// view stays until the expiry: the user alone makes those.
func (s *step) forgetStranger(old entry) {
	viewed := false
	if in := s.in(old.id); in != nil {
		viewed = in.State == inViewed
		if h, err := message.ParseHeader(in.Header); err == nil {
			s.tx.delete(expireName(h.Expires, "in/"+old.id.String()))
		}
	}
	s.tx.delete(inName(old.id))
	if m := load[state.End](&s.tx, endName(old.id)); m != nil && !viewed {
		s.tx.delete(expireName(identity.Time(m.Until), "end/"+old.id.String()))
		s.tx.delete(endName(old.id))
	}
	s.strangerGone(old.id)
}

// strangerGone: the message is not here any more. With a stranger's last one
// goes what was only known because of them.
func (s *step) strangerGone(id message.ID) {
	r := load[state.Stranger](&s.tx, strangerName(id))
	if r == nil {
		return
	}
	s.tx.delete(strangerName(id))
	s.freed()
	for _, e := range s.strangers() {
		if string(e.Sender) == string(r.Sender) {
			return
		}
	}
	s.forgetContact(identity.AccountID(r.Sender))
}

// forgetContact forgets an account that the user decided nothing about.
func (s *step) forgetContact(id identity.AccountID) {
	c := s.contact(id)
	if c == nil || isKnown(c) {
		return
	}
	if b, ok := s.tx.get(prefixHandle + c.Handle); ok && string(b) == string(c.Account) {
		s.tx.delete(prefixHandle + c.Handle)
	}
	for _, prefix := range []string{prefixCert, prefixResolve + prefixCert} {
		for _, name := range s.tx.names(prefix + id.String() + "/") {
			s.tx.delete(name)
		}
	}
	s.tx.delete(prefixResolve + id.String())
	s.tx.delete(contactName(id))
}

const (
	// maxCertificates is how many superseded certificates of an account are
	// kept: ten devices with an epoch a week need fewer.
	maxCertificates = 256
	// maxStrangerCertificates is the same for an account that is not accepted.
	maxStrangerCertificates = 16
)

// keepCertificate keeps a certificate that is superseded: wraps that name it may
// still come.
func (s *step) keepCertificate(c *identity.SignedCertificate) {
	a, limit := c.Certificate.Account, maxCertificates
	if s.isStranger(a) {
		limit = maxStrangerCertificates
	}
	if len(s.tx.names(prefixCert+a.String()+"/")) < limit {
		s.tx.put(certName(a, c.Certificate.Device, c.Certificate.Epoch), c.Bytes())
	}
}

// isKnown tells whether the user decided anything about a contact.
func isKnown(c *state.Contact) bool {
	return c.Accepted || c.Blocked || len(c.VerifiedKey) > 0 || c.Refused > 0
}

// welcome takes the messages of a sender who was accepted out of the strangers',
// tells him that they have come, and looks for those that were left.
func (s *step) welcome(id identity.AccountID) {
	for _, e := range s.strangers() {
		if identity.AccountID(e.Sender) != id {
			continue
		}
		s.tx.delete(strangerName(e.id))
		in := s.in(e.id)
		if in == nil || in.State != inReady {
			continue
		}
		if h, err := message.ParseHeader(in.Header); err == nil {
			s.post(h, message.R(in.R), message.Received)
		}
	}
	for _, name := range s.tx.names(prefixLeft) {
		s.tx.save(name, &state.Left{Contacts: true})
	}
	s.rereadNow()
}
