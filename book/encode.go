package book

import (
	"cmp"

	"golang.org/x/crypto/cryptobyte"

	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
)

const (
	formatVersion = 1
	pinSize       = 32 + 32 + 8 + 32
	// minContact is the smallest encoded contact, a removed one.
	minContact = 16 + 1 + 4*5 + 8 + 3*2
)

// The bits of a contact's flags.
const (
	flagRemoved = 1 << iota
	flagBlocked
	flagAccepted
	flagRenamed
	flagCrowded
	flagsEnd
)

// Encode is the one encoding of b, at most MaxEncoded bytes. Errors: ErrFull
// above a limit, ErrMalformed for a field out of range.
func (b *Book) Encode() ([]byte, error) {
	if len(b.contacts) > MaxContacts || len(b.settings) > MaxSettings {
		return nil, ErrFull
	}
	out := cryptobyte.NewBuilder(nil)
	out.AddUint16(formatVersion)
	var bad error
	addVector(out, func(out *cryptobyte.Builder) {
		for _, c := range b.contacts {
			if !c.valid() {
				bad = ErrMalformed
			}
			c.encode(out)
		}
	})
	addVector(out, func(out *cryptobyte.Builder) {
		for _, s := range b.settings {
			if !s.valid() {
				bad = ErrMalformed
			}
			out.AddUint16LengthPrefixed(func(out *cryptobyte.Builder) { out.AddBytes([]byte(s.Name)) })
			out.AddUint16LengthPrefixed(func(out *cryptobyte.Builder) { out.AddBytes(s.Value) })
			out.AddUint32(s.Count)
		}
	})
	enc, err := out.Bytes()
	switch {
	case bad != nil:
		return nil, bad
	case err != nil:
		return nil, ErrMalformed
	case len(enc) > MaxEncoded:
		return nil, ErrFull
	}
	return enc, nil
}

// addVector adds a vector with a length of 4 bytes.
func addVector(out *cryptobyte.Builder, f func(*cryptobyte.Builder)) {
	out.AddUint32LengthPrefixed(f)
}

func (c Contact) encode(out *cryptobyte.Builder) {
	out.AddBytes(c.Account[:])
	out.AddUint8(c.flags())
	for _, n := range []uint32{c.BlockedCount, c.Life, c.HandleCount, c.Choice, c.VerifiedCount} {
		out.AddUint32(n)
	}
	out.AddUint64(uint64(c.Refused))
	out.AddUint16LengthPrefixed(func(out *cryptobyte.Builder) { out.AddBytes([]byte(c.Handle)) })
	out.AddUint16LengthPrefixed(func(out *cryptobyte.Builder) {
		if c.Verified != (identity.AccountPublic{}) {
			out.AddBytes(c.Verified[:])
		}
	})
	out.AddUint16LengthPrefixed(func(out *cryptobyte.Builder) {
		for _, p := range c.Pins {
			out.AddBytes(p.Key[:])
			out.AddBytes(p.Next[:])
			out.AddUint64(p.Version)
			out.AddBytes(p.Hash[:])
		}
	})
}

func (c Contact) flags() (f uint8) {
	for i, set := range []bool{c.Removed, c.Blocked, c.Accepted, c.Renamed, c.Crowded} {
		if set {
			f |= 1 << i
		}
	}
	return f
}

func (s Setting) valid() bool {
	return settingName(s.Name) && len(s.Value) <= MaxSettingValue && s.Count > 0
}

// Parse reads an encoded book. Errors: ErrVersion, ErrMalformed, ErrFull.
func Parse(enc []byte) (*Book, error) {
	if len(enc) > MaxEncoded {
		return nil, ErrFull
	}
	in := cryptobyte.String(enc)
	var version uint16
	if !in.ReadUint16(&version) || version == 0 {
		return nil, ErrMalformed
	}
	if version > formatVersion {
		return nil, ErrVersion
	}
	var contacts, settings cryptobyte.String
	if !readVector(&in, &contacts) || !readVector(&in, &settings) || !in.Empty() {
		return nil, ErrMalformed
	}
	b := new(Book)
	if len(contacts) > 0 {
		// The capacity is bounded by what was received, not by what it claims.
		b.contacts = make([]Contact, 0, min(len(contacts)/minContact, MaxContacts))
	}
	for !contacts.Empty() {
		c, ok := readContact(&contacts)
		last := len(b.contacts) - 1
		if !ok || last >= 0 && string(b.contacts[last].Account[:]) >= string(c.Account[:]) {
			return nil, ErrMalformed
		}
		if b.contacts = append(b.contacts, c); len(b.contacts) > MaxContacts {
			return nil, ErrFull
		}
	}
	for !settings.Empty() {
		s, ok := readSetting(&settings)
		last := len(b.settings) - 1
		if !ok || last >= 0 && cmp.Compare(b.settings[last].Name, s.Name) >= 0 {
			return nil, ErrMalformed
		}
		if b.settings = append(b.settings, s); len(b.settings) > MaxSettings {
			return nil, ErrFull
		}
	}
	return b, nil
}

func readVector(in, out *cryptobyte.String) bool {
	var n uint32
	var v []byte
	if !in.ReadUint32(&n) || uint64(n) > uint64(len(*in)) || !in.ReadBytes(&v, int(n)) {
		return false
	}
	*out = v
	return true
}

func readContact(in *cryptobyte.String) (c Contact, ok bool) {
	var flags uint8
	var name, verified, pins cryptobyte.String
	if !in.CopyBytes(c.Account[:]) || !in.ReadUint8(&flags) || flags >= flagsEnd ||
		!in.ReadUint32(&c.BlockedCount) || !in.ReadUint32(&c.Life) || !in.ReadUint32(&c.HandleCount) ||
		!in.ReadUint32(&c.Choice) || !in.ReadUint32(&c.VerifiedCount) || !in.ReadUint64((*uint64)(&c.Refused)) ||
		!in.ReadUint16LengthPrefixed(&name) || !in.ReadUint16LengthPrefixed(&verified) ||
		!in.ReadUint16LengthPrefixed(&pins) || len(pins)%pinSize != 0 || len(pins) > 2*MaxRivals*pinSize {
		return Contact{}, false
	}
	c.Removed, c.Blocked, c.Accepted = flags&flagRemoved != 0, flags&flagBlocked != 0, flags&flagAccepted != 0
	c.Renamed, c.Crowded = flags&flagRenamed != 0, flags&flagCrowded != 0
	c.Handle = handle.Handle(name)
	if len(verified) > 0 && (!verified.CopyBytes(c.Verified[:]) || !verified.Empty() || c.Verified == identity.AccountPublic{}) {
		return Contact{}, false
	}
	for !pins.Empty() {
		p := identity.Pin{Account: c.Account}
		if !pins.CopyBytes(p.Key[:]) || !pins.CopyBytes(p.Next[:]) || !pins.ReadUint64(&p.Version) || !pins.CopyBytes(p.Hash[:]) {
			return Contact{}, false
		}
		c.Pins = append(c.Pins, p)
	}
	return c, c.valid()
}

func readSetting(in *cryptobyte.String) (s Setting, ok bool) {
	var name, value cryptobyte.String
	if !in.ReadUint16LengthPrefixed(&name) || !in.ReadUint16LengthPrefixed(&value) || !in.ReadUint32(&s.Count) {
		return Setting{}, false
	}
	s.Name = string(name)
	if len(value) > 0 {
		s.Value = append(s.Value, value...)
	}
	return s, s.valid()
}
