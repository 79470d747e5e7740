package message

import (
	"errors"
	"time"

	"github.com/reseal/reseal/identity"
)

// Sizes and limits of a header and what it describes.
const (
	// HeaderSize is the size of every encoded header, bytes.
	HeaderSize = 2 + 32 + 1 + 3*16 + 8 + 8 + 1 + 2 + 32 + 8 + 32 + 2*16
	// MaxInline is the longest ciphertext that travels with its message, bytes.
	MaxInline = 16 << 10
	// MaxCiphertext is the longest ciphertext of a message, bytes.
	MaxCiphertext = 64 << 30
	// MaxLife is the longest time from created to expires.
	MaxLife = 30 * 24 * time.Hour
	// MaxSkew is how far ahead of a reader's clock a message may claim to have
	// been created.
	MaxSkew = identity.ClockSkew
)

var (
	// ErrClock is returned for a message whose creation time the reader cannot
	// accept as now: the sender's clock is wrong, or the message too old to send.
	ErrClock = errors.New("message: creation time too far off")
	// ErrExpired is returned for a message past its expiry.
	ErrExpired = errors.New("message: expired")
	// ErrParty is returned where an account or device has no part in the
	// message: a header for others, a wrap or receipt by the wrong side.
	ErrParty = errors.New("message: wrong account or device")
)

// Kind says which capability a message belongs to. What the content is (a
// photo, text) stays inside the encrypted content.
type Kind uint8

// KindContent is a content for people: a file or a text.
const KindContent Kind = 1

// Policy says what ends a message.
type Policy uint8

const (
	// Once: the first view ends it for every device.
	Once Policy = 1
	// Keep: every device of the account may open it until it expires or is
	// unsent.
	Keep Policy = 2
)

// String is "once" or "keep".
func (p Policy) String() string {
	switch p {
	case Once:
		return "once"
	case Keep:
		return "keep"
	}
	return "unknown"
}

// Suite names how a content is encrypted.
type Suite uint16

// Cobblestone256 is the profile of that name in C2SP chunked-encryption.
const Cobblestone256 Suite = 1

// Header says what a message is and for whom. The server reads it; every wrap
// authenticates all of it as associated data.
type Header struct {
	ID           ID
	Kind         Kind
	Sender       identity.AccountID
	Recipient    identity.AccountID
	SenderDevice identity.DeviceID
	Created      identity.Time
	Expires      identity.Time // at most MaxLife after Created
	Policy       Policy
	Suite        Suite
	Blob         BlobID // zero: inline
	Length       uint64 // of the ciphertext, bytes
	Digest       Digest
	// The device that made a wrap, when that was not SenderDevice; otherwise
	// both zero. Only the header under a wrap has it, never a stored one.
	RewrapperAccount identity.AccountID
	Rewrapper        identity.DeviceID
}

// WithRewrapper is the header as it is authenticated by a wrap that the given
// device made: h itself for the sending device, otherwise h naming the device.
func (h Header) WithRewrapper(account identity.AccountID, device identity.DeviceID) Header {
	if account == h.Sender && device == h.SenderDevice {
		account, device = identity.AccountID{}, identity.DeviceID{}
	}
	h.RewrapperAccount, h.Rewrapper = account, device
	return h
}

// Rewrapped reports whether the header names a rewrapper.
func (h Header) Rewrapped() bool {
	return !h.RewrapperAccount.IsZero() || !h.Rewrapper.IsZero()
}

// Encode returns the HeaderSize bytes of h. It does not validate.
func (h Header) Encode() []byte {
	b := builder(HeaderSize)
	b.AddUint16(Version)
	b.AddBytes(h.ID[:])
	b.AddUint8(uint8(h.Kind))
	b.AddBytes(h.Sender[:])
	b.AddBytes(h.Recipient[:])
	b.AddBytes(h.SenderDevice[:])
	b.AddUint64(uint64(h.Created))
	b.AddUint64(uint64(h.Expires))
	b.AddUint8(uint8(h.Policy))
	b.AddUint16(uint16(h.Suite))
	b.AddBytes(h.Blob[:])
	b.AddUint64(h.Length)
	b.AddBytes(h.Digest[:])
	b.AddBytes(h.RewrapperAccount[:])
	b.AddBytes(h.Rewrapper[:])
	return b.BytesOrPanic()
}

