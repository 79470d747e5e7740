package demo

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"testing"

	"github.com/reseal/reseal/message"
)

// frame is a WebSocket frame as a client writes it.
func frame(payload []byte, mask [4]byte) []byte {
	b := []byte{0x82}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i%4])
	}
	return b
}

func TestFrames(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
		payload := random(t, n)
		in := frame(payload, [4]byte{1, 2, 3, 250})
		raw, got, err := readFrame(bytes.NewReader(append(bytes.Clone(in), 9, 9)))
		if err != nil || !bytes.Equal(raw, in) || !bytes.Equal(got, payload) {
			t.Errorf("of %d bytes: %v", n, err)
		}
		if _, _, err := readFrame(bytes.NewReader(in[:len(in)-1])); err == nil {
			t.Errorf("of %d bytes, cut: no error", n)
		}
	}
	if _, _, err := readFrame(bytes.NewReader([]byte{0x82, 0x01, 'x', 0, 0, 0, 0})); err == nil {
		t.Error("without mask: no error")
	}
	if _, _, err := readFrame(bytes.NewReader(frame(make([]byte, 4<<20), [4]byte{}))); err == nil {
		t.Error("too long: no error")
	}
}

func TestOnlySendsAreSends(t *testing.T) {
	call := func(procedure string) []byte {
		return append([]byte{2, 0, 0, 0, 1, 0, 0, 0, 99, 0, 0, 0, 0, byte(len(procedure))}, procedure...)
	}
	for procedure, want := range map[string]bool{
		"/reseal.v1.MailboxService/Send": true, "/reseal.v1.MailboxService/SendMore": false, "/reseal.v1.MailboxService/Claim": false,
	} {
		if isSend(call(procedure)) != want {
			t.Errorf("%s: %v", procedure, !want)
		}
	}
}

func TestTokensAreNoted(t *testing.T) {
	k := new(keyring)
	token := random(t, 48)
	(&wire{keys: k}).note([]byte("\x00\x01\x0dauthorization\x00\x47Bearer " + base64.RawURLEncoding.EncodeToString(token) + "\x00"))
	if all := k.all(); len(all) != 1 || !bytes.Equal(all[0].value, token[16:]) {
		t.Errorf("%d noted", len(all))
	}
}

// What an installation draws for a key is noted, and nothing else.
func TestKeyring(t *testing.T) {
	k := new(keyring)
	r, err := message.NewR(k)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := message.NewBlobID(k); err != nil {
		t.Fatal(err)
	}
	if all := k.all(); len(all) != 1 || all[0].what != "receipt key" || !bytes.Equal(all[0].value, r[:]) {
		t.Errorf("%d noted", len(all))
	}
}
