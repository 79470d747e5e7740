package book

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"

	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
)

// MaxRivals is the most different keys (or commitments to a next one) that a
// contact in conflict keeps. With more it is Crowded and keeps none.
const MaxRivals = 8

// Contact is what an account knows of another. Each field that the user can
// change back and forth has a count of its changes, by which Merge tells the
// later one; the methods keep them.
type Contact struct {
	Account identity.AccountID

	// Blocked outlives a removal: a removed contact stays blocked.
	Blocked      bool
	BlockedCount uint32

	// Life counts how often the contact came back after a removal. What is
	// below belongs to one life; a removed contact has none of it.
	Life    uint32
	Removed bool

	// Handle is empty while unknown.
	Handle      handle.Handle
	HandleCount uint32

	// Pins are what the contact was seen as, in their order ([Contact.Current]):
	// one, unless devices disagree. Choice counts the successions followed and
	// the user's picks; a higher one drops the pins of a lower.
	Pins    []identity.Pin
	Choice  uint32
	Crowded bool

	// Verified is the account key whose safety number was compared, zero for
	// none.
	Verified      identity.AccountPublic
	VerifiedCount uint32

	// Accepted: the user addressed the contact or agreed to its messages.
	Accepted bool
	// Renamed: the handle named another account before.
	Renamed bool
	// Refused: what the contact created up to then the user did not want; it
	// counts while the contact is not accepted. 0 for never.
	Refused identity.Time
}

// Current is the pin by which the contact is known. A pin whose committed next
// key is another pin's key gives way to it; ErrConflict when more than one is
// left then, ErrNoKey when there is none at all.
func (c Contact) Current() (identity.Pin, error) {
	if c.Crowded {
		return identity.Pin{}, ErrConflict
	}
	var current []identity.Pin
	for _, p := range c.Pins {
		if !slices.ContainsFunc(c.Pins, func(o identity.Pin) bool { return succeeds(o, p) }) {
			current = append(current, p)
		}
	}
	switch {
	case len(c.Pins) == 0:
		return identity.Pin{}, ErrNoKey
	case len(current) != 1:
		return identity.Pin{}, ErrConflict
	}
	return current[0], nil
}

// succeeds reports whether o's key is the one that p commits to. Only the
// account's owner can have made that key known.
func succeeds(o, p identity.Pin) bool {
	return o.Key != p.Key && sha256.Sum256(o.Key[:]) == [32]byte(p.Next)
}

// Follow takes a pin that identity.Pin.Follow reached from Current. At a
// rotation the verified mark goes along with the succession. Errors: ErrConflict,
// ErrNoKey when there is nothing to follow from; ErrConflict also for the same
// key with another committed next one, which no honest account signs.
func (c *Contact) Follow(p identity.Pin) error {
	old, err := c.Current()
	if err != nil {
		return err
	}
	if p.Key == old.Key {
		if p.Next != old.Next {
			return ErrConflict
		}
		c.Pins, c.Crowded = joinPins(c.Pins, []identity.Pin{p})
		return nil
	}
	verified := c.Verified == old.Key
	c.Choose(p)
	if verified {
		c.Verify(p.Key)
	}
	return nil
}

// Meet unites the contact with a pin by which a device knew it that did not have
// it in its book. Of a later list of the key in force, and of the key that this
// one commits to, the pin is followed; an earlier one adds nothing. Any other one
// stands beside it, so that the contact is in conflict.
func (c *Contact) Meet(p identity.Pin) {
	cur, err := c.Current()
	switch {
	case err != nil, p.Version < cur.Version:
	case succeeds(p, cur), p.Key == cur.Key && p.Next == cur.Next && p.Version > cur.Version:
		_ = c.Follow(p) // there is a current one
	default:
		c.Pins, c.Crowded = joinPins(c.Pins, []identity.Pin{p})
	}
}

// Choose takes the pin that the user picked in a conflict or after a reset, in
// place of all others. It is verified only if that very key was.
func (c *Contact) Choose(p identity.Pin) {
	c.Pins, c.Crowded, c.Choice = []identity.Pin{p}, false, next(c.Choice)
}

// Verify notes that the safety number with this key was compared; the zero key
// takes the mark away.
func (c *Contact) Verify(k identity.AccountPublic) {
	if c.Verified != k {
		c.Verified, c.VerifiedCount = k, next(c.VerifiedCount)
	}
}

// IsVerified reports whether the current key is the verified one.
func (c Contact) IsVerified() bool {
	p, err := c.Current()
	return err == nil && c.Verified == p.Key
}

// SetBlocked blocks or unblocks.
func (c *Contact) SetBlocked(blocked bool) {
	if c.Blocked != blocked {
		c.Blocked, c.BlockedCount = blocked, next(c.BlockedCount)
	}
}

// SetHandle notes the handle that the account has now.
func (c *Contact) SetHandle(h handle.Handle) {
	if c.Handle != h {
		c.Handle, c.HandleCount = h, next(c.HandleCount)
	}
}

// Remove forgets the contact but for its id, its block and the removal.
func (c *Contact) Remove() { *c = c.tombstone() }

func (c Contact) tombstone() Contact {
	return Contact{Account: c.Account, Blocked: c.Blocked, BlockedCount: c.BlockedCount, Life: c.Life, Removed: true}
}

func (c Contact) clone() Contact {
	c.Pins = slices.Clone(c.Pins)
	return c
}

// comparePins orders pins by rivalry (key, then committed next), version and
// hash.
func comparePins(a, b identity.Pin) int {
	return cmp.Or(compareRivals(a, b), cmp.Compare(a.Version, b.Version), bytes.Compare(a.Hash[:], b.Hash[:]))
}

func compareRivals(a, b identity.Pin) int {
	return cmp.Or(bytes.Compare(a.Key[:], b.Key[:]), bytes.Compare(a.Next[:], b.Next[:]))
}

// valid reports whether c has an encoding: its fields in range, a removed one
// empty, its pins as joinPins leaves them.
func (c Contact) valid() bool {
	if c.Account.IsZero() || c.Handle != "" && !c.Handle.Valid() {
		return false
	}
	if c.Removed {
		t := c.tombstone()
		return len(c.Pins) == 0 && c.Handle == "" && c.HandleCount == 0 && c.Choice == 0 && !c.Crowded &&
			c.Verified == t.Verified && c.VerifiedCount == 0 && !c.Accepted && !c.Renamed && c.Refused == 0
	}
	for _, p := range c.Pins {
		if p.Account != c.Account || p.Version == 0 || p.Key == (identity.AccountPublic{}) {
			return false
		}
	}
	pins, crowded := joinPins(c.Pins, nil)
	return slices.Equal(pins, c.Pins) && !crowded && !(c.Crowded && len(pins) > 0)
}
