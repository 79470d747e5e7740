//go:build !js

package mux

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
)

// written notes each write.
type written struct {
	net.Conn
	writes [][]byte
}

func (w *written) Write(p []byte) (int, error) {
	w.writes = append(w.writes, bytes.Clone(p))
	return len(p), nil
}

func webSocketFrame(n int) []byte {
	var b []byte
	switch {
	case n < 126:
		b = []byte{0x82, byte(n)}
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16([]byte{0x82, 126}, uint16(n))
	default:
		b = binary.BigEndian.AppendUint64([]byte{0x82, 127}, uint64(n))
	}
	for i := range n {
		b = append(b, byte(i*7))
	}
	return b
}

// A frame goes out in one write, whole, for all that the buffer before it is small,
// and a long one in two.
func TestLeanWrites(t *testing.T) {
	for _, n := range []int{0, 1, 5, 6, 7, 13, 14, 15, 16, 17, 100, 125, 126, 127, 1000, maxGather - 100, maxGather + 100, 1<<16 - 1, 1 << 16, 1 << 20} {
		w := &written{}
		out := bufio.NewWriterSize(&leanConn{Conn: w}, headBytes)
		for range 3 {
			frame := webSocketFrame(n)
			head := len(frame) - n
			for _, b := range frame[:head] {
				if err := out.WriteByte(b); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := out.Write(frame[head:]); err != nil {
				t.Fatal(err)
			}
			if err := out.Flush(); err != nil {
				t.Fatal(err)
			}
			if got := bytes.Join(w.writes, nil); !bytes.Equal(got, frame) {
				t.Fatalf("%d bytes: %d came out", n, len(got))
			}
			most := 1
			if n > maxGather {
				most = 2
			}
			if len(w.writes) > most {
				t.Errorf("%d bytes in %d writes", n, len(w.writes))
			}
			w.writes = nil
		}
	}
}

// What came before the connection was taken over is read first, and nothing is
// kept of it.
func TestLeanReadsWhatCameBefore(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	c := &leanConn{Conn: server, early: []byte("before")}
	go func() {
		_, _ = client.Write([]byte(" and after"))
		_ = client.Close()
	}()
	if b, err := io.ReadAll(c); err != nil || string(b) != "before and after" || c.early != nil {
		t.Errorf("%q %v", b, err)
	}
}
