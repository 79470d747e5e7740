package records

import (
	"golang.org/x/crypto/cryptobyte"

	"github.com/reseal/reseal/identity"
)

// Notice is what the account's devices are told of its life: a recovery that
// was tried, a password that was changed. It is the Extra of an [EntryNotice].
type Notice struct {
	// What is a reseal.v1.AccountNotice.What.
	What uint8
	// At is when, of what can come often to the hour, so that repeats are one.
	At identity.Time
	// Due is when an announced thing may happen; 0 for none.
	Due identity.Time
	// Device is who did or asked for it; zero where no device did.
	Device identity.DeviceID
}

// Encode returns the bytes of an entry's Extra.
func (n Notice) Encode() []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddUint8(n.What)
		b.AddUint64(uint64(n.At))
		b.AddUint64(uint64(n.Due))
		b.AddBytes(n.Device[:])
	})
}

// ParseNotice reads the Extra of a notice.
func ParseNotice(v []byte) (n Notice, err error) {
	err = parse(v, func(s *cryptobyte.String) bool {
		return s.ReadUint8(&n.What) && s.ReadUint64((*uint64)(&n.At)) && s.ReadUint64((*uint64)(&n.Due)) && s.CopyBytes(n.Device[:])
	})
	return n, err
}
