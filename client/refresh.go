package client

import (
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
)

// KnownContacts are the contacts that there is something to learn of, each with
// the list version that is known here: all but those whose account was closed.
func (e *Engine) KnownContacts() []*resealv1.KnownAccount {
	s := e.read()
	var all []*resealv1.KnownAccount
	for _, name := range s.tx.names(prefixContact) {
		if c := load[state.Contact](&s.tx, name); c != nil && !c.Closed && len(c.Account) == len(identity.AccountID{}) {
			all = append(all, &resealv1.KnownAccount{AccountId: c.Account, ListVersion: c.ListVersion})
		}
	}
	return all
}
