package crockford

import (
	"bytes"
	"strings"
	"testing"
)

func TestEncode(t *testing.T) {
	for _, c := range []struct {
		bits  []byte
		chars int
		text  string
	}{
		{[]byte{0xff, 0xff, 0xff, 0xff, 0xff}, 8, "ZZZZ-ZZZZ"},
		{[]byte{0x00, 0x44, 0x32, 0x14, 0xc7}, 8, "0123-4567"},
		{[]byte{0x84, 0x21}, 3, "GGG"},
		{[]byte{0xff}, 5, "ZW00-0"},
	} {
		if got := Encode(c.bits, c.chars); got != c.text {
			t.Errorf("%x: %s, want %s", c.bits, got, c.text)
		}
	}
}

func TestDecode(t *testing.T) {
	for _, s := range []string{"0123-4567", "01234567", " o l 23\t45\r\n6-7 ", "OI23-4567", "oi234567"} {
		if b, ok := Decode(s, 8); !ok || !bytes.Equal(b, []byte{0x00, 0x44, 0x32, 0x14, 0xc7}) {
			t.Errorf("%q: %x, %v", s, b, ok)
		}
	}
	for _, s := range []string{"", "0123-456", "0123-45678", "0123-456U", "0123-456ſ", "0123-456ı", strings.Repeat("-", 249) + "01234567"} {
		if b, ok := Decode(s, 8); ok {
			t.Errorf("%q: %x", s, b)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("0123-4567", 8)
	f.Add("AJ2M-MSGC-GR90-PZJ7-4CW1-6HA3-AAJ7", 28)
	f.Fuzz(func(t *testing.T, s string, chars int) {
		chars &= 63
		b, ok := Decode(s, chars)
		if !ok {
			return
		}
		if again, ok := Decode(Encode(b, chars), chars); !ok || !bytes.Equal(again, b) {
			t.Errorf("%q: %x, then %x", s, b, again)
		}
	})
}
