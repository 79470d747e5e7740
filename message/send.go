package message

import (
	"bytes"

	"github.com/reseal/reseal/identity"
	"golang.org/x/crypto/cryptobyte"
)

// Limits of a send.
const (
	// MaxWraps is how many devices of one account a send wraps for.
	MaxWraps = identity.MaxDevices
	// MaxInlineSegments is the longest segment list of an inline ciphertext,
	// bytes. Such a ciphertext is one segment.
	MaxInlineSegments = 1 << 10
	// MaxSendSize is the size that no encoded send exceeds, bytes.
	MaxSendSize = sendFixed + MaxInline + MaxInlineSegments + (2*MaxWraps-1)*WrapSize

	sendFixed = 2 + HeaderSize + 16 + 4 + 2 + 4 + 4 + 2*headSize + 32
)

// Send is everything that a send tells the server. A client stores the encoded
// bytes before it sends them for the first time and repeats from them, so that
// after a crash or an unknown outcome the same message arrives, once.
type Send struct {
	Header   Header
	ClientID ClientID
	// Ciphertext and its segment list; both nil when Header names a blob.
	Inline   []byte
	Segments []byte
	// Wraps for the recipient's devices, and copies for the sender's other
	// devices, as holders; to oneself the former are the latter and Copies is
	// empty. Each sorted by device id, one for a device.
	Wraps  []*Wrap
	Copies []*Wrap
	// The lists that they were made for.
	Sender    ListHead
	Recipient ListHead
	// Proof that the sender may refer to the blob; zero for inline.
	Capability Capability
}

// Encode returns the encoded send, at most MaxSendSize bytes. It does not
// validate.
func (s *Send) Encode() []byte {
	b := builder(sendFixed + len(s.Inline) + len(s.Segments) + (len(s.Wraps)+len(s.Copies))*WrapSize)
	b.AddUint16(Version)
	b.AddBytes(s.Header.Encode())
	b.AddBytes(s.ClientID[:])
	b.AddUint32(uint32(len(s.Inline)))
	b.AddBytes(s.Inline)
	b.AddUint16(uint16(len(s.Segments)))
	b.AddBytes(s.Segments)
	addWraps(b, s.Wraps)
	addWraps(b, s.Copies)
	s.Sender.write(b)
	s.Recipient.write(b)
	b.AddBytes(s.Capability[:])
	return b.BytesOrPanic()
}

func addWraps(b *cryptobyte.Builder, ws []*Wrap) {
	b.AddUint32(uint32(len(ws) * WrapSize))
	for _, w := range ws {
		w.write(b)
	}
}

// ParseSend reads an encoded send and validates it as [Send.Validate] does.
// Errors: [ErrVersion], [ErrMalformed], [ErrParty].
func ParseSend(b []byte) (*Send, error) {
	r := reader{String: b}
	if err := readVersion(&r.String, "send"); err != nil {
		return nil, err
	}
	header := make([]byte, HeaderSize)
	r.bytes(header)
	if r.short {
		return nil, malformed("send size")
	}
	s := new(Send)
	var err error
	if s.Header, err = ParseHeader(header); err != nil {
		return nil, err
	}
	r.bytes(s.ClientID[:])
	s.Inline = r.vector(true, MaxInline)
	s.Segments = r.vector(false, MaxInlineSegments)
	wraps := r.vector(true, MaxWraps*WrapSize)
	copies := r.vector(true, (MaxWraps-1)*WrapSize)
	s.Sender.read(&r)
	s.Recipient.read(&r)
	r.bytes(s.Capability[:])
	if !r.done() {
		return nil, malformed("send size")
	}
	if s.Wraps, err = splitWraps(wraps); err != nil {
		return nil, err
	}
	if s.Copies, err = splitWraps(copies); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return s, nil
}

func splitWraps(b []byte) (ws []*Wrap, err error) {
	if len(b)%WrapSize != 0 {
		return nil, malformed("send wraps")
	}
	for ; len(b) > 0; b = b[WrapSize:] {
		w, err := ParseWrap(b[:WrapSize])
		if err != nil {
			return nil, err
		}
		ws = append(ws, w)
	}
	return ws, nil
}

// Validate checks everything about a send that needs neither a clock nor the
// accounts' lists, so that a server refuses a bad one before it reads anything,
// and a client finds its own mistake before it stores it. Errors:
// [ErrMalformed]; [ErrParty] for a wrap with no place under the message.
func (s *Send) Validate() error {
	h := s.Header
	if err := h.Validate(); err != nil {
		return err
	}
	switch {
	case h.Rewrapped():
		return malformed("send: header names a rewrapper")
	case h.ID != NewID(h.ID.Day(), h.Sender, h.Recipient, s.ClientID, h.Digest):
		return malformed("send: id is not the hash of what it names")
	case h.Blob.IsZero() && (uint64(len(s.Inline)) != h.Length || len(s.Segments) == 0 || s.Capability != Capability{}):
		return malformed("send inline ciphertext")
	case !h.Blob.IsZero() && (len(s.Inline) != 0 || len(s.Segments) != 0 || s.Capability == Capability{}):
		return malformed("send of a blob")
	case len(s.Segments) > MaxInlineSegments:
		return malformed("send segments")
	case h.Sender == h.Recipient && (len(s.Copies) != 0 || s.Sender != s.Recipient):
		return malformed("send to oneself: copies, or two lists of one account")
	case len(s.Wraps) > MaxWraps || len(s.Copies) > MaxWraps-1:
		return malformed("send: too many wraps")
	}
	if err := s.validateWraps(s.Wraps, h.Recipient, s.Recipient); err != nil {
		return err
	}
	return s.validateWraps(s.Copies, h.Sender, s.Sender)
}

// validateWraps checks that every wrap was made by the sending device under the
// lists that the send names: a server compares only those with what is current.
func (s *Send) validateWraps(ws []*Wrap, to identity.AccountID, list ListHead) error {
	for i, w := range ws {
		c := &w.Context
		if err := c.Validate(); err != nil {
			return err
		}
		if c.From.Account != s.Header.Sender || c.From.Device != s.Header.SenderDevice || c.To.Account != to {
			return ErrParty
		}
		if err := c.Fits(s.Header); err != nil {
			return err
		}
		from := ListHead{c.From.ListVersion, c.From.ListHash}
		if from != s.Sender || (ListHead{c.To.ListVersion, c.To.ListHash}) != list {
			return malformed("send: wrap under another list")
		}
		if i > 0 && bytes.Compare(ws[i-1].Context.To.Device[:], c.To.Device[:]) >= 0 {
			return malformed("send wraps: order")
		}
	}
	return nil
}

// Check is [Send.Validate] and [Header.CheckNew]: what a server asks of a send
// of a message that it does not hold yet.
func (s *Send) Check(now identity.Time) error {
	if err := s.Validate(); err != nil {
		return err
	}
	return s.Header.CheckNew(now)
}
