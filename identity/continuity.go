package identity

import "errors"

// Pin is what a contact remembers of an account: the account key and its
// committed successor, and the highest list seen.
type Pin struct {
	Account AccountID
	Key     AccountPublic
	Next    NextHash
	Version uint64
	Hash    ListHash
}

// PinOf is the pin for an account whose list l is the newest that is trusted:
// at first contact, or one's own.
func PinOf(l *SignedList) Pin {
	return Pin{
		Account: l.List.Account,
		Key:     l.List.Key,
		Next:    l.List.Next,
		Version: l.List.Version,
		Hash:    l.hash,
	}
}

// Follow says whether l may come after what p remembers, and returns the new
// pin; on an error the pin returned is p. The rules stand in spec/identity.md,
// "Continuity". Errors: ErrOtherAccount, ErrOlder, ErrKeyChanged; and those
// that are an Alarm: ErrFork, ErrNextChanged, ErrSecondSuccession.
func (p Pin) Follow(l *SignedList) (Pin, error) {
	if l.List.Account != p.Account {
		return p, ErrOtherAccount
	}
	if l.List.Version < p.Version {
		return p, ErrOlder
	}
	if l.List.Version == p.Version {
		if l.hash != p.Hash {
			return p, ErrFork
		}
		return p, nil
	}
	if err := p.follows(l); err != nil {
		return p, err
	}
	// Only the direct successor can be checked against the hash; a list further
	// on is vouched for by the signature of the same or the succeeding key.
	if l.List.Version-p.Version == 1 && l.List.Prev != p.Hash {
		return p, ErrFork
	}
	return PinOf(l), nil
}

// follows judges the key of a list above the pinned version.
func (p Pin) follows(l *SignedList) error {
	switch {
	case !l.Rotation() && l.List.Key == p.Key:
		if l.List.Next != p.Next {
			return ErrNextChanged
		}
		return nil
	case l.Rotation() && l.List.Key == p.Key:
		// The pinned key was handed over to already, at or below the pinned
		// version, or was there from the start.
		return ErrSecondSuccession
	case l.Rotation() && l.from == p.Key:
		if l.List.Key.Next() != p.Next {
			return ErrSecondSuccession
		}
		return nil
	default:
		return ErrKeyChanged
	}
}

// FollowAll follows lists one after another, ascending by version, as a server
// hands them out: the rotations since the pinned version and then the newest.
// On an error nothing is followed: the pin returned is p.
func (p Pin) FollowAll(lists []*SignedList) (Pin, error) {
	q := p
	for _, l := range lists {
		var err error
		if q, err = q.Follow(l); err != nil {
			return p, err
		}
	}
	return q, nil
}

// Agree is the way out of ErrKeyChanged after a reset: the user looked at l's
// account key and agreed to it. The list must carry exactly the key agreed to,
// so that what the user saw is what is pinned. A list that needs no agreement
// is followed, and one that is an alarm stays one: an agreement must not talk
// over it. Errors: as Follow; ErrKeyChanged for another key than agreed.
func (p Pin) Agree(l *SignedList, agreed AccountPublic) (Pin, error) {
	if l.List.Account == p.Account && l.List.Key != agreed {
		return p, ErrKeyChanged
	}
	q, err := p.Follow(l)
	if !errors.Is(err, ErrKeyChanged) {
		return q, err
	}
	if l.List.Version-p.Version == 1 && l.List.Prev != p.Hash {
		return p, ErrFork
	}
	return PinOf(l), nil
}
