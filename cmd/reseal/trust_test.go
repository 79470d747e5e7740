package main

import (
	"strings"
	"testing"

	"github.com/reseal/reseal"
)

// During an alarm the numbers of the keys to choose among are shown, never the
// old one alone.
func TestTrustShowsTheNumbersToCompare(t *testing.T) {
	s := newSurroundings(t, nil)
	c := &cli{env: &s.env}
	k := reseal.Contact{Handle: "ben", State: "alarm", Alarm: "changed", SafetyNumber: "00000 11111", Offered: []reseal.OfferedKey{
		{SafetyNumber: "22222 33333 44444 55555 66666"}, {SafetyNumber: "77777"},
	}}
	if err := c.showOffered(k); err != nil {
		t.Fatal(err)
	}
	out := s.out.String()
	for _, want := range []string{"22222 33333 44444 55555\n  66666", "77777"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q lacks %q", out, want)
		}
	}
	if strings.Contains(out, "11111") {
		t.Errorf("%q shows the old number", out)
	}
	if o := contactObject(k); len(o.Offered) != 2 || o.Offered[1] != "77777" {
		t.Errorf("%+v", o)
	}
}
