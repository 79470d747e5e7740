package resealtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/resealtest"
)

// screen is what an app of one line shows of a message.
func screen(a *reseal.Account, id reseal.MessageID) string {
	m, err := a.Find(context.Background(), id.String())
	switch {
	case err != nil:
		return err.Error()
	case m.State == reseal.StateWaiting:
		return "a message waits for its key"
	}
	return "a message is " + string(m.State)
}

// The "waiting for its key" screen: nobody who has the key is there when somebody
// logs in on another phone.
func Example() {
	err := resealtest.Run(func(w *resealtest.World) {
		ana, ben := w.Device("ana"), w.Device("ben")
		id := ana.Text("look at this", "ben")
		ana.CutOff()
		ben = ben.Hop()
		ben.Await(id, reseal.StateWaiting)
		fmt.Println(screen(ben.Account, id))

		ana.Reconnect()
		ben.Await(id, reseal.StateReady)
		fmt.Println(screen(ben.Account, id))
	})
	fmt.Println(err)
	// Output:
	// a message waits for its key
	// a message is ready
	// <nil>
}

// A message that may be viewed once is viewed on another device.
func ExampleWorld_Device() {
	err := resealtest.Run(func(w *resealtest.World) {
		ana, phone, tablet := w.Device("ana"), w.Device("ben"), w.Device("ben")
		id := ana.Text("only once", "ben")
		tablet.Await(id, reseal.StateReady)
		phone.Read(id)
		tablet.Await(id, reseal.StateViewed)
		fmt.Println(screen(tablet.Account, id))
	})
	fmt.Println(err)
	// Output:
	// a message is viewed
	// <nil>
}

// The alarm of a changed key: the server puts somebody else in Ben's place.
func ExampleWorld_ChangeKey() {
	err := resealtest.Run(func(w *resealtest.World) {
		ana, ben := w.Device("ana"), w.Device("ben")
		ben.Read(ana.Text("hello", "ben"))
		w.ChangeKey("ben")
		_, err := ana.Send(context.Background(), reseal.Outgoing{To: []string{"ben"}, Text: "for your eyes"})
		fmt.Println(errors.Is(err, reseal.ErrAlarm))
	})
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

// A phone without a network, and with it again.
func ExamplePhone_CutOff() {
	err := resealtest.Run(func(w *resealtest.World) {
		ana, ben := w.Device("ana"), w.Device("ben")
		ben.CutOff()
		_, err := ben.Send(context.Background(), reseal.Outgoing{To: []string{"ana"}, Text: "hello?"})
		fmt.Println(errors.Is(err, reseal.ErrOffline))
		id := ana.Text("are you there?", "ben")
		ben.Reconnect()
		fmt.Println(ben.Read(id))
	})
	fmt.Println(err)
	// Output:
	// true
	// are you there?
	// <nil>
}

// A message waits for 30 days.
func ExampleWorld_Advance() {
	err := resealtest.Run(func(w *resealtest.World) {
		ana, ben := w.Device("ana"), w.Device("ben")
		id := ana.Text("come down", "ben")
		ben.Await(id, reseal.StateReady)
		w.Advance(31 * 24 * time.Hour)
		fmt.Println(screen(ben.Account, id))
	})
	fmt.Println(err)
	// Output:
	// a message is expired
	// <nil>
}

// An app opens the installation itself, with what the phone gives it.
func ExamplePhone_Options() {
	err := resealtest.Run(func(w *resealtest.World) {
		w.Device("ben").LogOut()
		phone := w.Phone()
		in, err := reseal.Open(phone.Dir(), phone.Options())
		if err != nil {
			fmt.Println(err)
			return
		}
		defer in.Close()
		me, how, err := in.LogIn(context.Background(), "ben", w.Password("ben"))
		fmt.Println(me.Handle(), how.NewDevice, err)
	})
	fmt.Println(err)
	// Output:
	// ben true <nil>
	// <nil>
}

// Somebody looks at a message while the other device has it open.
func ExampleDevice_Await() {
	err := resealtest.Run(func(w *resealtest.World) {
		ana, phone, tablet := w.Device("ana"), w.Device("ben"), w.Device("ben")
		id := ana.Text("only once", "ben")
		phone.Await(id, reseal.StateReady)
		tablet.Await(id, reseal.StateReady)
		ctx := context.Background()
		_ = phone.Open(ctx, id, func(c reseal.Content) error {
			err := tablet.Open(ctx, id, func(reseal.Content) error { return nil }, nil)
			fmt.Println(errors.Is(err, reseal.ErrClaimed))
			_, err = io.Copy(io.Discard, c.Reader)
			return err
		}, nil)
	})
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}
