package client

import (
	"fmt"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
)

// wantAccount asks for an account's keys, once, until they are there.
func (s *step) wantAccount(id identity.AccountID) {
	name := prefixResolve + id.String()
	if _, ok := s.tx.get(name); ok {
		return
	}
	s.tx.put(name, present)
	if s.mayCall(name) {
		s.resolve(id)
	}
}

func (s *step) resolve(id identity.AccountID) {
	known := &resealv1.KnownAccount{AccountId: id[:]}
	if c := s.contact(id); c != nil {
		known.ListVersion = c.ListVersion
	} else if l, err := s.e.list(s.me().List); err == nil && id == s.e.id.account {
		known.ListVersion = l.List.Version
	}
	s.do(Call{"resolve/" + id.String(), &resealv1.GetAccountsRequest{Accounts: []*resealv1.KnownAccount{known}}})
}

// peer is an account as wraps need it: its list and newest certificates.
type peer struct {
	list  *identity.SignedList
	certs map[identity.DeviceID]*identity.SignedCertificate
	// blocked and alarm hold everything back, also where no list is known.
	blocked bool
	alarm   bool
	known   bool
}

// peer looks an account up, the own one included.
func (s *step) peer(id identity.AccountID) peer {
	list, certs := s.me().List, s.me().Certificates
	p := peer{known: true, certs: map[identity.DeviceID]*identity.SignedCertificate{}}
	if id != s.e.id.account {
		c := s.contact(id)
		if c == nil {
			return peer{}
		}
		if len(c.List) == 0 { // the book has a pin, and no list came that fits it
			return peer{blocked: c.Blocked, alarm: c.Alarm != ""}
		}
		list, certs = c.List, c.Certificates
		p.blocked, p.alarm = c.Blocked, c.Alarm != ""
	}
	var err error
	if p.list, err = s.e.list(list); err != nil {
		s.tx.err = fmt.Errorf("%w: list", ErrState)
		return peer{}
	}
	for _, b := range certs {
		if c, err := s.e.memory.certificate(b); err == nil {
			p.certs[c.Certificate.Device] = c
		}
	}
	return p
}
