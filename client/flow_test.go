package client_test

import (
	"testing"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// pair is ana with a phone and bob with a phone and a laptop, who know each
// other.
func pair(w *world.World) (ana, bob *world.Account, a, b1, b2 *world.Device) {
	ana, bob = w.Account("ana"), w.Account("bob")
	a, b1, b2 = ana.Device(), bob.Device(), bob.Device()
	a.Meet(bob)
	b1.Meet(ana)
	w.Run()
	return ana, bob, a, b1, b2
}

func sent(w *world.World, from *world.Device, p message.Policy, to *world.Account) *world.Message {
	m := from.Send(p, to)
	w.Run()
	m.ID() // noted, for when the device is away
	return m
}

func TestOnceIsViewedOnceAndGoneEverywhere(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob, a, b1, b2 := pair(w)
		a2 := ana.Device()
		m := sent(w, a, message.Once, bob)
		w.Readable(m, b1, b2)
		w.State(m, client.Sent, a, a2)
		if err := b2.View(m); err != nil {
			t.Fatal(err)
		}
		w.State(m, client.IsViewed, a, a2, b1, b2)
		if w.Pending(m) || b1.Opens(m) {
			t.Fatal("it is still there")
		}
		for _, d := range []*world.Device{a, a2, b1, b2} {
			if n := d.Engine.Unsecured(); n != 0 {
				t.Errorf("%s has %d things to deliver", d.Name, n)
			}
			for _, prefix := range []string{"content/", "answer/", "add/", "post/", "queue/", "active/", "ask/", "wait/", "uses/"} {
				if names := d.State.Names(prefix); len(names) > 0 {
					t.Errorf("%s keeps %v", d.Name, names)
				}
			}
		}
	})
}

func TestBlobsAreUploadedOnceAndForgottenWithTheLastMessage(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob, a, b1, _ := pair(w)
		carol := w.Account("carol")
		c1 := carol.Device()
		c := a.Content(true)
		all := a.SendContent(c, message.Once, message.MaxLife, bob, carol, ana)
		w.Run()
		w.Readable(all[0], b1)
		w.Readable(all[1], c1)
		if err := b1.View(all[0]); err != nil {
			t.Fatal(err)
		}
		if w.Blob(c.Blob) == nil || a.Files[c.File] == nil {
			t.Fatal("the blob went with the first message")
		}
		if err := c1.View(all[1]); err != nil {
			t.Fatal(err)
		}
		if err := a.Step(client.Unsend{ID: all[2].ID()}); err != nil {
			t.Fatal(err)
		}
		w.Run()
		if w.Blob(c.Blob) != nil || len(a.Files) > 0 || len(a.State.Names("content/")) > 0 {
			t.Fatal("the blob outlives the last message")
		}
	})
}

func TestSelfSentReachesTheOtherDevices(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, _, b1, b2 := pair(w)
		m := sent(w, b1, message.Keep, bob)
		w.Readable(m, b2)
		b3 := bob.Device()
		w.Readable(m, b3)
		got, _, err := b2.Engine.Get(b2.Now(), m.ID())
		if err != nil || got.Stranger || got.Handle != "bob" {
			t.Fatalf("%+v, %v", got, err)
		}
		if err := b2.View(m); err != nil {
			t.Fatal(err)
		}
		w.State(m, client.Sent, b1)
		if err := b1.Step(client.Unsend{ID: m.ID()}); err != nil {
			t.Fatal(err)
		}
		w.Run()
		w.State(m, client.IsUnsent, b1, b2, b3)
	})
}

func TestUnknownSendersAreResolved(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, bob := w.Account("ana"), w.Account("bob")
		a, b := ana.Device(), bob.Device()
		m := sent(w, a, message.Keep, bob)
		w.Readable(m, b)
		got, _, err := b.Engine.Get(b.Now(), m.ID())
		if err != nil || !got.Stranger || got.Handle != "ana" {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

func TestLogoutAndLoginFindsEverythingWithoutARetry(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		b1.Stop()
		var all []*world.Message
		for range 5 {
			all = append(all, sent(w, a, message.Once, bob))
		}
		w.Advance(0)
		b1.Start()
		w.Run()
		for _, m := range all {
			w.Readable(m, b1, b2)
		}
		if n := w.Counted("retry_requests/own") + w.Counted("retry_requests/sender"); n != 0 {
			t.Fatalf("%d retries", n)
		}
	})
}
