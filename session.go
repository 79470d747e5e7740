package reseal

import (
	"context"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
)

// EndSession ends a login of the account, one that Devices lists: its device
// stays, and needs the password to come back. Ending one that has ended already
// is no error. The login of this call ends like any other; LogOut ends it and
// seals what is here. Errors: ErrOffline, ErrSessionEnded.
func (a *Account) EndSession(ctx context.Context, id [16]byte) error {
	_, err := a.remote.account.EndSession(ctx, &resealv1.EndSessionRequest{Id: id[:]})
	return a.in.callError(err)
}
