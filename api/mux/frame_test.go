package mux

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
)

// The frames of the package documentation, byte by byte: a change here is a
// change of the protocol.
func TestFrameBytes(t *testing.T) {
	head := []field{{"authorization", "Bearer x"}, {"x-a", ""}}
	begin := func(typ frameType, call uint32, payload []byte) []byte { return appendFrame(nil, typ, call, payload) }
	e := connect.NewError(connect.CodeNotFound, "no").WithDetail(&connect.ErrorDetail{Type: "t.D", Value: []byte{1, 2}})
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"HELLO", begin(frameHello, 0, appendFields(nil, head)), "01 00000000 00000020 0002 0d617574686f72697a6174696f6e 0008 4265617265722078 03782d61 0000"},
		{"CALL", begin(frameCall, 7, append(appendCallHead(nil, 1500, "/a.B/C", nil), 0xff)), "02 00000007 0000000e 000005dc 06 2f612e422f43 0000 ff"},
		{"WELCOME", begin(frameWelcome, 0, appendWelcome(nil, Welcome{time.UnixMilli(1), 1 << 20, 256, "v"})), "81 00000000 00000010 0000000000000001 00100000 0100 01 76"},
		{"END ok", begin(frameEnd, 7, appendEnd(nil, nil, nil)), "84 00000007 00000006 00 0000 00 0000"},
		{"END error", begin(frameEnd, 7, appendEnd(nil, e, []field{{"a", "b"}})), "84 00000007 00000015 05 0002 6e6f 01 03 742e44 0002 0102 0001 01 61 0001 62"},
		{"ANSWER", begin(frameAnswer, 0, []byte{1, 2}), "87 00000000 00000002 0102"},
		{"GOAWAY", begin(frameGoAway, 0, appendShort(nil, "x")), "86 00000000 00000002 01 78"},
	} {
		want, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(tt.want), []byte(" "), nil)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(tt.got, want) {
			t.Errorf("%s:\n got %x\nwant %x", tt.name, tt.got, want)
		}
		if f, rest, err := nextFrame(want, MaxMessage); err != nil || len(rest) != 0 || !bytes.Equal(begin(f.typ, f.call, f.payload), want) {
			t.Errorf("%s: parsed %+v, %d left, %v", tt.name, f, len(rest), err)
		}
	}
}

func TestHeadersRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"unsorted":        appendFields(nil, []field{{"b", ""}, {"a", ""}}),
		"upper case":      appendFields(nil, []field{{"A", ""}}),
		"empty name":      appendFields(nil, []field{{"", ""}}),
		"line break":      appendFields(nil, []field{{"a", "x\r\ny"}}),
		"not ASCII":       appendFields(nil, []field{{"a", "é"}}),
		"byte behind":     append(appendFields(nil, nil), 0),
		"one byte":        {0},
		"count too large": {0, 65},
		"count too small": appendFields(nil, []field{{"a", ""}})[:3],
		"block too large": appendFields(nil, []field{{"a", string(bytes.Repeat([]byte("x"), MaxHeaderBytes))}}),
	} {
		if _, err := parseHeaders(b); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTimeoutRoundsUp(t *testing.T) {
	for d, want := range map[time.Duration]uint32{-1: 1, 0: 1, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, 1e18: 1<<32 - 1} {
		if got := timeoutOf(d); got != want {
			t.Errorf("%v: %d, want %d", d, got, want)
		}
	}
}

// FuzzFrames: what parses encodes to the same bytes again, whatever its type,
// and nothing panics or reads outside of its frame.
func FuzzFrames(f *testing.F) {
	seed := appendFrame(nil, frameHello, 0, appendFields(nil, []field{{"authorization", "Bearer x"}}))
	f.Add(seed)
	f.Add(appendFrame(seed, frameCall, 1, append(appendCallHead(nil, 9, "/a.B/C", []field{{"a", "b"}, {"a", "c"}}), 1, 2)))
	f.Add(appendFrame(nil, frameCancel, 1, nil))
	f.Add(appendFrame(nil, frameCredit, 1, []byte{0, 0, 1, 0}))
	f.Add(appendFrame(nil, framePing, 0, make([]byte, 8)))
	f.Add(appendFrame(nil, frameWelcome, 0, appendWelcome(nil, Welcome{time.UnixMilli(1e12), MaxMessage, 256, "v1"})))
	f.Add(appendFrame(nil, frameMessage, 1, []byte("m")))
	f.Add(appendFrame(nil, frameEnd, 1, appendEnd(nil, nil, []field{{"t", "v"}})))
	f.Add(appendFrame(nil, frameEnd, 0, appendEnd(nil, connect.NewError(5, "é").WithDetail(&connect.ErrorDetail{Type: "t.D", Value: []byte{1}}), nil)))
	f.Add(appendFrame(nil, framePong, 0, make([]byte, 16)))
	f.Add(appendFrame(nil, frameGoAway, 0, appendShort(nil, "bye")))
	f.Add(appendFrame(nil, frameAnswer, 0, []byte("it is me")))
	const limit = 1 << 10
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			fr, rest, err := nextFrame(b, limit)
			if err != nil {
				return
			}
			if whole := appendFrame(nil, fr.typ, fr.call, fr.payload); !bytes.Equal(append(whole, rest...), b) {
				t.Fatalf("frame %x is not what was read: %x", whole, b)
			}
			b = rest
			var again []byte
			switch fr.typ {
			case frameHello, frameHeaders:
				fields, err := parseHeaders(fr.payload)
				if err != nil {
					continue
				}
				var h connect.Header
				setFields(&h, fields)
				if fields, err = fieldsOf(&h); err != nil {
					t.Fatalf("headers read cannot be sent: %v", err)
				}
				again = appendFields(nil, fields)
			case frameCall:
				c, err := parseCall(fr.payload, limit)
				if err != nil {
					continue
				}
				again = append(appendCallHead(nil, c.timeout, string(c.procedure), c.headers), c.message...)
			case frameWelcome:
				w, err := parseWelcome(fr.payload)
				if err != nil {
					continue
				}
				again = appendWelcome(nil, w)
			case frameEnd:
				e, err := parseEnd(fr.payload)
				if err != nil {
					continue
				}
				again = appendEnd(nil, e.err, e.trailers)
			case frameGoAway:
				reason, err := parseGoAway(fr.payload)
				if err != nil {
					continue
				}
				again = appendShort(nil, reason)
			case framePong:
				_, _, _ = parsePong(fr.payload)
				continue
			default:
				continue
			}
			if !bytes.Equal(again, fr.payload) {
				t.Fatalf("type %#x: %x encodes to %x", fr.typ, fr.payload, again)
			}
		}
	})
}
