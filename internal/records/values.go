package records

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// ErrDamaged: a stored value is not what this program writes.
var ErrDamaged = errors.New("records: damaged value in the store")

const version = 1

// Password is the record `pw`: what a login needs, and the number that every
// change of the account raises (the record's revision).
type Password struct {
	// Credential counts password changes, from 1.
	Credential uint64
	// Opaque is the OPAQUE record, 192 bytes.
	Opaque  []byte
	Capsule []byte
	Copy    []byte
	// Recovery is the hash of the recovery authenticator, 32 bytes.
	Recovery [32]byte
	// Root is sealed under the recovery code, 94 bytes (capsule.Root).
	Root   []byte
	Handle string
}

// Encode returns the value of `pw`.
func (p Password) Encode() []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddUint64(p.Credential)
		vector(b, p.Opaque)
		vector(b, p.Capsule)
		vector(b, p.Copy)
		b.AddBytes(p.Recovery[:])
		vector(b, p.Root)
		vector(b, []byte(p.Handle))
	})
}

// ParsePassword reads the value of `pw`.
func ParsePassword(v []byte) (p Password, err error) {
	var handle []byte
	err = parse(v, func(s *cryptobyte.String) bool {
		return s.ReadUint64(&p.Credential) && readVector(s, &p.Opaque) && readVector(s, &p.Capsule) &&
			readVector(s, &p.Copy) && s.CopyBytes(p.Recovery[:]) && readVector(s, &p.Root) && readVector(s, &handle)
	})
	p.Handle = string(handle)
	return p, err
}

// Share is one sealed server share.
type Share struct {
	ID     [16]byte
	Sealed []byte
}

// Shares is the record `share/row`: the share that a section is sealed under,
// and while it is being replaced the new one beside it.
type Shares struct {
	Device identity.DeviceID
	// Opened is the confirmed share; New the one put last, if any.
	Opened Share
	New    *Share
}

// Encode returns the value of a share record.
func (sh Shares) Encode() []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddBytes(sh.Device[:])
		all := []Share{sh.Opened}
		if sh.New != nil {
			all = append(all, *sh.New)
		}
		b.AddUint8(uint8(len(all)))
		for _, s := range all {
			b.AddBytes(s.ID[:])
			vector(b, s.Sealed)
		}
	})
}

// ParseShares reads the value of a share record.
func ParseShares(v []byte) (sh Shares, err error) {
	err = parse(v, func(s *cryptobyte.String) bool {
		var n uint8
		if !s.CopyBytes(sh.Device[:]) || !s.ReadUint8(&n) || n < 1 || n > 2 {
			return false
		}
		for i := range n {
			var one Share
			if !s.CopyBytes(one.ID[:]) || !readVector(s, &one.Sealed) {
				return false
			}
			if i == 0 {
				sh.Opened = one
			} else {
				sh.New = &one
			}
		}
		return true
	})
	return sh, err
}

// BookHead is the record `book`: which version of the book stands.
type BookHead struct {
	Version uint64
	Parts   uint16
	// Writer names the parts that belong to this version.
	Writer [16]byte
}

// Encode returns the value of `book`.
func (h BookHead) Encode() []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddUint64(h.Version)
		b.AddUint16(h.Parts)
		b.AddBytes(h.Writer[:])
	})
}

// ParseBookHead reads the value of `book`.
func ParseBookHead(v []byte) (h BookHead, err error) {
	err = parse(v, func(s *cryptobyte.String) bool {
		return s.ReadUint64(&h.Version) && s.ReadUint16(&h.Parts) && s.CopyBytes(h.Writer[:])
	})
	return h, err
}

// Session is the record `sess/hash`. The token itself is never stored.
type Session struct {
	// Device is zero until the session is bound.
	Device     identity.DeviceID
	Row        [32]byte
	Credential uint64
	// Share is the server's half of the session share.
	Share   [32]byte
	Created identity.Time
	// Seen is when it was last used, to the hour.
	Seen identity.Time
}

// Encode returns the value of a session record.
func (s Session) Encode() []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddBytes(s.Device[:])
		b.AddBytes(s.Row[:])
		b.AddUint64(s.Credential)
		b.AddBytes(s.Share[:])
		b.AddUint64(uint64(s.Created))
		b.AddUint64(uint64(s.Seen))
	})
}

// ParseSession reads the value of a session record.
func ParseSession(v []byte) (se Session, err error) {
	err = parse(v, func(s *cryptobyte.String) bool {
		return s.CopyBytes(se.Device[:]) && s.CopyBytes(se.Row[:]) && s.ReadUint64(&se.Credential) && s.CopyBytes(se.Share[:]) &&
			s.ReadUint64((*uint64)(&se.Created)) && s.ReadUint64((*uint64)(&se.Seen))
	})
	return se, err
}

// EncodeAccount returns the value of `id`.
func EncodeAccount(a identity.AccountID) []byte {
	return build(func(b *cryptobyte.Builder) { b.AddBytes(a[:]) })
}

// ParseAccount reads the value of `id`.
func ParseAccount(v []byte) (a identity.AccountID, err error) {
	err = parse(v, func(s *cryptobyte.String) bool { return s.CopyBytes(a[:]) })
	return a, err
}

// EncodeServerKey returns the value of `key`: 32 bytes that follow from the key
// file one way only.
func EncodeServerKey(mark [32]byte) []byte {
	return build(func(b *cryptobyte.Builder) { b.AddBytes(mark[:]) })
}

// ParseServerKey reads the value of `key`.
func ParseServerKey(v []byte) (mark [32]byte, err error) {
	err = parse(v, func(s *cryptobyte.String) bool { return s.CopyBytes(mark[:]) })
	return mark, err
}

