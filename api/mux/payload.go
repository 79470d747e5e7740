package mux

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
)

// callHead is the payload of CALL. procedure and message alias the input.
type callHead struct {
	timeout   uint32 // ms, 0: none
	procedure []byte
	headers   []field
	message   []byte
}

func parseCall(b []byte, limit int) (h callHead, err error) {
	c := cursor{b: b}
	h.timeout = c.u32()
	h.procedure = c.take(c.u8())
	h.headers = c.fields()
	if c.bad || len(h.procedure) == 0 || h.procedure[0] != '/' || !validValue(string(h.procedure)) {
		return callHead{}, ErrFrame
	}
	if len(c.b) > limit {
		return callHead{}, errFrameSize
	}
	h.message = c.b
	return h, nil
}

// appendCallHead is all of the payload but the message.
func appendCallHead(b []byte, timeout uint32, procedure string, headers []field) []byte {
	b = binary.BigEndian.AppendUint32(b, timeout)
	b = append(b, byte(len(procedure)))
	b = append(b, procedure...)
	return appendFields(b, headers)
}

// timeoutOf is what is left until deadline in ms, rounded up so that the
// server never gives up before the client does, and never 0, which means none.
func timeoutOf(left time.Duration) uint32 {
	ms := (left + time.Millisecond - 1) / time.Millisecond
	return uint32(min(max(ms, 1), math.MaxUint32))
}

func parseHeaders(b []byte) ([]field, error) {
	c := cursor{b: b}
	fields := c.fields()
	if !c.done() {
		return nil, ErrFrame
	}
	return fields, nil
}

// Welcome is what a server says of itself when a connection is admitted.
type Welcome struct {
	// Time is the server's clock when it answered, in milliseconds precision.
	Time time.Time
	// MaxMessage is the largest message in bytes that the server takes.
	MaxMessage int
	// MaxCalls is how many calls may run at once on the connection.
	MaxCalls int
	// Version is the server's software version, at most 255 printable ASCII
	// characters. It is for people and logs; nothing depends on it.
	Version string
}

func parseWelcome(b []byte) (w Welcome, err error) {
	c := cursor{b: b}
	ms := c.u64()
	message := c.u32()
	w.MaxCalls = c.u16()
	w.Version = string(c.take(c.u8()))
	if !c.done() || ms > maxTime || message == 0 || message > math.MaxInt32 || w.MaxCalls == 0 || !validValue(w.Version) {
		return Welcome{}, ErrFrame
	}
	w.Time, w.MaxMessage = time.UnixMilli(int64(ms)), int(message)
	return w, nil
}

// maxTime is the end of the year 9999 in ms: a bound under which no sum of
// times overflows.
const maxTime = 253402300799999

func appendWelcome(b []byte, w Welcome) []byte {
	b = binary.BigEndian.AppendUint64(b, millis(w.Time))
	b = binary.BigEndian.AppendUint32(b, uint32(w.MaxMessage))
	b = binary.BigEndian.AppendUint16(b, uint16(w.MaxCalls))
	b = append(b, byte(len(w.Version)))
	return append(b, w.Version...)
}

func millis(t time.Time) uint64 { return uint64(min(max(t.UnixMilli(), 0), maxTime)) }

func parsePong(b []byte) (token uint64, at time.Time, err error) {
	c := cursor{b: b}
	token = c.u64()
	ms := c.u64()
	if !c.done() || ms > maxTime {
		return 0, time.Time{}, ErrFrame
	}
	return token, time.UnixMilli(int64(ms)), nil
}

func parseGoAway(b []byte) (reason string, err error) {
	c := cursor{b: b}
	reason = string(c.take(c.u8()))
	if !c.done() || !validValue(reason) {
		return "", ErrFrame
	}
	return reason, nil
}

func appendShort(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

// end is the payload of END. err is nil for success.
type end struct {
	err      *connect.Error
	trailers []field
}

func parseEnd(b []byte) (e end, err error) {
	c := cursor{b: b}
	code := connect.Code(c.u8())
	text := string(c.take(c.u16()))
	n := c.u8()
	if c.bad || code > connect.CodeUnauthenticated || len(text) > MaxErrorText || n > MaxDetails || !utf8.ValidString(text) {
		return end{}, ErrFrame
	}
	var details []*connect.ErrorDetail
	for range n {
		typ := string(c.take(c.u8()))
		value := c.take(c.u16())
		if c.bad || typ == "" || !validValue(typ) || len(value) > MaxDetailBytes {
			return end{}, ErrFrame
		}
		details = append(details, &connect.ErrorDetail{Type: typ, Value: append([]byte{}, value...)})
	}
	e.trailers = c.fields()
	if !c.done() || code == 0 && (text != "" || n != 0) {
		return end{}, ErrFrame
	}
	if code != 0 {
		e.err = connect.NewError(code, text).WithRemote()
		for _, d := range details {
			e.err = e.err.WithDetail(d)
		}
	}
	return e, nil
}

func appendEnd(b []byte, e *connect.Error, trailers []field) []byte {
	if e == nil {
		return appendFields(append(b, 0, 0, 0, 0), trailers)
	}
	code := e.Code()
	if code > connect.CodeUnauthenticated {
		code = connect.CodeUnknown
	}
	b = append(b, byte(code))
	text := strings.ToValidUTF8(e.Message()[:min(len(e.Message()), MaxErrorText)], "")
	b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
	b = append(b, text...)
	count := len(b)
	b = append(b, 0)
	for _, d := range e.Details() {
		if b[count] == MaxDetails || d.Type == "" || len(d.Type) > 255 || !validValue(d.Type) || len(d.Value) > MaxDetailBytes {
			continue
		}
		b[count]++
		b = appendShort(b, d.Type)
		b = binary.BigEndian.AppendUint16(b, uint16(len(d.Value)))
		b = append(b, d.Value...)
	}
	return appendFields(b, trailers)
}

// appendMessage encodes msg, which must be a protobuf message of at most limit
// bytes.
func appendMessage(b []byte, msg any, limit int) ([]byte, error) {
	m, ok := msg.(proto.Message)
	if !ok {
		return b, connect.NewError(connect.CodeInternal, "message cannot be encoded").WithCause(fmt.Errorf("mux: not a protobuf message: %T", msg))
	}
	n := proto.Size(m)
	if n > limit {
		return b, connect.Errorf(connect.CodeResourceExhausted, "message is %d bytes, over the limit of %d", n, limit)
	}
	out, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, m)
	if err != nil {
		return b, connect.NewError(connect.CodeInternal, "message cannot be encoded").WithCause(err)
	}
	return out, nil
}

// decodeMessage reads b into msg; whose says whose mistake a failure is.
func decodeMessage(b []byte, msg any, whose connect.Code) error {
	m, ok := msg.(proto.Message)
	if !ok {
		return connect.NewError(connect.CodeInternal, "message cannot be decoded").WithCause(fmt.Errorf("mux: not a protobuf message: %T", msg))
	}
	if err := proto.Unmarshal(b, m); err != nil {
		return connect.NewError(whose, "message is malformed").WithCause(err)
	}
	return nil
}
