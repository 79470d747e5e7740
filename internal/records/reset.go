package records

import (
	"golang.org/x/crypto/cryptobyte"

	"github.com/reseal/reseal/identity"
)

// Reset is a reset of the account that was asked for, and neither happened nor
// was cancelled.
type Reset struct {
	// Device asked for it, and alone can make it happen; zero where the operator
	// asked.
	Device identity.DeviceID
	// Code is the hash of the operator's code, and Session the session that came
	// by it, which alone can make it happen; zero otherwise.
	Code, Session [32]byte
	// Credential is the account's number when it was asked for: a change of the
	// password, a recovery or a rotation raises that, and the reset is void. Who
	// made one has what a reset is there to replace.
	Credential uint64
	Asked      identity.Time
	// Due is from when on it may happen.
	Due identity.Time
}

// Encode returns the value of `reset`.
func (r Reset) Encode() []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddBytes(r.Device[:])
		b.AddBytes(r.Code[:])
		b.AddBytes(r.Session[:])
		b.AddUint64(r.Credential)
		b.AddUint64(uint64(r.Asked))
		b.AddUint64(uint64(r.Due))
	})
}

// ParseReset reads the value of `reset`.
func ParseReset(v []byte) (r Reset, err error) {
	err = parse(v, func(s *cryptobyte.String) bool {
		return s.CopyBytes(r.Device[:]) && s.CopyBytes(r.Code[:]) && s.CopyBytes(r.Session[:]) && s.ReadUint64(&r.Credential) && s.ReadUint64((*uint64)(&r.Asked)) && s.ReadUint64((*uint64)(&r.Due))
	})
	return r, err
}