// EncodeEpoch returns the value of `epoch/device`.
func EncodeEpoch(epoch uint64) []byte {
	return build(func(b *cryptobyte.Builder) { b.AddUint64(epoch) })
}

// ParseEpoch reads the value of `epoch/device`.
func ParseEpoch(v []byte) (epoch uint64, err error) {
	err = parse(v, func(s *cryptobyte.String) bool { return s.ReadUint64(&epoch) })
	return epoch, err
}

// EncodeBlock returns the value of a block record.
func EncodeBlock(blocked bool) []byte {
	return build(func(b *cryptobyte.Builder) {
		if blocked {
			b.AddUint8(1)
		} else {
			b.AddUint8(0)
		}
	})
}

// ParseBlock reads the value of a block record.
func ParseBlock(v []byte) (blocked bool, err error) {
	var n uint8
	err = parse(v, func(s *cryptobyte.String) bool { return s.ReadUint8(&n) && n <= 1 })
	return n == 1, err
}

// Message is the record of a pending message, or of the sender's copy of one:
// the very bytes of the request, so that a repeat writes the same record.
type Message struct {
	Header   []byte
	Inline   []byte
	Segments []byte
	Wraps    [][]byte
}

// Size is how long the value of a message record is, bytes.
func (m Message) Size() int {
	n := 1 + 3*2 + len(m.Header) + len(m.Inline) + len(m.Segments) + 1
	for _, w := range m.Wraps {
		n += 2 + len(w)
	}
	return n
}

// Encode returns the value of a message record.
func (m Message) Encode() []byte {
	b := cryptobyte.NewBuilder(append(make([]byte, 0, m.Size()), version))
	vector(b, m.Header)
	vector(b, m.Inline)
	vector(b, m.Segments)
	b.AddUint8(uint8(len(m.Wraps)))
	for _, w := range m.Wraps {
		vector(b, w)
	}
	return b.BytesOrPanic()
}

// ParseMessage reads the value of a message record.
func ParseMessage(v []byte) (m Message, err error) {
	err = parse(v, func(s *cryptobyte.String) bool {
		var n uint8
		if !readVector(s, &m.Header) || !readVector(s, &m.Inline) || !readVector(s, &m.Segments) || !s.ReadUint8(&n) {
			return false
		}
		for range n {
			var w []byte
			if !readVector(s, &w) {
				return false
			}
			m.Wraps = append(m.Wraps, w)
		}
		return true
	})
	return m, err
}

// Claim is the record `l/message`: which device is viewing, and until when.
type Claim struct {
	Device identity.DeviceID
	Until  identity.Time
}

// Encode returns the value of a claim record.
func (c Claim) Encode() []byte {
	return build(func(b *cryptobyte.Builder) { b.AddBytes(c.Device[:]); b.AddUint64(uint64(c.Until)) })
}

// ParseClaim reads the value of a claim record.
func ParseClaim(v []byte) (c Claim, err error) {
	err = parse(v, func(s *cryptobyte.String) bool {
		return s.CopyBytes(c.Device[:]) && s.ReadUint64((*uint64)(&c.Until))
	})
	return c, err
}

// What a queue entry tells of.
const (
	EntryMessage = 1 // a message, or the copy of one, in the account's own partition
	EntryWraps   = 2 // wraps that came later
	EntryEnd     = 3
	EntryReceipt = 4 // Extra: device, what
	EntryRetry   = 5 // Extra: requester's account, day, request id, ids of the part
	EntryClosed  = 6 // Extra: id of a retry request that is closed
	EntryNotice  = 7 // Extra: [Notice]
)

// EntryName is what an entry of a kind tells of, in a word.
func EntryName(kind uint8) string {
	switch kind {
	case EntryMessage:
		return "message"
	case EntryWraps:
		return "wraps"
	case EntryEnd:
		return "end"
	case EntryReceipt:
		return "receipt"
	case EntryRetry:
		return "retry"
	case EntryClosed:
		return "retry_closed"
	case EntryNotice:
		return "notice"
	}
	return "unknown"
}

// Entry is a hint in a device's queue. What it tells of is read when it is
// delivered; what is gone by then is not delivered.
type Entry struct {
	Kind    uint8
	Message message.ID
	Extra   []byte
}

// Encode returns the value of a queue entry.
func (e Entry) Encode() []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddUint8(e.Kind)
		b.AddBytes(e.Message[:])
		vector(b, e.Extra)
	})
}

// ParseEntry reads the value of a queue entry.
func ParseEntry(v []byte) (e Entry, err error) {
	err = parse(v, func(s *cryptobyte.String) bool {
		return s.ReadUint8(&e.Kind) && e.Kind >= EntryMessage && e.Kind <= EntryNotice &&
			s.CopyBytes(e.Message[:]) && readVector(s, &e.Extra)
	})
	return e, err
}

func build(f func(*cryptobyte.Builder)) []byte {
	b := cryptobyte.NewBuilder([]byte{version})
	f(b)
	return b.BytesOrPanic()
}

func parse(v []byte, f func(*cryptobyte.String) bool) error {
	s := cryptobyte.String(v)
	var n uint8
	if !s.ReadUint8(&n) || n != version || !f(&s) || !s.Empty() {
		return ErrDamaged
	}
	return nil
}

func vector(b *cryptobyte.Builder, v []byte) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(v) })
}

func readVector(s *cryptobyte.String, v *[]byte) bool {
	var r cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&r) {
		return false
	}
	*v = r
	return true
}
