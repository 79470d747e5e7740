package client_test

import (
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// An answer that a device gave before its account was rotated, and that did not
// come through, is made anew in the name of the new key: the old one opens for
// nobody who knows of the rotation.
func TestAnswerAnewAfterRotation(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, ben := w.Account("ana"), w.Account("ben")
		a1, b1 := ana.Device(), ben.Device()
		a1.Meet(ben)
		b1.Meet(ana)
		m := a1.Send(message.Keep, ben)
		w.Run()
		w.Readable(m, b1)
		b1.Stop() // only ana's device can answer

		b2 := ben.NewDevice()
		if err := b2.Join(); err != nil {
			t.Fatal(err)
		}
		lost := 0
		w.Stream = func(d *world.Device, ev *world.Event) []*world.Event {
			if _, ok := ev.Event.(*resealv1.EventsResponse_Wraps); ok && d == b2 {
				lost++
				return nil
			}
			return []*world.Event{ev}
		}
		b2.Start()
		w.Run()
		if b2.Opens(m) || lost == 0 {
			t.Fatal("the answer came through: the test shows nothing")
		}

		ana.Rotate()
		w.Run()
		if a1.Engine != nil {
			t.Fatal("a session outlived the rotation")
		}
		if l := contact(t, b2, ana); l.Key != ana.Key.Public() {
			t.Fatal("who watches the account does not know of the rotation")
		}
		w.Stream = nil
		a1.Login()
		w.Run()
		for range 3 { // as often as it is asked again
			w.Advance(time.Minute)
			w.Run()
		}
		w.Readable(m, b2)
	})
}
