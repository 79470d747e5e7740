package reseal

import (
	"context"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
)

// refreshAtOnce is how many contacts one call asks about: their lists and
// certificates are some ten kilobytes each.
const refreshAtOnce = 64

// RefreshContacts brings what is known of the contacts up to date: devices that
// changed, keys that raise an alarm, accounts that were closed while nobody
// here watched. A send does the same for those it is to. Errors: ErrOffline,
// ErrClosed.
func (a *Account) RefreshContacts(ctx context.Context) error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return ErrClosed
	}
	known := a.engine.KnownContacts()
	a.mu.Unlock()
	for len(known) > 0 {
		n := min(len(known), refreshAtOnce)
		resp, err := a.remote.directory.GetAccounts(ctx, &resealv1.GetAccountsRequest{Accounts: known[:n]})
		if err != nil {
			return a.in.callError(err)
		}
		if err := a.step(client.Learned{Accounts: resp.Accounts}); err != nil {
			return err
		}
		there := map[string]bool{}
		for _, k := range resp.Accounts {
			there[string(k.GetAccountId())] = true
		}
		for _, k := range known[:n] {
			if !there[string(k.AccountId)] {
				a.stepLogged(client.Streamed{Event: &resealv1.EventsResponse{
					Event: &resealv1.EventsResponse_AccountClosed{AccountClosed: k.AccountId},
				}})
			}
		}
		known = known[n:]
	}
	return nil
}