// ParseHeader reads an encoded header and validates it. Errors: [ErrVersion],
// [ErrMalformed].
func ParseHeader(b []byte) (h Header, err error) {
	r := reader{String: b}
	if err := readVersion(&r.String, "header"); err != nil {
		return Header{}, err
	}
	h.read(&r)
	if !r.done() {
		return Header{}, malformed("header size")
	}
	if err := h.Validate(); err != nil {
		return Header{}, err
	}
	return h, nil
}

func (h *Header) read(r *reader) {
	r.bytes(h.ID[:])
	h.Kind = Kind(r.u8())
	r.bytes(h.Sender[:])
	r.bytes(h.Recipient[:])
	r.bytes(h.SenderDevice[:])
	h.Created = identity.Time(r.u64())
	h.Expires = identity.Time(r.u64())
	h.Policy = Policy(r.u8())
	h.Suite = Suite(r.u16())
	r.bytes(h.Blob[:])
	h.Length = r.u64()
	r.bytes(h.Digest[:])
	r.bytes(h.RewrapperAccount[:])
	r.bytes(h.Rewrapper[:])
}

// Validate checks what a header alone shows, against the rules of
// spec/message.md, section 3, and returns [ErrMalformed] with the first that
// does not hold. Whether the id is the hash that it should be shows only with
// the client id: see [Send.Check].
func (h Header) Validate() error {
	switch {
	case h.Kind != KindContent:
		return malformed("header kind")
	case h.Sender.IsZero() || h.Recipient.IsZero() || h.SenderDevice.IsZero():
		return malformed("header parties")
	case h.Created == 0 || h.Created > maxTime || h.ID.Day() != h.Created.Day():
		return malformed("header creation time")
	case h.Expires <= h.Created || h.Expires.Sub(h.Created) > MaxLife || h.Expires > maxTime:
		return malformed("header expiry")
	case h.Policy != Once && h.Policy != Keep:
		return malformed("header policy")
	case h.Suite != Cobblestone256:
		return malformed("header suite")
	case h.Length == 0 || h.Length > MaxCiphertext:
		return malformed("header ciphertext length")
	case h.Blob.IsZero() && h.Length > MaxInline:
		return malformed("header inline length")
	}
	return h.validateRewrapper()
}

// maxTime keeps every sum of a time and a duration far from overflow: the end
// of the year 9999, as RFC 3339 has it.
const maxTime identity.Time = 253402300799999

// validateRewrapper lets each fact have one encoding only: the sending device
// is never named a second time, and half a name is none.
func (h Header) validateRewrapper() error {
	switch {
	case !h.Rewrapped():
		return nil
	case h.RewrapperAccount.IsZero() || h.Rewrapper.IsZero():
		return malformed("header rewrapper")
	case h.RewrapperAccount == h.Sender && h.Rewrapper == h.SenderDevice:
		return malformed("header rewrapper is the sending device")
	case h.RewrapperAccount != h.Sender && h.RewrapperAccount != h.Recipient:
		return malformed("header rewrapper has no part in the message")
	}
	return nil
}

// Expired reports whether the message has ended by the clock now.
func (h Header) Expired(now identity.Time) bool { return now >= h.Expires }

// CheckNew is what a server asks of a message it does not hold yet: created at
// most [MaxSkew] ahead of now, else [ErrClock]; not expired, else [ErrExpired];
// created no earlier than yesterday, else [ErrClock]. A whole day back is allowed,
// so that the stored bytes of a send can be repeated after an outage. What has
// expired may have been stored before that: its sender must not make it anew.
func (h Header) CheckNew(now identity.Time) error {
	switch {
	case h.Created > now.Add(MaxSkew):
		return ErrClock
	case h.Expired(now):
		return ErrExpired
	case h.ID.Day()+1 < now.Day():
		return ErrClock
	}
	return nil
}

// Role is what an account has to do with a message.
type Role uint8

const (
	// Inbox: the account is the recipient, its devices may show the content. So
	// it is for a message to the own account, too.
	Inbox Role = 1
	// HolderCopy: the account is the sender. Its devices keep the key to answer
	// retries and never show the content as received.
	HolderCopy Role = 2
)

// RoleOf returns what the message is to account, or [ErrParty].
func (h Header) RoleOf(account identity.AccountID) (Role, error) {
	switch account {
	case h.Recipient:
		return Inbox, nil
	case h.Sender:
		return HolderCopy, nil
	}
	return 0, ErrParty
}
