package client_test

import (
	"errors"
	"testing"
	"time"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// What a stranger sent and the user refused is gone on all devices of the
// account, also for those that were away, and the sender is told nothing. What
// comes later is shown, and accepting brings back what has not expired.
func TestRefusedStranger(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob := w.Account("ana"), w.Account("bob")
		a, b1, b2 := ana.Device(), bob.Device(), bob.Device()
		a.Meet(bob)
		w.Run()
		b2.Disconnect()
		m, n := sent(w, a, message.Once, bob), sent(w, a, message.Keep, bob)
		w.Readable(m, b1)
		refuse := client.ChangeContact{Account: ana.ID, Change: client.Refuse}
		must(t, b1.Do(refuse))
		w.Run()
		b2.Connect()
		w.Run()
		// Everything is read again, because of somebody else.
		carl := w.Account("carl")
		c := carl.Device()
		c.Meet(bob)
		w.Run()
		sent(w, c, message.Keep, bob)
		for _, change := range []client.ContactChange{client.Block, client.Unblock} {
			must(t, b1.Do(client.ChangeContact{Account: carl.ID, Change: change}))
		}
		w.Advance(2 * time.Hour)
		for _, d := range []*world.Device{b1, b2} {
			in, err := d.Engine.Inbox(d.Now(), true)
			if err != nil || len(in) != 1 || in[0].Peer != carl.ID {
				t.Errorf("%s has %d messages: %v", d.Name, len(in), err)
			}
			for _, x := range []*world.Message{m, n} {
				if d.Holds(x.Content.CEK[:]) {
					t.Errorf("%s still has a key", d.Name)
				}
			}
			c, ok := d.Engine.ContactByHandle("ana")
			if !ok || !c.Refused || c.Accepted || c.Blocked {
				t.Errorf("%s: %+v", d.Name, c)
			}
		}
		w.State(m, client.Sent, a)
		if out, err := a.Engine.SentMessages(a.Now()); err != nil || len(out) != 2 || len(out[0].Receipts)+len(out[1].Receipts) > 0 {
			t.Errorf("the sender learns something: %+v, %v", out, err)
		}

		// A fresh device of the account learns it from the book.
		b3 := bob.Device()
		w.Run()
		if in, err := b3.Engine.Inbox(b3.Now(), true); err != nil || len(in) != 1 {
			t.Errorf("a fresh device has %d messages: %v", len(in), err)
		}

		w.Advance(time.Minute)
		later := sent(w, a, message.Keep, bob)
		w.Readable(later, b1, b2, b3)
		if c, _ := b2.Engine.ContactByHandle("ana"); c.Refused {
			t.Error("there is something of this stranger to decide about")
		}
		must(t, b2.Do(client.ChangeContact{Account: ana.ID, Change: client.Accept}))
		w.Run()
		w.Advance(2 * time.Hour)
		w.Readable(m, b1, b2, b3)
		w.Readable(n, b1, b2, b3)
		if err := b1.Do(refuse); !errors.Is(err, client.ErrNoStranger) {
			t.Errorf("a contact is refused: %v", err)
		}
	})
}

// Whose number was compared is no stranger any more, on every device; one who
// is blocked stays blocked and hears nothing.
func TestVerifyingAcceptsAStranger(t *testing.T) {
	for _, blocked := range []bool{false, true} {
		world.Run(t, 1, func(w *world.World) {
			ana, bob := w.Account("ana"), w.Account("bob")
			a, b1, b2 := ana.Device(), bob.Device(), bob.Device()
			a.Meet(bob)
			w.Run()
			m := sent(w, a, message.Keep, bob)
			w.Readable(m, b1, b2)
			if blocked {
				must(t, b1.Do(client.ChangeContact{Account: ana.ID, Change: client.Block}))
				w.Run()
			}
			if err := b1.Do(client.ChangeContact{Account: ana.ID, Change: client.Verify, Key: identity.AccountPublic{1}}); !errors.Is(err, client.ErrKeyChanged) {
				t.Errorf("another key than the one that is pinned: %v", err)
			}
			if contact(t, b1, ana).Accepted {
				t.Error("accepted by a number that is not theirs")
			}
			must(t, b1.Do(client.ChangeContact{Account: ana.ID, Change: client.Verify, Key: contact(t, b1, ana).Key}))
			w.Run()
			for _, d := range []*world.Device{b1, b2} {
				if c := contact(t, d, ana); !c.Verified || c.Accepted == blocked || c.Blocked != blocked {
					t.Errorf("blocked %v: %s has %+v", blocked, d.Name, c)
				}
			}
			out, err := a.Engine.SentMessages(a.Now())
			if err != nil || len(out) != 1 || (len(out[0].Receipts) > 0) == blocked {
				t.Errorf("blocked %v: the sender sees %+v, %v", blocked, out, err)
			}
		})
	}
}
