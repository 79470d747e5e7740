package identity

import (
	"bytes"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// decodeList reads the list at the start of b and returns what follows it. The
// length is bounded before anything is read.
func decodeList(b []byte) (l DeviceList, from *AccountPublic, rest []byte, err error) {
	s := cryptobyte.String(b)
	var version uint16
	if !s.ReadUint16(&version) || version == 0 {
		return l, nil, nil, ErrMalformed
	}
	if version != recordVersion1 {
		return l, nil, nil, ErrVersion
	}
	if len(b) > MaxSignedList {
		return l, nil, nil, ErrMalformed
	}
	var form uint8
	var devices cryptobyte.String
	if !s.ReadUint8(&form) || (form != formPlain && form != formRotation) ||
		!s.CopyBytes(l.Account[:]) ||
		!s.CopyBytes(l.Key[:]) ||
		!s.CopyBytes(l.Next[:]) ||
		!s.ReadUint64(&l.Version) ||
		!s.CopyBytes(l.Prev[:]) ||
		!s.ReadUint64((*uint64)(&l.IssuedAt)) ||
		!s.ReadUint64(&l.BookVersion) ||
		!s.CopyBytes(l.BookHash[:]) ||
		!s.ReadUint16LengthPrefixed(&devices) ||
		len(devices)%deviceSize != 0 || len(devices) > MaxDevices*deviceSize {
		return l, nil, nil, ErrMalformed
	}
	for !devices.Empty() {
		var d Device
		if !devices.CopyBytes(d.ID[:]) ||
			!devices.CopyBytes(d.Key[:]) ||
			!devices.ReadUint64((*uint64)(&d.AddedAt)) ||
			!devices.ReadUint8((*uint8)(&d.Class)) ||
			!devices.ReadUint8((*uint8)(&d.How)) {
			return l, nil, nil, ErrMalformed
		}
		l.Devices = append(l.Devices, d)
	}
	if form == formRotation {
		from = new(AccountPublic)
		if !s.CopyBytes(from[:]) {
			return l, nil, nil, ErrMalformed
		}
	}
	if !l.wellFormed(from) {
		return l, nil, nil, ErrMalformed
	}
	return l, from, s, nil
}

// wellFormed is every rule about a list that needs no other list and no curve
// arithmetic. It is the same for writers and readers.
func (l DeviceList) wellFormed(from *AccountPublic) bool {
	// All zero means "none" in records that name an account or a device.
	if l.Account.IsZero() || slices.ContainsFunc(l.Devices, func(d Device) bool { return d.ID.IsZero() }) {
		return false
	}
	if l.Version == 0 || (l.Version == 1) != (l.Prev == ListHash{}) {
		return false
	}
	// A key that commits to itself could follow itself for ever, and a
	// rotation away from a stolen key would be none.
	if l.Next == l.Key.Next() {
		return false
	}
	if from != nil && (l.Version == 1 || *from == l.Key || l.Next == from.Next()) {
		return false
	}
	if l.IssuedAt > MaxTime || (l.BookVersion == 0) != (l.BookHash == [32]byte{}) {
		return false
	}
	if len(l.Devices) < 1 || len(l.Devices) > MaxDevices {
		return false
	}
	for i, d := range l.Devices {
		if i > 0 && bytes.Compare(l.Devices[i-1].ID[:], d.ID[:]) >= 0 {
			return false
		}
		if d.AddedAt > MaxTime || d.Class < Native || d.Class > Service || d.How < ByPassword || d.How > ByRecovery {
			return false
		}
		for _, e := range l.Devices[:i] {
			if e.Key == d.Key {
				return false
			}
		}
		// One key in two roles would let a signature be asked for in one and
		// used in the other.
		if d.Key == DevicePublic(l.Key) || (from != nil && d.Key == DevicePublic(*from)) {
			return false
		}
	}
	return true
}

func sortedDevices(devices []Device) []Device {
	out := slices.Clone(devices)
	slices.SortFunc(out, func(a, b Device) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return out
}
