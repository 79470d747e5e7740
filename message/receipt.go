package message

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"

	"github.com/reseal/reseal/identity"
	"golang.org/x/crypto/cryptobyte"
)

// Sizes of a receipt, bytes.
const (
	receiptBody = 2 + 32 + 16 + 16 + 1 + 8 + 2*headSize
	receiptMAC  = sha256.Size
	// ReceiptSize is the size of every receipt with its MAC.
	ReceiptSize = receiptBody + receiptMAC

	headSize     = 8 + 32
	receiptLabel = "reseal/1 receipt"
)

// ErrReceipt is returned for a receipt that nobody who knows the message's R
// made for this message. It says no more, whatever the reason.
var ErrReceipt = errors.New("message: receipt does not verify")

// What a receipt reports.
type What uint8

const (
	// Received: a device of the recipient has opened the wrap.
	Received What = 1
	// Seen: a kept message was shown.
	Seen What = 2
	// Viewed: a once message was shown completely; this ends it.
	Viewed What = 3
	// Unsent: the sender takes the message back; this ends it.
	Unsent What = 4
)

// String is "received", "seen", "viewed" or "unsent".
func (w What) String() string {
	switch w {
	case Received:
		return "received"
	case Seen:
		return "seen"
	case Viewed:
		return "viewed"
	case Unsent:
		return "unsent"
	}
	return "unknown"
}

// Ends returns the state that a receipt of this kind brings, if it ends the
// message.
func (w What) Ends() (State, bool) {
	switch w {
	case Viewed:
		return StateViewed, true
	case Unsent:
		return StateUnsent, true
	}
	return 0, false
}

// ListHead is the version and hash of an account's newest device list.
type ListHead struct {
	Version uint64
	Hash    identity.ListHash
}

func (l ListHead) write(b *cryptobyte.Builder) {
	b.AddUint64(l.Version)
	b.AddBytes(l.Hash[:])
}

func (l *ListHead) read(r *reader) {
	l.Version = r.u64()
	r.bytes(l.Hash[:])
}

// Receipt reports what happened to a message on one device. It carries the list
// heads of both accounts as that device knew them, so that whoever is behind
// learns that there is a newer list.
type Receipt struct {
	Message   ID
	Account   identity.AccountID // of Device
	Device    identity.DeviceID
	What      What
	Time      identity.Time
	Sender    ListHead // of the message's sender account
	Recipient ListHead // of the message's recipient account
}

func (rc Receipt) encode() []byte {
	b := builder(ReceiptSize)
	b.AddUint16(Version)
	b.AddBytes(rc.Message[:])
	b.AddBytes(rc.Account[:])
	b.AddBytes(rc.Device[:])
	b.AddUint8(uint8(rc.What))
	b.AddUint64(uint64(rc.Time))
	rc.Sender.write(b)
	rc.Recipient.write(b)
	return b.BytesOrPanic()
}

// Seal returns the ReceiptSize bytes of rc with its MAC under r.
func (rc Receipt) Seal(r R) []byte {
	b := rc.encode()
	return append(b, r.mac(b)...)
}

// mac is keyed by a key of its own, so that R can serve other purposes later.
func (r R) mac(body []byte) []byte {
	key, err := hkdf.Key(sha256.New, r[:], nil, receiptLabel, sha256.Size)
	if err != nil {
		panic("message: internal error: " + err.Error())
	}
	m := hmac.New(sha256.New, key)
	m.Write(body)
	return m.Sum(nil)
}

// ParseReceipt reads a receipt without checking its MAC: all that a server can
// do, and not enough for a client. Errors: [ErrVersion], [ErrMalformed].
func ParseReceipt(b []byte) (rc Receipt, err error) {
	r := reader{String: b}
	if err := readVersion(&r.String, "receipt"); err != nil {
		return Receipt{}, err
	}
	r.bytes(rc.Message[:])
	r.bytes(rc.Account[:])
	r.bytes(rc.Device[:])
	rc.What = What(r.u8())
	rc.Time = identity.Time(r.u64())
	rc.Sender.read(&r)
	rc.Recipient.read(&r)
	r.bytes(make([]byte, receiptMAC))
	switch {
	case !r.done():
		return Receipt{}, malformed("receipt size")
	case rc.Account.IsZero() || rc.Device.IsZero():
		return Receipt{}, malformed("receipt device")
	case rc.What < Received || rc.What > Unsent:
		return Receipt{}, malformed("receipt kind")
	case rc.Time == 0 || rc.Time > maxTime:
		return Receipt{}, malformed("receipt time")
	}
	return rc, nil
}

// VerifyReceipt reads a receipt of the message h and checks its MAC under the
// message's R and that its maker may say this: unsent is for the sender, the
// rest for the recipient, viewed for once, seen for keep. Errors: [ErrVersion],
// [ErrReceipt] for everything else.
func VerifyReceipt(b []byte, r R, h Header) (Receipt, error) {
	rc, err := ParseReceipt(b)
	if errors.Is(err, ErrVersion) {
		return Receipt{}, err
	}
	if err != nil || !hmac.Equal(r.mac(b[:receiptBody]), b[receiptBody:]) || rc.Fits(h) != nil {
		return Receipt{}, ErrReceipt
	}
	return rc, nil
}

// Fits checks that the receipt is of message h and comes from the side that may
// make it; otherwise [ErrParty]. A server checks this much.
func (rc Receipt) Fits(h Header) error {
	by, policy := h.Recipient, h.Policy
	switch rc.What {
	case Unsent:
		by = h.Sender
	case Viewed:
		policy = Once
	case Seen:
		policy = Keep
	}
	if rc.Message != h.ID || rc.Account != by || h.Policy != policy {
		return ErrParty
	}
	return nil
}
