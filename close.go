package reseal

import (
	"context"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/secretmem"
)

// CloseAccount deletes the account: everything that the server has of it within
// a minute, and its section here. Messages that it sent stay with those whom
// they were sent to. Its handle is given to nobody for 30 days; contacts see
// that the account is closed. There is no way back. Errors: ErrLogin (the
// password is wrong), ErrOffline, ErrUncertain: a login tells then whether the
// account is still there.
func (a *Account) CloseAccount(ctx context.Context, pass []byte) error {
	c, err := a.authenticate(ctx, pass)
	if err != nil {
		return err
	}
	defer c.remote.link.Close()
	a.leaving.Store(true)
	_, err = repeat(ctx, c.remote.account.CloseAccount, &resealv1.CloseAccountRequest{})
	if err != nil {
		a.leaving.Store(false)
		if isSessionEnd(err) || refusal.Passing(err) {
			// By an earlier try of this call, or by a change of the password.
			return as(ErrUncertain, a.in.callError(err))
		}
		return a.in.callError(err)
	}
	if !a.synced.end() {
		return ErrSessionEnded
	}
	a.halt()
	err = a.section.Erase()
	a.events.close()
	a.in.noteEnd(nil)
	err = errors.Join(err, a.in.vault.RemoveSession(a.id))
	secretmem.Soon()
	return vaultError(err)
}

// noteClosed: the server knows nobody of a contact's handle any more.
func (a *Account) noteClosed(handle string) {
	if c, ok := a.contact(handle); ok {
		a.stepLogged(client.Streamed{Event: &resealv1.EventsResponse{
			Event: &resealv1.EventsResponse_AccountClosed{AccountClosed: c.Account[:]},
		}})
	}
}
