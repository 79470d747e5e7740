package records

import (
	"golang.org/x/crypto/cryptobyte"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/store"
)

// InvitePartition holds all invites: they are few, and their operator lists them.
const InvitePartition = store.Partition("I")

// Invites is the prefix of all invites.
const Invites = store.Key("inv/")

// InviteKey is an invite, by the hash of its code (spec/invite.md). What begins
// an invite's key is its id.
func InviteKey(hash [32]byte) store.Key { return Invites + store.Key(hash[:]) }

// InviteIDSize is how many bytes of the hash name an invite.
const InviteIDSize = 8

// Invite is an invite, and the account that used it.
type Invite struct {
	End identity.Time
	// Used: Account has it, whose records are made; it may lack its handle.
	Used    bool
	Account identity.AccountID
}

// Encode returns the value of an invite.
func (i Invite) Encode() []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddUint64(uint64(i.End))
		if !i.Used {
			b.AddUint8(0)
			return
		}
		b.AddUint8(1)
		b.AddBytes(i.Account[:])
	})
}

// ParseInvite reads the value of an invite.
func ParseInvite(v []byte) (i Invite, err error) {
	err = parse(v, func(s *cryptobyte.String) bool {
		var used uint8
		if !s.ReadUint64((*uint64)(&i.End)) || !s.ReadUint8(&used) || used > 1 {
			return false
		}
		if i.Used = used == 1; !i.Used {
			return true
		}
		return s.CopyBytes(i.Account[:])
	})
	return i, err
}
