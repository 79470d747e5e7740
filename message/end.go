package message

import (
	"bytes"
	"time"

	"github.com/reseal/reseal/identity"
)

// EndKept is how long past a message's expiry its end record is kept, so that
// nothing that was under way at the end brings the message back.
const EndKept = 24 * time.Hour

// State is how a message ended.
type State uint8

// A message has one of these states once it is no longer pending.
const (
	StateViewed  State = 1
	StateExpired State = 2
	StateUnsent  State = 3
)

// String is "viewed", "expired" or "unsent".
func (s State) String() string {
	switch s {
	case StateViewed:
		return "viewed"
	case StateExpired:
		return "expired"
	case StateUnsent:
		return "unsent"
	}
	return "unknown"
}

// EndRecord says that a message has ended. It beats any message, wrap, receipt
// or repeat that comes later.
type EndRecord struct {
	Sender  identity.AccountID
	Message ID
	State   State
	Time    identity.Time
	// The receipt that ended the message, ReceiptSize bytes; nil for
	// StateExpired. The server cannot check its MAC, a client must.
	Receipt []byte
}

const endFixed = 2 + 16 + 32 + 1 + 8 + 2

// Encode returns the encoded record: 61 bytes, and the receipt.
func (e EndRecord) Encode() []byte {
	b := builder(endFixed + len(e.Receipt))
	b.AddUint16(Version)
	b.AddBytes(e.Sender[:])
	b.AddBytes(e.Message[:])
	b.AddUint8(uint8(e.State))
	b.AddUint64(uint64(e.Time))
	b.AddUint16(uint16(len(e.Receipt)))
	b.AddBytes(e.Receipt)
	return b.BytesOrPanic()
}

// ParseEndRecord reads an encoded end record; a receipt inside must be of this
// message and of the kind that leads to the state. Errors: [ErrVersion],
// [ErrMalformed].
func ParseEndRecord(b []byte) (e EndRecord, err error) {
	r := reader{String: b}
	if err := readVersion(&r.String, "end record"); err != nil {
		return EndRecord{}, err
	}
	r.bytes(e.Sender[:])
	r.bytes(e.Message[:])
	e.State = State(r.u8())
	e.Time = identity.Time(r.u64())
	e.Receipt = r.vector(false, ReceiptSize)
	switch {
	case !r.done():
		return EndRecord{}, malformed("end record size")
	case e.Sender.IsZero() || e.Time == 0 || e.Time > maxTime:
		return EndRecord{}, malformed("end record")
	}
	if err := e.validateReceipt(); err != nil {
		return EndRecord{}, err
	}
	return e, nil
}

func (e EndRecord) validateReceipt() error {
	if e.State == StateExpired {
		if e.Receipt != nil {
			return malformed("end record: receipt with an expiry")
		}
		return nil
	}
	rc, err := ParseReceipt(e.Receipt)
	if err != nil {
		return err
	}
	if state, ok := rc.What.Ends(); !ok || state != e.State || rc.Message != e.Message {
		return malformed("end record: receipt of something else")
	}
	return nil
}

// Verify checks the receipt inside e under the message's R and header; for
// StateExpired it checks that now is past the expiry. It returns [ErrReceipt],
// [ErrParty], or nil when a client may end the message.
func (e EndRecord) Verify(h Header, r R, now identity.Time) error {
	if e.Message != h.ID || e.Sender != h.Sender {
		return ErrParty
	}
	if e.State == StateExpired {
		if !h.Expired(now) {
			return ErrReceipt
		}
		return nil
	}
	rc, err := VerifyReceipt(e.Receipt, r, h)
	if err != nil {
		return err
	}
	if state, ok := rc.What.Ends(); !ok || state != e.State {
		return ErrReceipt
	}
	return nil
}

// PreferEnd returns which of two authentic end records of one message stands:
// viewed before unsent before expired (what somebody saw is told as seen), then
// the earlier, then the bytewise lower. Devices that learn of both in any order
// so end with the same one.
func PreferEnd(a, b EndRecord) EndRecord {
	switch ra, rb := rank(a.State), rank(b.State); {
	case ra != rb:
		if ra < rb {
			return a
		}
	case a.Time != b.Time:
		if a.Time < b.Time {
			return a
		}
	case bytes.Compare(a.Encode(), b.Encode()) <= 0:
		return a
	}
	return b
}

func rank(s State) int {
	switch s {
	case StateViewed:
		return 0
	case StateUnsent:
		return 1
	}
	return 2
}

// KeepEndUntil is when an end record of a message that expires at that time may
// be forgotten.
func KeepEndUntil(expires identity.Time) identity.Time { return expires.Add(EndKept) }

// LastKept is the latest time at which anything of the message id may still be
// kept, whatever its header says: for an end record whose header is unknown.
func (id ID) LastKept() identity.Time {
	dayEnd := identity.Time(uint64(id.Day())+1) * identity.Time(24*time.Hour/time.Millisecond)
	return dayEnd.Add(MaxLife + EndKept)
}
