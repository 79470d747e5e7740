package mux

import (
	"encoding/binary"
	"errors"
	"time"
)

// Fixed names of the protocol.
const (
	// Path is where the server half is mounted.
	Path = "/v1/stream"
	// Subprotocol is the WebSocket subprotocol that both sides insist on.
	Subprotocol = "reseal.v1"
	// ProtocolName is what connect.CallInfo.Protocol says of calls that came
	// this way.
	ProtocolName = "reseal-mux"
)

// Limits of the protocol. They are checked before anything is allocated for
// the field that they bound.
const (
	// MaxMessage is the default limit of one message's encoding in bytes, in
	// either direction.
	MaxMessage = 1 << 20
	// MaxHeaders and MaxHeaderBytes bound one block of headers.
	MaxHeaders     = 64
	MaxHeaderBytes = 16 << 10
	// MaxErrorText, MaxDetails and MaxDetailBytes bound an error. Longer text
	// is cut and what is over is left out where the error is encoded, so that
	// an error always arrives.
	MaxErrorText   = 4 << 10
	MaxDetails     = 8
	MaxDetailBytes = 4 << 10

	// maxBatch bounds what is gathered into one WebSocket message beyond a
	// single large message, and with it the send queue.
	maxBatch = 256 << 10
	// streamWindow is the credit that a stream starts with.
	streamWindow = 256 << 10
	// messageCost is used up by a message besides its length: without it,
	// empty messages would fill a client's memory for free.
	messageCost = 64

	frameHeader  = 9
	maxProcedure = 255
	maxCallBytes = 4 + 1 + maxProcedure + MaxHeaderBytes // without the message
	maxEndBytes  = 1 + 2 + MaxErrorText + 1 + MaxDetails*(1+255+2+MaxDetailBytes) + MaxHeaderBytes
)

type frameType byte

const (
	frameHello  frameType = 0x01
	frameCall   frameType = 0x02
	frameCancel frameType = 0x03
	frameCredit frameType = 0x04
	framePing   frameType = 0x05

	frameWelcome frameType = 0x81
	frameHeaders frameType = 0x82
	frameMessage frameType = 0x83
	frameEnd     frameType = 0x84
	framePong    frameType = 0x85
	frameGoAway  frameType = 0x86
	frameAnswer  frameType = 0x87
)

// ErrFrame is returned for bytes that are no frame of this protocol; it is
// wrapped into the error that ends the connection.
var ErrFrame = errors.New("mux: malformed frame")

// errFrameSize is an ErrFrame that names the cause, since a peer with another
// limit is the one mistake that an honest peer makes.
var errFrameSize = errors.Join(ErrFrame, errors.New("over the size limit"))

type frame struct {
	typ     frameType
	call    uint32
	payload []byte // aliases the input
}

// nextFrame cuts the first frame off b. limit is the message limit.
func nextFrame(b []byte, limit int) (f frame, rest []byte, err error) {
	if len(b) < frameHeader {
		return frame{}, nil, ErrFrame
	}
	f.typ, f.call = frameType(b[0]), binary.BigEndian.Uint32(b[1:])
	n := uint64(binary.BigEndian.Uint32(b[5:]))
	lo, hi, ok := f.typ.bounds(limit)
	if !ok {
		return frame{}, nil, ErrFrame
	}
	if n > uint64(hi) {
		return frame{}, nil, errFrameSize
	}
	if n < uint64(lo) || n > uint64(len(b)-frameHeader) || !f.typ.allows(f.call) {
		return frame{}, nil, ErrFrame
	}
	f.payload = b[frameHeader : frameHeader+int(n)]
	return f, b[frameHeader+int(n):], nil
}

// bounds are the least and greatest payload of a type.
func (t frameType) bounds(limit int) (lo, hi int, ok bool) {
	switch t {
	case frameHello, frameHeaders:
		return 2, MaxHeaderBytes, true
	case frameCall:
		return 4 + 2 + 2, maxCallBytes + limit, true
	case frameCancel:
		return 0, 0, true
	case frameCredit:
		return 4, 4, true
	case framePing:
		return 8, 8, true
	case frameWelcome:
		return 15, 15 + 255, true
	case frameMessage:
		return 0, limit, true
	case frameEnd:
		return 6, maxEndBytes, true
	case framePong:
		return 16, 16, true
	case frameGoAway:
		return 1, 256, true
	case frameAnswer:
		return 1, MaxAsk, true
	}
	return 0, 0, false
}

// allows reports whether a frame of type t may carry this call id.
func (t frameType) allows(call uint32) bool {
	switch t {
	case frameHello, framePing, frameWelcome, framePong, frameGoAway, frameAnswer:
		return call == 0
	case frameEnd:
		return true
	default:
		return call != 0
	}
}

// beginFrame appends a frame's head; endFrame fills in the length once the
// payload has been appended behind it.
func beginFrame(b []byte, t frameType, call uint32) (out []byte, at int) {
	at = len(b)
	b = append(b, byte(t))
	b = binary.BigEndian.AppendUint32(b, call)
	return append(b, 0, 0, 0, 0), at
}

func endFrame(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at+5:], uint32(len(b)-at-frameHeader))
	return b
}

func appendFrame(b []byte, t frameType, call uint32, payload []byte) []byte {
	b, at := beginFrame(b, t, call)
	return endFrame(append(b, payload...), at)
}

// cursor reads fields off a payload. The first field that is not there sets
// bad, and every field after it is empty.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n > len(c.b) {
		c.bad = true
		return nil
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) u8() int {
	if b := c.take(1); b != nil {
		return int(b[0])
	}
	return 0
}

func (c *cursor) u16() int {
	if b := c.take(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// done reports whether all was there and nothing is left.
func (c *cursor) done() bool { return !c.bad && len(c.b) == 0 }

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}
