package opaque

import (
	"bytes"
	"crypto/rand"
	"testing"
)

// A login is good at the server of the key only, and no other key passes for it.
func TestServerKey(t *testing.T) {
	f := world()
	setup, err := NewSetup(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewServer(setup)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  ServerKey
		want error
	}{"its own": {f.server.Key(), nil}, "another's": {other.Key(), ErrLogin}, "none": {ServerKey{}, ErrLogin}} {
		l, ke2, _ := start(t, alice, f.known(), password)
		if _, err := l.FinishAt(ke2, c.key); err != c.want {
			t.Errorf("with %s key: %v", name, err)
		}
	}
	_, request, err := StartRegistration(alice, password)
	if err != nil {
		t.Fatal(err)
	}
	response, err := f.server.Register(alice, request)
	if err != nil {
		t.Fatal(err)
	}
	if k, err := RegisteredAt(response); err != nil || k != f.server.Key() {
		t.Errorf("registered at %v, %v", k, err)
	}
	if _, err := RegisteredAt(response[1:]); err != ErrMessage {
		t.Errorf("a short response: %v", err)
	}

	c, err := NewChallenge(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]*Server{"one": f.server, "other": other} {
		answer, err := v.Answer(c.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if k, err := c.Check(answer); err != nil || k != v.Key() || k.IsZero() {
			t.Errorf("%s server proves %v, %v", name, k, err)
		}
		again, err := NewChallenge(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.Check(answer); err != ErrMessage {
			t.Errorf("%s server: an answer passes twice: %v", name, err)
		}
	}
	if _, err := new(Server).Answer(c.Bytes()); err != ErrSetup {
		t.Errorf("without a key: %v", err)
	}
}

// The server's setup is fixed: a seed that one process makes has to be good in
// those that go test starts to mix it.
func FuzzServerAnswer(f *testing.F) {
	setup, err := NewSetup(bytes.NewReader(fill(128, 8)))
	if err != nil {
		f.Fatal(err)
	}
	server, err := NewServer(setup)
	if err != nil {
		f.Fatal(err)
	}
	c, err := NewChallenge(bytes.NewReader(fill(64, 7)))
	if err != nil {
		f.Fatal(err)
	}
	answer, err := server.Answer(c.Bytes())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(answer)
	f.Add(c.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := c.Check(b)
		if err == nil && k != server.Key() {
			t.Error("a key without its private half was taken")
		}
		if bytes.Equal(b, answer) && err != nil {
			t.Errorf("the server's own answer: %v", err)
		}
		if _, err := server.Answer(b); err == nil && len(b) != ChallengeSize {
			t.Error("a challenge of another size was answered")
		}
	})
}
