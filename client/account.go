package client

import (
	"errors"
	"fmt"
	"slices"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
)

// What the keys of an account can be wrong in, as the user is told.
var (
	// ErrNoStranger: a contact that was accepted cannot be refused.
	ErrNoStranger = errors.New("client: no stranger")
	// ErrUnknownContact: no contact has this account id.
	ErrUnknownContact = errors.New("client: unknown contact")
	// ErrKeys: lists or certificates that do not verify.
	ErrKeys = errors.New("client: account keys do not verify")
	// ErrKeyChanged: the user decided on a key that is not the one on record.
	ErrKeyChanged = errors.New("client: the account key is another one by now")
	// ErrAlarm: everything with this account is held back until the user
	// decides (Trust).
	ErrAlarm = errors.New("client: the account's keys changed in a way that its old key does not vouch for")
	// ErrBlocked: the user blocked this account.
	ErrBlocked = errors.New("client: account is blocked")
)

// learn takes what the server tells of accounts. Each is checked on its own;
// one that does not verify never stops the others.
func (s *step) learn(all []*resealv1.AccountKeys, of told) {
	for _, k := range all {
		s.learned(s.learnOne(k, of))
	}
}

func (s *step) learned(err error) {
	switch {
	case err == nil || errors.Is(err, errIgnored):
	case errors.Is(err, identity.ErrVersion):
		s.count.Newer++
	default:
		s.count.BadKeys++
	}
}

// told is how much the server told of an account.
type told uint8

const (
	// passing: what came along with something else. Rotations may be missing.
	passing told = iota
	// complete: the answer to a question that named the version known here, so
	// every rotation since is in it.
	complete
)

// errIgnored is an answer about somebody who is of no interest here.
var errIgnored = errors.New("client: not asked for")

func (s *step) learnOne(k *resealv1.AccountKeys, of told) error {
	if len(k.GetAccountId()) != len(identity.AccountID{}) {
		return ErrKeys
	}
	id := identity.AccountID(k.AccountId)
	if id == s.e.id.account {
		return s.learnOwn(k, of)
	}
	c := s.contact(id)
	if c == nil {
		if _, wanted := s.tx.get(prefixResolve + id.String()); !wanted {
			return errIgnored
		}
		var err error
		if c, err = s.firstContact(k, false); err != nil {
			return err
		}
	}
	changed, err := s.follow(c, k, of)
	if err != nil {
		return err
	}
	if c.Closed { // it was wrong
		c.Closed = false
		s.saveContact(c)
	}
	if of == complete {
		s.tx.delete(prefixResolve + id.String())
	}
	if changed {
		s.reconsider(id)
	}
	return nil
}

// firstContact pins the account as it is now: trust on first use. Safety
// numbers are how two people check that the server did not lie here. addressed
// tells that the user named the handle.
func (s *step) firstContact(k *resealv1.AccountKeys, addressed bool) (*state.Contact, error) {
	l, err := s.e.list(k.List)
	if err != nil || l.List.Account != identity.AccountID(k.AccountId) {
		return nil, keysError(err)
	}
	c := &state.Contact{
		Account: k.AccountId, Handle: k.Handle, Key: l.List.Key[:], Next: l.List.Next[:],
	}
	s.setHandle(c, addressed)
	return c, nil
}

// keysError is ErrKeys for a device list, with the cause where it is a newer
// version, and its text else; nil stands for a list of another account.
func keysError(err error) error {
	switch {
	case err == nil:
		return fmt.Errorf("%w: device list of another account", ErrKeys)
	case errors.Is(err, identity.ErrVersion):
		return fmt.Errorf("%w: device list: %w", ErrKeys, err)
	}
	return fmt.Errorf("%w: device list: %v", ErrKeys, err)
}

// setHandle lets a handle name this contact. A handle that named another
// account before marks the new one as renamed, so that the user is warned. Of
// a stranger the server alone says what it is called: that takes no handle
// away from anybody.
func (s *step) setHandle(c *state.Contact, addressed bool) {
	if c.Handle == "" {
		return
	}
	name := prefixHandle + c.Handle
	if old, ok := s.tx.get(name); ok && string(old) != string(c.Account) {
		c.Renamed = true
		if !addressed {
			return
		}
	}
	s.tx.put(name, c.Account)
}

func pinOf(c *state.Contact) identity.Pin {
	p := identity.Pin{Account: identity.AccountID(c.Account), Version: c.ListVersion}
	copy(p.Key[:], c.Key)
	copy(p.Next[:], c.Next)
	copy(p.Hash[:], c.ListHash)
	return p
}

