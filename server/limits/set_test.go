package limits

import (
	"strings"
	"testing"
)

func TestSet(t *testing.T) {
	d := Default()
	c := d
	for _, text := range []string{"inbox=0.5/10", "login=2/3", "blobs=off", "call=off"} {
		if err := c.Set(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if c.Rates[Inbox] != (Rate{0.5, 10}) || c.Rates[Login] != (Rate{2, 3}) || len(c.Rates) != len(d.Rates)-2 {
		t.Errorf("%v", c.Rates)
	}
	if _, ok := c.Loopback[Call]; ok {
		t.Error("calls of this machine are limited still")
	}
	if c.Loopback[Login] != (Rate{2, 3}) || c.Loopback[Signup] != d.Loopback[Signup] {
		t.Errorf("%v", c.Loopback)
	}
	if d.Rates[Inbox] == c.Rates[Inbox] {
		t.Error("another configuration changed as well")
	}
	for _, text := range []string{
		"", "inbox", "inbox=", "inbox=1", "inbox=1/", "inbox=/1", "inbox=0/5", "inbox=-1/5", "inbox=NaN/5", "inbox=Inf/5",
		"inbox=1/0", "inbox=1/-1", "inbox=1/2/3", "nothing=1/2", "inbox=x/y", "inbox=1/99999999999999999999", "INBOX=1/2",
	} {
		before := len(c.Rates)
		err := c.Set(text)
		if err == nil || len(c.Rates) != before {
			t.Errorf("%q was taken", text)
			continue
		}
		if !strings.Contains(err.Error(), "inbox") {
			t.Errorf("%q: %v does not say how it is written", text, err)
		}
	}
}
