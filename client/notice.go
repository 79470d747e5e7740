package client

import (
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
)

// AccountNotice: something was done to the user's account, as the server says.
// Nothing follows from it but that the user is told.
type AccountNotice struct {
	What resealv1.AccountNotice_What
	At   identity.Time
	// Due is when what was announced may happen; 0 for none.
	Due identity.Time
	// Device is who did or asked for it; zero where no device did.
	Device identity.DeviceID
}

// AccountClosed: a contact's account was closed, as the server says. Nothing of
// the contact is forgotten: the server may be wrong.
type AccountClosed struct{ Account identity.AccountID }

func (AccountNotice) notice() {}
func (AccountClosed) notice() {}

func (s *step) accountClosed(b []byte) {
	if len(b) != len(identity.AccountID{}) {
		return
	}
	id := identity.AccountID(b)
	if c := s.contact(id); c != nil && !c.Closed {
		c.Closed = true
		s.saveContact(c)
		s.show(AccountClosed{id})
	}
}

func (s *step) accountNotice(n *resealv1.AccountNotice) {
	told := AccountNotice{What: n.GetWhat(), At: identity.Time(n.GetAtMs()), Due: identity.Time(n.GetDueMs())}
	if told.At > identity.MaxTime || told.Due > identity.MaxTime {
		return
	}
	if len(n.GetDeviceId()) == len(told.Device) {
		told.Device = identity.DeviceID(n.DeviceId)
	}
	s.show(told)
}