// follow checks the chain of rotations and the newest list against the pin,
// then the certificates against the list, and stores what is newer. changed
// tells whether anything was.
func (s *step) follow(c *state.Contact, k *resealv1.AccountKeys, of told) (changed bool, err error) {
	newest, err := s.e.list(k.List)
	if err != nil || newest.List.Account != identity.AccountID(c.Account) {
		return false, keysError(err)
	}
	pin := pinOf(c)
	if c.ListVersion == 0 {
		pin = identity.PinOf(newest)
	} else {
		var at *identity.SignedList
		switch pin, at, err = s.followChain(pin, k); {
		case errors.Is(err, identity.ErrOlder):
			// Late news, or a server that serves an old list: what is known stays.
			s.count.OlderLists++
			return false, nil
		case errors.Is(err, identity.ErrKeyChanged) && of == passing:
			// Rotations may be missing. Asked for them, the server has to show
			// them all, or it is a reset.
			s.wantAccount(identity.AccountID(c.Account))
			return false, nil
		case at != nil && err != nil:
			s.alarm(c, at, err)
			return true, fmt.Errorf("%w: device list: %w", ErrKeys, err)
		case err != nil:
			return false, keysError(err)
		}
	}
	if pin.Version > c.ListVersion || len(c.List) == 0 {
		s.listChanged(identity.AccountID(c.Account), c.List, newest, false)
		s.take(c, pin)
		c.List = k.List
		changed = true
		s.dirtyBook(identity.AccountID(c.Account))
	}
	var certs bool
	c.Certificates, certs = s.followCertificates(newest, c.Certificates, k.Certificates)
	if changed || certs {
		s.saveContact(c)
	}
	return changed || certs, nil
}

// followChain follows the rotations that are new and then the newest list. With
// an error it names the list that caused it, nil for one that is no list.
func (s *step) followChain(pin identity.Pin, k *resealv1.AccountKeys) (identity.Pin, *identity.SignedList, error) {
	from := pin
	for i, b := range append(slices.Clone(k.Rotations), k.List) {
		l, err := s.e.list(b)
		if err == nil && l.List.Account != pin.Account {
			err = identity.ErrOtherAccount // says nothing of this one
		}
		if err != nil {
			return from, nil, err
		}
		next, err := pin.Follow(l)
		if errors.Is(err, identity.ErrOlder) && i < len(k.Rotations) {
			continue
		}
		if err != nil {
			return from, l, err
		}
		pin = next
	}
	return pin, nil, nil
}

// take pins a list that was followed. A later list that follows is the way out
// of an alarm, and a signed succession keeps the verified mark.
func (s *step) take(c *state.Contact, pin identity.Pin) {
	if pin.Version > c.ListVersion && c.Alarm != errTwoKeys.Error() {
		c.Alarm, c.AlarmList = "", nil
	}
	if len(c.VerifiedKey) > 0 && string(c.VerifiedKey) == string(c.Key) {
		c.VerifiedKey = pin.Key[:]
	}
	c.Key, c.Next, c.ListVersion, c.ListHash = pin.Key[:], pin.Next[:], pin.Version, pin.Hash[:]
}

// alarm holds everything with this account back until the user decides, and
// keeps the list that caused it, so that Trust means that very list.
func (s *step) alarm(c *state.Contact, l *identity.SignedList, why error) {
	if c.Alarm == "" {
		s.show(Alarm{identity.AccountID(c.Account), why.Error()})
	}
	c.Alarm, c.AlarmList = why.Error(), l.Bytes()
	s.saveContact(c)
	s.count.Alarms++
}

// followCertificates keeps the newest good certificate of every device of the
// list. A certificate that fails is skipped and counted; it never stops
// anything else.
func (s *step) followCertificates(l *identity.SignedList, known, told [][]byte) (kept [][]byte, changed bool) {
	newest := map[identity.DeviceID]*identity.SignedCertificate{}
	take := func(b []byte, isNew bool) {
		c, err := s.e.memory.certificate(b)
		if err != nil || c.Certificate.Account != l.List.Account {
			s.count.BadKeys++
			return
		}
		d, ok := l.Find(c.Certificate.Device)
		if !ok {
			return
		}
		if isNew && !s.e.memory.isCertified(c, d) {
			s.count.BadKeys++
			return
		}
		old := newest[d.ID]
		if old != nil {
			switch err := identity.CheckSuccessor(old, c); {
			case errors.Is(err, identity.ErrOlder):
				return
			case err != nil:
				// Two of one epoch, a record version that fell, a key used
				// twice: whoever holds an old key, or a broken client.
				s.count.BadKeys++
				return
			case c.Certificate.Epoch == old.Certificate.Epoch:
				return
			}
			// Wraps that name the old one may still come.
			s.keepCertificate(old)
		}
		newest[d.ID] = c
		changed = changed || isNew
	}
	for _, b := range known {
		take(b, false)
	}
	for _, b := range told {
		take(b, true)
	}
	for _, d := range l.List.Devices {
		if c := newest[d.ID]; c != nil {
			kept = append(kept, c.Bytes())
		}
	}
	return kept, changed || len(kept) != len(known)
}

