package presealed

import (
	"testing"

	"github.com/reseal/reseal/api/mux"
)

// TestJoin: a device that joined is missed by letters sealed before, gets its
// wrap afterwards, and who watches the account is told of the list.
func TestJoin(t *testing.T) {
	h := serve(t)
	ana := must(h.SignUp(t.Context(), "ana", nil))(t)
	ben := must(h.SignUp(t.Context(), "ben", []byte("seven otters juggle lanterns")))(t)
	letter := must(ana.Seal(ben.Account, 100))(t)
	told := make(chan Arrival, 10)
	here := must(ana.Connect(t.Context(), func(a Arrival) { told <- a }, ben.Account.ID))(t)
	defer here.Close()
	joining := must(ben.LogIn(t.Context()))(t)
	second := must(joining.Join(t.Context()))(t)
	if a := next(t, told); a.Account != ben.Account.ID || a.Version != joining.Version() {
		t.Errorf("told of %+v", a)
	}
	if len(ben.Devices) != 2 || ben.List.List.Version != joining.Version() {
		t.Errorf("%d devices, list %d", len(ben.Devices), ben.List.List.Version)
	}
	came := make(chan Arrival, 10)
	there := must(second.Connect(t.Context(), func(a Arrival) { came <- a }))(t)
	defer there.Close()
	header, req := letter.Next()
	if stale := must(here.Send(t.Context(), req))(t); len(stale) != 1 || string(stale[0].AccountId) != string(ben.Account.ID[:]) {
		t.Errorf("%d stale accounts", len(stale))
	}
	if a := next(t, came); a.Message != header.ID || a.Wraps != 0 {
		t.Errorf("before the wrap: %+v", a)
	}
	if err := here.AddWraps(t.Context(), header, must(letter.Wrap(header, second))(t)); err != nil {
		t.Fatal(err)
	}
	if a := next(t, came); a.Message != header.ID || a.Wraps != 1 || !a.Late {
		t.Errorf("the wrap: %+v", a)
	}
	// A letter sealed now is for both, and for neither where they are left out.
	if l := must(ana.Seal(ben.Account, 100))(t); len(l.wraps) != 2 || len(l.copies) != 0 {
		t.Errorf("%d wraps, %d copies", len(l.wraps), len(l.copies))
	}
	if l := must(ben.Seal(ana.Account, 100))(t); len(l.wraps) != 1 || len(l.copies) != 1 {
		t.Errorf("%d wraps, %d copies", len(l.wraps), len(l.copies))
	}
	if l := must(ana.Seal(ben.Account, 100, second))(t); len(l.wraps) != 1 {
		t.Errorf("%d wraps with one device left out", len(l.wraps))
	}
}

// TestMoved: a device goes on at another connection, and the first stays what it
// was.
func TestMoved(t *testing.T) {
	h := serve(t)
	ana := must(h.SignUp(t.Context(), "ana", nil))(t)
	other := must(Dial(t.Context(), h.url, nil))(t)
	defer other.Close()
	h.conn.Close()
	if _, err := h.SignUp(t.Context(), "ben", nil); err == nil {
		t.Fatal("a sign-up over a closed connection")
	}
	c := must(ana.At(other).Connect(t.Context(), nil))(t)
	c.Close()
	if ana.host != h || c.Device.host != other {
		t.Error("the device that was moved is not the one that was asked for")
	}
	if _, err := Dial(t.Context(), "http://example.org", nil); err == nil || err.Error() != mux.ErrPlain.Error() {
		t.Errorf("a server elsewhere without TLS: %v", err)
	}
}

func TestPair(t *testing.T) {
	p := must(NewPair(2))(t)
	for i := range 2 {
		w := must(p.Wrap(i))(t)
		if err := p.Open(i, w); err != nil {
			t.Errorf("device %d: %v", i, err)
		}
		if p.Open(1-i, w) == nil {
			t.Errorf("the wrap for device %d opens at the other", i)
		}
	}
}
