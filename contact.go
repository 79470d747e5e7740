package reseal

import (
	"context"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
)

// Contact is another account as this one knows it.
type Contact struct {
	Handle  string
	Account identity.AccountID
	// State is "known", "stranger", "refused", "blocked", "alarm" or "closed".
	State    string
	Alarm    string
	Verified bool
	// Changed: another key than the present one was verified.
	Changed bool
	// Renamed: another account had this handle before.
	Renamed bool
	Devices int
	// SafetyNumber is 60 digits in groups of 5, the same on both sides: of the
	// key that this account holds to, also during an alarm.
	SafetyNumber string
	// Offered are the keys that Trust can end an alarm with, each with the
	// safety number that the other side then sees; none without an alarm, and
	// none for an alarm that only a later device list ends.
	Offered []OfferedKey
}

// OfferedKey is an account key that an alarm is about.
type OfferedKey struct {
	Key          identity.AccountPublic
	SafetyNumber string
}

// Contacts lists everybody that this account knows. Safety numbers, which cost
// some milliseconds each, and offered keys are left out: Contact has them.
func (a *Account) Contacts() ([]Contact, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrClosed
	}
	all, err := a.engine.Contacts()
	if err != nil {
		return nil, engineError(err)
	}
	out := make([]Contact, len(all))
	for i, c := range all {
		out[i] = contactOf(c)
	}
	return out, nil
}

func contactOf(c client.Contact) Contact {
	k := Contact{
		Handle: c.Handle, Account: c.Account, Alarm: c.Alarm, Verified: c.Verified, Changed: c.WasVerified,
		Renamed: c.Renamed, Devices: c.Devices, State: "known",
	}
	switch {
	case c.Blocked:
		k.State = "blocked"
	case c.Alarm != "":
		k.State = "alarm"
	case c.Closed:
		k.State = "closed"
	case c.Refused:
		k.State = "refused"
	case !c.Accepted:
		k.State = "stranger"
	}
	return k
}

// Contact finds a contact by handle, or looks the handle up, and gives its
// safety number. Errors: *UnknownAccountError.
func (a *Account) Contact(ctx context.Context, name string) (Contact, error) {
	c, err := a.known(ctx, name)
	if err != nil {
		return Contact{}, err
	}
	k := contactOf(c)
	if k.SafetyNumber, err = a.safetyNumber(c.Account, c.Key); err != nil {
		return Contact{}, err
	}
	for _, key := range c.Offered {
		number, err := a.safetyNumber(c.Account, key)
		if err != nil {
			return Contact{}, err
		}
		k.Offered = append(k.Offered, OfferedKey{key, number})
	}
	return k, nil
}

func (a *Account) known(ctx context.Context, name string) (client.Contact, error) {
	h, err := handle.Parse(name)
	if err != nil {
		return client.Contact{}, &UnknownAccountError{name}
	}
	if c, ok := a.contact(string(h)); ok {
		return c, nil
	}
	if _, err := a.lookup(ctx, string(h), false); err != nil {
		return client.Contact{}, err
	}
	c, ok := a.contact(string(h))
	if !ok {
		return client.Contact{}, &UnknownAccountError{name}
	}
	return c, nil
}

func (a *Account) safetyNumber(id identity.AccountID, key identity.AccountPublic) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return "", ErrClosed
	}
	l, _, err := a.engine.OwnKeys()
	if err != nil {
		return "", engineError(err)
	}
	return identity.SafetyNumber(identity.Party{ID: a.id, Key: l.List.Key}, identity.Party{ID: id, Key: key}), nil
}

// Accept takes a stranger as a contact.
func (a *Account) Accept(ctx context.Context, name string) error {
	return a.change(ctx, name, client.Accept)
}

// Refuse drops what a stranger has sent so far, on all devices of this account,
// without a word to anybody; what comes later is shown as a stranger's again.
// Accepting later brings back what has not expired. Errors: ErrNoStranger for a
// contact.
func (a *Account) Refuse(ctx context.Context, name string) error {
	return a.change(ctx, name, client.Refuse)
}

// Block stops everything with an account, in both directions; it notices
// nothing.
func (a *Account) Block(ctx context.Context, name string) error {
	return a.change(ctx, name, client.Block)
}

// Unblock ends that.
func (a *Account) Unblock(ctx context.Context, name string) error {
	return a.change(ctx, name, client.Unblock)
}

func (a *Account) change(ctx context.Context, name string, what client.ContactChange) error {
	c, err := a.known(ctx, name)
	if err != nil {
		return err
	}
	return a.decide(ctx, client.ChangeContact{Account: c.Account, Change: what, Key: c.Key})
}

// Verify compares a safety number that the other side read out, scanned or
// typed with the contact's; if they are the same, the contact is marked as
// verified, and a stranger is accepted as by Accept: whose number was compared is
// known. One who is blocked stays blocked, and is not accepted. The error is of the text's form, or ErrKeyChanged.
func (a *Account) Verify(ctx context.Context, name, number string) (bool, error) {
	c, err := a.known(ctx, name)
	if err != nil {
		return false, err
	}
	own, err := a.safetyNumber(c.Account, c.Key)
	if err != nil {
		return false, err
	}
	same, err := identity.SameSafetyNumber(number, own)
	if err != nil || !same {
		return false, err
	}
	return true, a.decide(ctx, client.ChangeContact{Account: c.Account, Change: client.Verify, Key: c.Key})
}

// Trust ends an alarm by taking key, which the user looked at, for the contact's
// own: the user says that it is the same person. It is one of Contact.Offered; a
// server that offers another one meanwhile gains nothing. Errors: ErrKeyChanged
// when it is not offered any more, or never was; ErrAlarm when no key ends this
// alarm, but a later device list; *UnknownAccountError.
func (a *Account) Trust(ctx context.Context, name string, key identity.AccountPublic) error {
	c, err := a.known(ctx, name)
	if err != nil {
		return err
	}
	return a.decide(ctx, client.ChangeContact{Account: c.Account, Change: client.Trust, Key: key})
}
