package sim

import (
	"testing"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// breaks reports whether f finds a broken invariant.
func breaks(f func()) (what string) {
	defer func() {
		switch x := recover().(type) {
		case nil:
		case broken:
			what = x.what
		default:
			panic(x)
		}
	}()
	f()
	return ""
}

// TestWitness: each thing that the witness is there for is seen, and nothing else.
func TestWitness(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		l := &life{w: w, plan: Plan{Nodes: 1}, note: func(string, ...any) {}}
		l.plan.Devices = []int{1, 2}
		l.begin()
		ana, ben := l.devices[0], l.devices[1]
		ana.Meet(ben.Account)
		content := ana.Content(false)
		all, err := ana.TrySend(content, message.Once, lives[1], ben.Account)
		if err != nil {
			t.Fatal(err)
		}
		l.sent = append(l.sent, &sent{Message: all[0], from: ana})
		w.Run()

		cek := content.CEK[:]
		for at := range 9 {
			b := append(make([]byte, at, 60), cek...)
			if breaks(func() { l.bytes("x", b) }) == "" || breaks(func() { l.bytes("x", append(b, 1, 2, 3)) }) == "" {
				t.Errorf("a key at %d is not seen", at)
			}
			if what := breaks(func() { l.bytes("x", b[:len(b)-1]) }); what != "" {
				t.Errorf("all of a key but its last byte: %s", what)
			}
		}
		for i, secret := range [][]byte{ana.Account.Key.Seed(), ben.Key.Seed(), ben.First.Auth.Seed()} {
			if breaks(func() { l.bytes("x", secret) }) == "" {
				t.Errorf("secret %d is not seen", i)
			}
		}

		book := func(part ...byte) *resealv1.PutBookRequest {
			return &resealv1.PutBookRequest{Book: &resealv1.Book{Parts: [][]byte{append(make([]byte, 70), part...)}}}
		}
		for _, c := range []struct {
			who  *device
			part byte
			bad  bool
		}{{ana, 1, false}, {ana, 1, false}, {ben, 2, false}, {ana, 2, true}} {
			if what := breaks(func() { l.sealed(c.who.Device, book(c.part)) }); (what != "") != c.bad {
				t.Errorf("%s puts book %d: %q", c.who.Name, c.part, what)
			}
		}

		rise := func(v uint64) string {
			l.witness.known[[2]string{ana.Name, "its own list"}] = v
			return breaks(func() { l.versions(ana) })
		}
		if what := rise(1); what != "" {
			t.Error(what)
		}
		if rise(2) == "" {
			t.Error("a version that falls is not seen")
		}
		l.witness.forget(ana)
		if what := breaks(func() { l.versions(ana) }); what != "" {
			t.Errorf("an old copy: %s", what)
		}
		for at := range l.witness.lists {
			l.witness.lists[at] = "another"
		}
		if breaks(func() { l.versions(ana) }) == "" {
			t.Error("two lists of one version are not seen")
		}
	})
}
