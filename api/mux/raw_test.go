//go:build !js

package mux_test

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/reseal/reseal/api/mux"
)

// raw is a client that writes frames by hand.
type raw struct {
	t    testing.TB
	ws   *websocket.Conn
	rest []byte
}

type rawFrame struct {
	typ     byte
	call    uint32
	payload []byte
}

func (w *world) raw() *raw {
	w.t.Helper()
	ws, _, err := websocket.Dial(w.t.Context(), w.url+mux.Path, &websocket.DialOptions{Subprotocols: []string{mux.Subprotocol}})
	if err != nil {
		w.t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	w.t.Cleanup(func() { _ = ws.CloseNow() })
	return &raw{t: w.t, ws: ws}
}

func encode(typ byte, call uint32, payload []byte) []byte {
	b := append([]byte{typ}, make([]byte, 8)...)
	binary.BigEndian.PutUint32(b[1:], call)
	binary.BigEndian.PutUint32(b[5:], uint32(len(payload)))
	return append(b, payload...)
}

func (r *raw) write(typ byte, call uint32, payload []byte) {
	r.t.Helper()
	r.bytes(encode(typ, call, payload))
}

func (r *raw) bytes(b []byte) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	if err := r.ws.Write(ctx, websocket.MessageBinary, b); err != nil {
		r.t.Fatalf("write: %v", err)
	}
}

func (r *raw) hello() {
	r.t.Helper()
	r.write(0x01, 0, []byte{0, 0})
	if f := r.read(); f.typ != 0x81 || f.call != 0 {
		r.t.Fatalf("no welcome: %+v", f)
	}
}

func (r *raw) read() rawFrame {
	r.t.Helper()
	f, err := r.next()
	if err != nil {
		r.t.Fatalf("read: %v", err)
	}
	return f
}

func (r *raw) next() (f rawFrame, err error) {
	if len(r.rest) == 0 {
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
		defer cancel()
		if _, r.rest, err = r.ws.Read(ctx); err != nil {
			return f, err
		}
	}
	n := binary.BigEndian.Uint32(r.rest[5:])
	f = rawFrame{r.rest[0], binary.BigEndian.Uint32(r.rest[1:]), r.rest[9 : 9+n]}
	r.rest = r.rest[9+n:]
	return f, nil
}

// closed reads until the connection ends and returns what END for call 0 said
// (code 0: nothing) and the close status.
func (r *raw) closed() (code byte, status websocket.StatusCode) {
	r.t.Helper()
	for {
		f, err := r.next()
		if err != nil {
			return code, websocket.CloseStatus(err)
		}
		if f.typ == 0x84 && f.call == 0 {
			code = f.payload[0]
		}
	}
}

// messages reads until n frames of a type came, and returns how many WebSocket
// messages they came in.
func (r *raw) messages(typ byte, n int) (count int) {
	r.t.Helper()
	for n > 0 {
		if len(r.rest) == 0 {
			count++
		}
		if r.read().typ == typ {
			n--
		}
	}
	return count
}
