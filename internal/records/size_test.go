package records

import (
	"bytes"
	"testing"
)

// Size is what Encode gives, which allocates that and no more.
func TestMessageSize(t *testing.T) {
	for _, m := range []Message{
		{},
		{Header: make([]byte, 200), Inline: make([]byte, 1024)},
		{Header: make([]byte, 200), Segments: make([]byte, 64), Wraps: [][]byte{make([]byte, 1200), nil, make([]byte, 1200)}},
	} {
		b := m.Encode()
		if len(b) != m.Size() || cap(b) != m.Size() {
			t.Errorf("%d bytes in %d, the size is %d", len(b), cap(b), m.Size())
		}
		got, err := ParseMessage(b)
		if err != nil || !bytes.Equal(got.Inline, m.Inline) || len(got.Wraps) != len(m.Wraps) {
			t.Errorf("read back: %v", err)
		}
	}
}
