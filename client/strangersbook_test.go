package client_test

import (
	"encoding/binary"
	"testing"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/book"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// A stranger whom the server calls by a friend's handle does not take it on the
// account's other devices either, which know of it from the book.
func TestAStrangerTakesNoHandleThroughTheBook(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob, a, _, _ := pair(w)
		a2 := ana.Device()
		mallory := w.Account("mallory")
		m1 := mallory.Device()
		w.Answer = func(x *world.Exchange) {
			if r, ok := x.Response.(*resealv1.GetAccountsResponse); ok && x.Device == a {
				for _, k := range r.Accounts {
					k.Handle = "bob"
				}
			}
		}
		sent(w, m1, message.Keep, ana)
		must(t, a.Step(client.ChangeContact{Account: mallory.ID, Change: client.Block}))
		w.Run()
		for _, d := range []*world.Device{a, a2, ana.Device()} {
			if c := contact(t, d, mallory); !c.Blocked {
				t.Fatalf("%s: %+v", d.Name, c)
			}
			if c, ok := d.Engine.ContactByHandle("bob"); !ok || c.Account != bob.ID {
				t.Errorf("%s: the handle names a stranger", d.Name)
			}
		}
	})
}

// Whoever writes makes a contact; the book holds those that the user decided
// about.
func TestStrangersDoNotEnterTheBook(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, _, a, _, _ := pair(w)
		puts := 0
		w.Net = func(x *world.Exchange) world.Fate {
			if _, ok := x.Request.(*resealv1.PutBookRequest); ok && x.Device == a {
				puts++
			}
			return world.Deliver
		}
		for _, c := range []struct {
			handle string
			change client.ContactChange
		}{{"carol", client.Accept}, {"dan", client.Block}, {"eve", client.Verify}} {
			stranger := w.Account(c.handle)
			before := puts
			w.Readable(sent(w, stranger.Device(), message.Keep, a.Account), a)
			in := func() bool {
				b, _, err := a.Engine.Book()
				must(t, err)
				_, ok := b.Contact(stranger.ID)
				return ok
			}
			if in() || puts != before {
				t.Fatalf("%s is in the book, or it was put %d times", c.handle, puts-before)
			}
			must(t, a.Step(client.ChangeContact{Account: stranger.ID, Change: c.change, Key: contact(t, a, stranger).Key}))
			w.Run()
			if !in() || puts == before {
				t.Fatalf("%s is not in the book", c.handle)
			}
		}
	})
}

// A book that is full takes no more contacts, says so, and nothing else stops.
func TestAFullBookStopsNothing(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob, a, b1, _ := pair(w)
		crowd := new(book.Book)
		for n := range book.MaxContacts - 1 {
			c := book.Contact{Removed: true}
			binary.BigEndian.PutUint32(c.Account[:], uint32(n+1))
			crowd.Put(c)
		}
		own, _, err := a.Engine.Book()
		must(t, err)
		enc, err := book.Merge(own, crowd).Encode()
		must(t, err)
		a.State.Commit(client.Batch{{Name: "book", Value: enc}})
		a.Start()
		w.Run()
		carol := w.Account("carol")
		carol.Device()
		a.Meet(carol)
		w.Run()
		if n := world.Told[client.BookFull](a); n != 1 {
			t.Fatalf("told %d times", n)
		}
		if c := contact(t, a, carol); !c.Accepted {
			t.Fatal("the contact is not known here")
		}
		if self, _ := a.State.Get("self"); len(self) > 64<<10 {
			t.Fatalf("the device's own record has %d bytes", len(self))
		}
		w.Readable(sent(w, a, message.Once, carol), carol.Devices[0])
		w.Readable(sent(w, b1, message.Once, ana), a)
		// What is in it is followed still.
		must(t, a.Step(client.ChangeContact{Account: bob.ID, Change: client.Block}))
		w.Run()
		if c := contact(t, ana.Device(), bob); !c.Blocked {
			t.Fatal("a contact of the book is not followed")
		}
	})
}

// Two contacts of one handle: on every device it names whom the user knew first.
func TestAHandleOfTheBookNamesOneContactOnEveryDevice(t *testing.T) {
	for seed := range uint64(4) { // account ids sort either way
		world.Run(t, seed, func(w *world.World) {
			ana, bob, a, _, _ := pair(w)
			a2 := ana.Device()
			other := w.Account("other")
			w.Answer = func(x *world.Exchange) {
				if r, ok := x.Response.(*resealv1.GetAccountsResponse); ok && x.Device == a {
					for _, k := range r.Accounts {
						k.Handle = "bob"
					}
				}
			}
			sent(w, other.Device(), message.Keep, ana)
			w.Answer = nil
			must(t, a.Step(client.ChangeContact{Account: other.ID, Change: client.Accept}))
			w.Run()
			for _, d := range []*world.Device{a, a2, ana.Device()} {
				if c := contact(t, d, other); !c.Accepted || !c.Renamed {
					t.Fatalf("%s: %+v", d.Name, c)
				}
				if c, ok := d.Engine.ContactByHandle("bob"); !ok || c.Account != bob.ID {
					t.Errorf("%s: the handle names the later one", d.Name)
				}
			}
		})
	}
}
