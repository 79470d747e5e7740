package reseal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/resealtest"
)

// sendHello is the sending half of the README: an account on this machine, and a
// message from it.
func sendHello(ctx context.Context, dir, url string, password []byte) error {
	in, err := reseal.Open(dir, reseal.Options{Server: url})
	if err != nil {
		return err
	}
	defer in.Close()
	ana, code, err := in.SignUp(ctx, "ana", password)
	if err != nil {
		return err
	}
	fmt.Println("write this down:", code.Reveal())
	sent, err := ana.Send(ctx, reseal.Outgoing{To: []string{"ben"}, Text: "hello"})
	if err != nil {
		return err
	}
	fmt.Println("stored for", sent[0].To)
	return nil
}

// readInbox is the receiving half of the README: log in anywhere, and read.
func readInbox(ctx context.Context, dir, url string, password []byte) error {
	in, err := reseal.Open(dir, reseal.Options{Server: url})
	if err != nil {
		return err
	}
	defer in.Close()
	ben, _, err := in.LogIn(ctx, "ben", password)
	if err != nil {
		return err
	}
	if err := ben.Online(ctx); err != nil { // until what waits is here
		return err
	}
	inbox, err := ben.Inbox(ctx, reseal.InboxOptions{})
	if err != nil {
		return err
	}
	for _, m := range inbox {
		err := ben.Open(ctx, m.ID, func(c reseal.Content) error {
			text, err := io.ReadAll(c.Reader)
			fmt.Printf("%s: %s\n", m.Handle, text)
			return err
		}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// A message from one account to another: five calls.
func Example() {
	err := resealtest.Run(func(w *resealtest.World) {
		ctx, ben := context.Background(), w.Device("ben")
		ben.LogOut()
		ben.PowerOff()
		out := quiet(func() error { return sendHello(ctx, w.Phone().Dir(), w.URL(), w.Password("ana")) })
		fmt.Println(bytes.Contains(out, []byte("write this down: ")), bytes.Contains(out, []byte("stored for ben")))
		fmt.Println(readInbox(ctx, ben.Dir(), w.URL(), w.Password("ben")))
	})
	fmt.Println(err)
	// Output:
	// true true
	// ana: hello
	// <nil>
	// <nil>
}

// A file that stays readable on every device of the recipient, for a day.
func ExampleAccount_Send() {
	err := resealtest.Run(func(w *resealtest.World) {
		ctx, ana, ben := context.Background(), w.Device("ana"), w.Device("ben")
		photo := bytes.Repeat([]byte("pixels "), 50_000)
		sent, err := ana.Send(ctx, reseal.Outgoing{
			To: []string{"ben"}, File: bytes.NewReader(photo), Size: int64(len(photo)), Name: "beach.jpg", Type: "image/jpeg",
			Caption: "last summer", Policy: reseal.Keep, Expires: 24 * time.Hour,
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		ben.Await(sent[0].Message, reseal.StateReady)
		for range 2 { // a kept message opens again
			err = ben.Open(ctx, sent[0].Message, func(c reseal.Content) error {
				got, err := io.ReadAll(c.Reader)
				fmt.Printf("%s (%s), %q: %d bytes, the same: %v\n", c.Name, c.Type, c.Caption, c.Size, bytes.Equal(got, photo))
				return err
			}, nil)
			if err != nil {
				fmt.Println(err)
			}
		}
	})
	fmt.Println(err)
	// Output:
	// beach.jpg (image/jpeg), "last summer": 350000 bytes, the same: true
	// beach.jpg (image/jpeg), "last summer": 350000 bytes, the same: true
	// <nil>
}

// Events tells what happens to an account, here until the message that was sent
// has been viewed.
func ExampleAccount_Events() {
	err := resealtest.Run(func(w *resealtest.World) {
		ctx, ana, ben := context.Background(), w.Device("ana"), w.Device("ben")
		events := ana.Events(ctx) // from here on

		id := ana.Text("call me", "ben")
		fmt.Println(ben.Read(id))
		for e := range events {
			if e.Kind == reseal.KindEnded {
				fmt.Println(e.State, e.ID == id)
				break
			}
		}
	})
	fmt.Println(err)
	// Output:
	// call me
	// viewed true
	// <nil>
}

// quiet runs f and returns what it printed.
func quiet(f func() error) []byte {
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	stdout := os.Stdout
	os.Stdout = w
	err = f()
	os.Stdout = stdout
	if err := errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		panic(err)
	}
	return out
}
