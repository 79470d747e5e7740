package reseal

import (
	"context"
	"errors"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/remote/link"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/secretmem"
)

// LogOutOptions say how to log out.
type LogOutOptions struct {
	// Remove also removes this device from the account, for which the password
	// is needed, and destroys its section. The installation becomes unknown to
	// the server, so that nobody can find out there who was here: other
	// accounts at it count as a stranger's until their next login.
	Remove   bool
	Password []byte
}

// logoutPatience is how long a logout waits for what is open.
const logoutPatience = 5 * time.Second

// LogOut answers what is open (5 seconds at most), seals the section anew under
// a fresh local share, wipes all keys and ends the session. It then collects
// garbage and clears what the runtime has freed, of the whole process: some
// tenths of a second. The device stays in
// the account's list: what is sent meanwhile opens at the next login here. It
// works without a server; then the session ends there by itself.
//
// unsecured is how much of what this device had to tell the server is left, and
// waits, sealed, for the next login.
func (a *Account) LogOut(ctx context.Context, o LogOutOptions) (unsecured int, err error) {
	wait, cancel := context.WithTimeout(ctx, logoutPatience)
	defer cancel()
	if a.Connected() {
		if err := a.Online(wait); err == nil {
			_ = a.Settle(wait)
		}
	}
	a.leaving.Store(true)
	if o.Remove {
		if err := a.RemoveDevice(ctx, a.device, o.Password); err != nil {
			a.leaving.Store(false)
			if a.remote.link.State().Kind == link.SessionEnded {
				a.sessionEnded(a.remote.link.State().Err) // it did happen, although the answer was lost
			}
			return 0, err
		}
	}
	if !a.synced.end() {
		return 0, ErrSessionEnded // it had ended before, and the account is closed
	}
	unsecured = a.Unsecured()
	if !o.Remove && a.Connected() {
		end, cancel := context.WithTimeout(link.FailFast(context.WithoutCancel(ctx)), 3*time.Second)
		_, _ = a.remote.account.EndSession(end, &resealv1.EndSessionRequest{})
		cancel()
	}
	a.halt()
	if o.Remove {
		// The proof of the password has shown the present seed.
		err = errors.Join(a.in.vault.RenewSeed(), a.section.Erase(), a.dropFiles(func(string) bool { return true }))
	} else {
		secretmem.Do(func() { err = a.section.Lock() })
	}
	a.events.close()
	a.in.vault.Stamp(filesName)
	a.in.noteEnd(nil)
	err = errors.Join(err, a.in.vault.RemoveSession(a.id))
	secretmem.Soon()
	return unsecured, vaultError(err)
}

// halt ends everything that runs for the account, before its section is sealed.
func (a *Account) halt() {
	a.cancel(ErrClosed)
	_ = a.remote.link.Close()
	a.wg.Wait()
	a.flights.end()
	a.wipe()
	a.in.remove(a)
}

// dropDevice publishes the list without a device. A conflict applies the
// intent anew to the newest list.
func (in *Installation) dropDevice(ctx context.Context, c *credentials, id identity.DeviceID) (*identity.SignedList, error) {
	for range 16 {
		next, err := identity.RemoveDevice(c.list, id, in.now())
		switch {
		case errors.Is(err, identity.ErrNoChange):
			return nil, ErrUnknownDevice
		case errors.Is(err, identity.ErrLastDevice):
			return nil, ErrLastDevice
		case err != nil:
			return nil, err
		}
		if err := in.raiseBook(ctx, c, &next); err != nil {
			return nil, err
		}
		l, err := identity.SignList(next, c.capsule.Account)
		if err != nil {
			return nil, err
		}
		capsules, err := in.capsules(c, l)
		if err != nil {
			return nil, err
		}
		_, err = repeat(ctx, c.remote.account.RemoveDevice, &resealv1.RemoveDeviceRequest{
			Revision: c.revision, List: l.Bytes(), DeviceId: id[:], Capsules: capsules,
		})
		if err == nil {
			return l, nil
		}
		if refusal.Reason(err) != resealv1.Reason_REASON_CONFLICT {
			return nil, err
		}
		if err := c.refresh(ctx, [32]byte{}); err != nil {
			return nil, err
		}
	}
	return nil, ErrServerFull
}
