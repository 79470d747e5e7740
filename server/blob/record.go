package blob

import (
	"fmt"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"golang.org/x/crypto/cryptobyte"
)

const (
	recordVersion = 1
	stateSize     = 1 + 1 + 16 + 16 + 8 + 4 + 32 + 8
	uploadSize    = 1 + 8 + 4 + 32 + 8
	dueSize       = 1 + 8 + 16 + 16
	lowSize       = 1 + 4
)

// phase is what the record st says of a blob. The empty record says gone.
type phase uint8

const (
	live   phase = 1
	dying  phase = 2 // no reference is added; a collector looks whether there is one
	doomed phase = 3 // there was none: the bytes are being deleted, no way back
)

// state is the value of st (spec/blob.md, section 5).
type state struct {
	Phase      phase
	Object     Object
	Account    identity.AccountID // who uploaded it
	Length     uint64
	Segments   uint32 // length of the segment list
	Capability CapabilityHash
	Completed  identity.Time
}

func (s state) encode() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, stateSize))
	b.AddUint8(recordVersion)
	b.AddUint8(uint8(s.Phase))
	b.AddBytes(s.Object[:])
	b.AddBytes(s.Account[:])
	b.AddUint64(s.Length)
	b.AddUint32(s.Segments)
	b.AddBytes(s.Capability[:])
	b.AddUint64(uint64(s.Completed))
	return b.BytesOrPanic()
}

func parseState(v []byte) (s state, err error) {
	b := cryptobyte.String(v)
	var version, p uint8
	var completed uint64
	if !b.ReadUint8(&version) || !b.ReadUint8(&p) || !b.CopyBytes(s.Object[:]) || !b.CopyBytes(s.Account[:]) ||
		!b.ReadUint64(&s.Length) || !b.ReadUint32(&s.Segments) || !b.CopyBytes(s.Capability[:]) ||
		!b.ReadUint64(&completed) || !b.Empty() || version != recordVersion {
		return state{}, fmt.Errorf("%w: record st", ErrMalformed)
	}
	s.Phase, s.Completed = phase(p), identity.Time(completed)
	if s.Phase < live || s.Phase > doomed || checkSizes(s.Length, uint64(s.Segments)) != nil {
		return state{}, fmt.Errorf("%w: record st", ErrMalformed)
	}
	return s, nil
}

// upload is the value of up: what its creator said of it.
type upload struct {
	Length     uint64
	Segments   uint32
	Capability CapabilityHash
	Created    identity.Time
}

func (u upload) encode() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, uploadSize))
	b.AddUint8(recordVersion)
	b.AddUint64(u.Length)
	b.AddUint32(u.Segments)
	b.AddBytes(u.Capability[:])
	b.AddUint64(uint64(u.Created))
	return b.BytesOrPanic()
}

func parseUpload(v []byte) (u upload, err error) {
	b := cryptobyte.String(v)
	var version uint8
	var created uint64
	if !b.ReadUint8(&version) || !b.ReadUint64(&u.Length) || !b.ReadUint32(&u.Segments) ||
		!b.CopyBytes(u.Capability[:]) || !b.ReadUint64(&created) || !b.Empty() || version != recordVersion ||
		checkSizes(u.Length, uint64(u.Segments)) != nil {
		return upload{}, fmt.Errorf("%w: record up", ErrMalformed)
	}
	u.Created = identity.Time(created)
	return u, nil
}

// reason is why the janitor must look at a blob; it stands in the key.
type reason uint8

const (
	dueUpload  reason = 1 // an upload that should be complete by now
	dueGrace   reason = 2 // a blob that a message should refer to by now
	dueExpiry  reason = 3 // a reference ends by itself
	dueDropped reason = 4 // a reference was dropped
)

// due is one due record: its key without the prefix, and its value.
type due struct {
	Blob    message.BlobID
	Reason  reason
	Nonce   [16]byte           // makes the key unlike every other, for ever
	At      identity.Time      // not before
	Account identity.AccountID // of an upload, else zero
	Object  Object             // what was meant; another life of the blob is left alone
}

func (d due) encode() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, dueSize))
	b.AddUint8(recordVersion)
	b.AddUint64(uint64(d.At))
	b.AddBytes(d.Account[:])
	b.AddBytes(d.Object[:])
	return b.BytesOrPanic()
}

func parseDue(key, v []byte) (d due, err error) {
	k, b := cryptobyte.String(key), cryptobyte.String(v)
	var version, why uint8
	var at uint64
	if !k.CopyBytes(d.Blob[:]) || !k.ReadUint8(&why) || !k.CopyBytes(d.Nonce[:]) || !k.Empty() ||
		!b.ReadUint8(&version) || !b.ReadUint64(&at) || !b.CopyBytes(d.Account[:]) ||
		!b.CopyBytes(d.Object[:]) || !b.Empty() || version != recordVersion ||
		why < uint8(dueUpload) || why > uint8(dueDropped) {
		return due{}, fmt.Errorf("%w: record due", ErrMalformed)
	}
	d.Reason, d.At = reason(why), identity.Time(at)
	return d, nil
}

// low is the value of due-low: the first hour that may have due records.
type low uint32

func (l low) encode() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, lowSize))
	b.AddUint8(recordVersion)
	b.AddUint32(uint32(l))
	return b.BytesOrPanic()
}

func parseLow(v []byte) (low, error) {
	b := cryptobyte.String(v)
	var version uint8
	var hour uint32
	if !b.ReadUint8(&version) || !b.ReadUint32(&hour) || !b.Empty() || version != recordVersion {
		return 0, fmt.Errorf("%w: record due-low", ErrMalformed)
	}
	return low(hour), nil
}
