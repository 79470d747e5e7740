package reseal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/store/memory"
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
	s := newExampleServer()
	defer s.close()
	phone, password := s.dir(), []byte("seven otters juggle lanterns")
	s.account(phone, "ben", password)()

	out := s.quiet(func() error { return sendHello(s.ctx, s.dir(), s.url, []byte("plum weather station nine")) })
	fmt.Println(bytes.Contains(out, []byte("write this down: ")), bytes.Contains(out, []byte("stored for ben")))
	if err := readInbox(s.ctx, phone, s.url, password); err != nil {
		fmt.Println(err)
	}
	// Output:
	// true true
	// ana: hello
}

// A file that stays readable on every device of the recipient, for a day.
func ExampleAccount_Send() {
	s := newExampleServer()
	defer s.close()
	ana, ben := s.member("ana"), s.member("ben")

	photo := bytes.Repeat([]byte("pixels "), 50_000)
	sent, err := ana.Send(s.ctx, reseal.Outgoing{
		To: []string{"ben"}, File: bytes.NewReader(photo), Size: int64(len(photo)), Name: "beach.jpg", Type: "image/jpeg",
		Caption: "last summer", Policy: reseal.Keep, Expires: 24 * time.Hour,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	s.ready(ben, sent[0].Message)
	for range 2 { // a kept message opens again
		err = ben.Open(s.ctx, sent[0].Message, func(c reseal.Content) error {
			got, err := io.ReadAll(c.Reader)
			fmt.Printf("%s (%s), %q: %d bytes, the same: %v\n", c.Name, c.Type, c.Caption, c.Size, bytes.Equal(got, photo))
			return err
		}, nil)
		if err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// beach.jpg (image/jpeg), "last summer": 350000 bytes, the same: true
	// beach.jpg (image/jpeg), "last summer": 350000 bytes, the same: true
}

// Events tells what happens to an account, here until the message that was sent
// has been viewed.
func ExampleAccount_Events() {
	s := newExampleServer()
	defer s.close()
	ana, ben := s.member("ana"), s.member("ben")
	events := ana.Events(s.ctx) // from here on

	sent, err := ana.Send(s.ctx, reseal.Outgoing{To: []string{"ben"}, Text: "call me"})
	if err != nil {
		fmt.Println(err)
		return
	}
	s.ready(ben, sent[0].Message)
	show := func(c reseal.Content) error { _, err := io.Copy(io.Discard, c.Reader); return err }
	if err := ben.Open(s.ctx, sent[0].Message, show, nil); err != nil {
		fmt.Println(err)
	}
	for e := range events {
		if e.Kind == reseal.KindEnded {
			fmt.Println(e.State, e.ID == sent[0].Message)
			break
		}
	}
	// Output:
	// viewed true
}

// exampleServer is a server in memory on a loopback port, and folders for
// installations.
type exampleServer struct {
	ctx    context.Context
	url    string
	root   string
	stop   func()
	closer []func()
}

func newExampleServer() *exampleServer {
	s := new(exampleServer)
	var err error
	s.root, err = os.MkdirTemp("", "reseal-example-")
	must(err)
	st, err := memory.New(server.Schema(), memory.Options{})
	must(err)
	setup, err := opaque.NewSetup(rand.Reader)
	must(err)
	srv, err := server.New(server.Config{Store: st, BlobFolder: filepath.Join(s.root, "blobs"), BlobFloor: -1, Setup: setup})
	must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	s.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, l) }()
	var expire context.CancelFunc
	s.ctx, expire = context.WithTimeout(context.Background(), time.Minute)
	s.stop = func() { expire(); cancel(); must(<-done); must(st.Close()); must(os.RemoveAll(s.root)) }
	return s
}

func (s *exampleServer) close() {
	for _, f := range s.closer {
		f()
	}
	s.stop()
}

// dir is a fresh folder.
func (s *exampleServer) dir() string {
	dir, err := os.MkdirTemp(s.root, "installation-")
	must(err)
	return dir
}

// account signs up at an installation; the result logs out and closes it.
func (s *exampleServer) account(dir, handle string, password []byte) func() {
	in, err := reseal.Open(dir, reseal.Options{Server: s.url})
	must(err)
	a, _, err := in.SignUp(s.ctx, handle, password)
	must(err)
	return func() {
		_, err := a.LogOut(s.ctx, reseal.LogOutOptions{})
		must(err)
		must(in.Close())
	}
}

// member is an account at an installation of its own, until the server closes.
func (s *exampleServer) member(handle string) *reseal.Account {
	in, err := reseal.Open(s.dir(), reseal.Options{Server: s.url})
	must(err)
	s.closer = append(s.closer, func() { must(in.Close()) })
	a, _, err := in.SignUp(s.ctx, handle, []byte("a long password of "+handle+" 4711"))
	must(err)
	must(a.Online(s.ctx))
	return a
}

// ready waits until a message can be opened.
func (s *exampleServer) ready(a *reseal.Account, id reseal.MessageID) {
	for s.ctx.Err() == nil {
		if m, err := a.Find(s.ctx, id.String()); err == nil && m.State == "ready" {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	must(s.ctx.Err())
}

// quiet runs f and returns what it printed.
func (s *exampleServer) quiet(f func() error) []byte {
	r, w, err := os.Pipe()
	must(err)
	stdout := os.Stdout
	os.Stdout = w
	err = f()
	os.Stdout = stdout
	must(err)
	must(w.Close())
	out, err := io.ReadAll(r)
	must(err)
	return out
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
