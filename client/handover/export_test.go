package handover

import (
	"bytes"
	"testing"
	"time"
)

// SetStartTimeout changes how long the owner may be silent, for one test.
func SetStartTimeout(t *testing.T, d time.Duration) {
	before := startTimeout
	startTimeout = d
	t.Cleanup(func() { startTimeout = before })
}

// EncodeFrame is the first frame of a caller.
func EncodeFrame(c Command) []byte {
	var b bytes.Buffer
	_ = (&wire{rw: &b}).send(kindCommand, c.encode())
	return b.Bytes()
}

func FuzzCommand(f *testing.F) {
	for _, c := range []Command{{}, {Args: []string{"send", "bob", "-"}, Dir: "/w", Env: []string{"RESEAL_AS=a"}, Terminal: Terminal{true, false, true, Size{80, 25}}}} {
		f.Add(c.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := parseCommand(b); err == nil && !bytes.Equal(c.encode(), b) {
			t.Fatalf("%x is read but not written", b)
		}
	})
}

func FuzzFrame(f *testing.F) {
	f.Add(EncodeFrame(Command{Args: []string{"x"}}))
	f.Add([]byte{byte(kindExit), 0, 0, 0, 4, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		k, body, err := readFrame(bytes.NewReader(b))
		if err != nil {
			return
		}
		var out bytes.Buffer
		_ = (&wire{rw: &out}).send(k, body)
		if !bytes.HasPrefix(b, out.Bytes()) {
			t.Fatalf("%x is read but not written", b)
		}
	})
}
