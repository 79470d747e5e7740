package message

import (
	"bytes"

	"github.com/reseal/reseal/identity"
	"golang.org/x/crypto/cryptobyte"
)

const contextLabel = "reseal/1 wrap context"

// Sizes of a wrap and its parts, bytes.
const (
	ContextSize = len(contextLabel) + 2 + fromSize + toSize
	EncSize     = identity.EncSize  // X-Wing encapsulation, 1120
	BoxSize     = 32 + 32 + 32 + 16 // CEK, R, digest, GCM tag
	WrapSize    = ContextSize + EncSize + BoxSize

	fromSize = 16 + 32 + 16 + 32 + 32 + 8 + 32 + 8 + 32 + 8
	toSize   = 16 + 32 + 16 + 32 + 8 + 32 + 8 + 32
)

// WrapFrom is the device that makes a wrap, the sending one or a holder, as it
// knew itself at that time.
type WrapFrom struct {
	Account     identity.AccountID
	Key         identity.AccountPublic
	Device      identity.DeviceID
	DeviceKey   identity.DevicePublic
	Auth        identity.EpochAuthPublic
	Epoch       uint64
	Cert        identity.CertHash
	ListVersion uint64
	ListHash    identity.ListHash
	At          identity.Time
}

// WrapTo is the device a wrap is for, as its maker knew it.
type WrapTo struct {
	Account     identity.AccountID
	Key         identity.AccountPublic
	Device      identity.DeviceID
	DeviceKey   identity.DevicePublic
	Epoch       uint64
	Cert        identity.CertHash
	ListVersion uint64
	ListHash    identity.ListHash
}

// WrapContext is C of spec/wrap.md: who wraps for whom under which lists and
// certificates. It stands in clear beside the wrap and is the HPKE info of it.
type WrapContext struct {
	From WrapFrom
	To   WrapTo
}

// Encode returns the ContextSize bytes of c.
func (c WrapContext) Encode() []byte {
	b := builder(ContextSize)
	c.write(b)
	return b.BytesOrPanic()
}

func (c WrapContext) write(b *cryptobyte.Builder) {
	b.AddBytes([]byte(contextLabel))
	b.AddUint16(Version)
	b.AddBytes(c.From.Account[:])
	b.AddBytes(c.From.Key[:])
	b.AddBytes(c.From.Device[:])
	b.AddBytes(c.From.DeviceKey[:])
	b.AddBytes(c.From.Auth[:])
	b.AddUint64(c.From.Epoch)
	b.AddBytes(c.From.Cert[:])
	b.AddUint64(c.From.ListVersion)
	b.AddBytes(c.From.ListHash[:])
	b.AddUint64(uint64(c.From.At))
	b.AddBytes(c.To.Account[:])
	b.AddBytes(c.To.Key[:])
	b.AddBytes(c.To.Device[:])
	b.AddBytes(c.To.DeviceKey[:])
	b.AddUint64(c.To.Epoch)
	b.AddBytes(c.To.Cert[:])
	b.AddUint64(c.To.ListVersion)
	b.AddBytes(c.To.ListHash[:])
}

func (c *WrapContext) read(r *reader) {
	r.bytes(c.From.Account[:])
	r.bytes(c.From.Key[:])
	r.bytes(c.From.Device[:])
	r.bytes(c.From.DeviceKey[:])
	r.bytes(c.From.Auth[:])
	c.From.Epoch = r.u64()
	r.bytes(c.From.Cert[:])
	c.From.ListVersion = r.u64()
	r.bytes(c.From.ListHash[:])
	c.From.At = identity.Time(r.u64())
	r.bytes(c.To.Account[:])
	r.bytes(c.To.Key[:])
	r.bytes(c.To.Device[:])
	r.bytes(c.To.DeviceKey[:])
	c.To.Epoch = r.u64()
	r.bytes(c.To.Cert[:])
	c.To.ListVersion = r.u64()
	r.bytes(c.To.ListHash[:])
}

// Validate checks what a context alone shows and returns [ErrMalformed] for an
// absent id, a time out of range, or a device that wraps for itself.
func (c WrapContext) Validate() error {
	switch {
	case c.From.Account.IsZero() || c.From.Device.IsZero() || c.To.Account.IsZero() || c.To.Device.IsZero():
		return malformed("wrap context parties")
	case c.From.Account == c.To.Account && c.From.Device == c.To.Device:
		return malformed("wrap context: a device wraps for itself")
	case c.From.At == 0 || c.From.At > maxTime:
		return malformed("wrap context time")
	}
	return nil
}

// Fits checks that a wrap with this context has a place under the message h:
// both accounts have a part in it, the recipient device is not the sending one,
// and a rewrapper that h names is the wrapping device. Otherwise [ErrParty].
func (c WrapContext) Fits(h Header) error {
	if _, err := h.RoleOf(c.From.Account); err != nil {
		return err
	}
	if _, err := h.RoleOf(c.To.Account); err != nil {
		return err
	}
	if c.To.Account == h.Sender && c.To.Device == h.SenderDevice {
		return ErrParty
	}
	if h.Rewrapped() && h != h.WithRewrapper(c.From.Account, c.From.Device) {
		return ErrParty
	}
	return nil
}

// Wrap is a content key sealed to one device. Package wrap makes and opens it.
type Wrap struct {
	Context WrapContext
	Enc     [EncSize]byte
	Box     [BoxSize]byte
}

// Encode returns the WrapSize bytes of w.
func (w *Wrap) Encode() []byte {
	b := builder(WrapSize)
	w.write(b)
	return b.BytesOrPanic()
}

func (w *Wrap) write(b *cryptobyte.Builder) {
	w.Context.write(b)
	b.AddBytes(w.Enc[:])
	b.AddBytes(w.Box[:])
}

// Header is h as this wrap authenticates it.
func (w *Wrap) Header(h Header) Header {
	return h.WithRewrapper(w.Context.From.Account, w.Context.From.Device)
}

// ParseWrap reads an encoded wrap. Nothing of it is authentic before package
// wrap opened it. Errors: [ErrVersion], [ErrMalformed].
func ParseWrap(b []byte) (*Wrap, error) {
	r := reader{String: b}
	label := make([]byte, len(contextLabel))
	r.bytes(label)
	if r.short || !bytes.Equal(label, []byte(contextLabel)) {
		return nil, malformed("wrap label")
	}
	if err := readVersion(&r.String, "wrap"); err != nil {
		return nil, err
	}
	w := new(Wrap)
	w.Context.read(&r)
	r.bytes(w.Enc[:])
	r.bytes(w.Box[:])
	if !r.done() {
		return nil, malformed("wrap size")
	}
	if err := w.Context.Validate(); err != nil {
		return nil, err
	}
	return w, nil
}