// learnOwn follows the own account's list: only what the pinned account key
// signed, never backwards.
func (s *step) learnOwn(k *resealv1.AccountKeys, of told) error {
	if len(k.List) > 0 {
		if err := s.ownKeys(k, of); err != nil {
			return err
		}
	}
	l, err := s.e.list(s.me().List)
	if err != nil {
		return ErrKeys
	}
	certs, changed := s.followCertificates(l, s.me().Certificates, k.Certificates)
	if changed {
		s.edit(func(self *state.Self) { self.Certificates = certs })
		s.reconsider(s.e.id.account)
	}
	return nil
}

// ownList takes a list of the own account that this device published.
func (s *step) ownList(ev OwnList) error {
	return s.ownKeys(&resealv1.AccountKeys{List: ev.List}, complete)
}

// ownKeys follows the own account's list, as contacts do.
func (s *step) ownKeys(k *resealv1.AccountKeys, of told) error {
	old, err := s.e.list(s.me().List)
	if err != nil {
		return fmt.Errorf("%w: own list", ErrState)
	}
	l, err := s.e.list(k.List)
	if err != nil || l.List.Account != s.e.id.account {
		return keysError(err)
	}
	switch _, at, err := s.followChain(identity.PinOf(old), k); {
	case errors.Is(err, identity.ErrKeyChanged) && s.ownReset(old, l):
	case errors.Is(err, identity.ErrOlder):
		s.count.OlderLists++
		s.offerList(old, l)
		return nil
	case errors.Is(err, identity.ErrKeyChanged) && of == passing:
		s.wantAccount(s.e.id.account)
		return nil
	case at != nil && err != nil:
		s.count.Alarms++
		s.show(Alarm{s.e.id.account, err.Error()})
		return fmt.Errorf("%w: device list: %w", ErrKeys, err)
	case err != nil:
		return keysError(err)
	case l.Hash() == old.Hash():
		return nil
	}
	s.listChanged(s.e.id.account, s.me().List, l, true)
	s.edit(func(self *state.Self) { self.List = k.List })
	s.rotated(l)
	if _, here := l.Find(s.e.id.device); !here {
		s.show(Removed{})
	}
	s.reconsider(s.e.id.account)
	return nil
}

func (s *step) listChanged(id identity.AccountID, before []byte, now *identity.SignedList, own bool) {
	if len(before) == 0 {
		return
	}
	old, err := s.e.list(before)
	if err != nil {
		return
	}
	n := ListChanged{Account: id, Own: own}
	for _, d := range now.List.Devices {
		if _, ok := old.Find(d.ID); !ok {
			n.Added = append(n.Added, d.ID)
		}
	}
	for _, d := range old.List.Devices {
		if _, ok := now.Find(d.ID); !ok {
			n.Removed = append(n.Removed, d.ID)
		}
	}
	s.show(n)
}

// addContact is the user's own act of addressing a handle.
func (s *step) addContact(ev AddContact) error {
	if len(ev.Keys.GetAccountId()) != len(identity.AccountID{}) {
		return ErrKeys
	}
	id := identity.AccountID(ev.Keys.AccountId)
	if id == s.e.id.account {
		return s.learnOwn(ev.Keys, complete)
	}
	c := s.contact(id)
	if c == nil {
		var err error
		if c, err = s.firstContact(ev.Keys, true); err != nil {
			return err
		}
	} else if c.Handle != ev.Keys.Handle || !c.Accepted {
		c.Handle = ev.Keys.Handle
		s.setHandle(c, true)
	}
	accepted := c.Accepted
	c.Accepted = true
	changed, err := s.follow(c, ev.Keys, complete)
	if err != nil && c.Alarm == "" {
		return err
	}
	if !accepted || !changed {
		s.saveContact(c)
		s.dirtyBook(id)
	}
	s.tx.delete(prefixResolve + id.String())
	s.reconsider(id)
	if !accepted {
		s.welcome(id)
	}
	return nil
}
