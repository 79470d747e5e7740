package reseal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/limits"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// world is a server on a loopback port, and installations that use it.
type world struct {
	t      testing.TB
	url    string
	store  store.Store
	setup  opaque.Setup
	blobs  string
	offset atomic.Int64 // of everybody's clock
	adjust func(*server.Config)

	mu     sync.Mutex
	server *server.Server
	stop   func()
	homes  []*reseal.Installation
}

const secret = "correct horse battery staple"

func newWorld(t testing.TB) *world { return newWorldWith(t, nil) }

// newWorldWith changes the server's configuration.
func newWorldWith(t testing.TB, adjust func(*server.Config)) *world {
	t.Helper()
	w := &world{t: t, blobs: t.TempDir(), adjust: adjust}
	var err error
	if w.store, err = memory.New(server.Schema(), memory.Options{Clock: w.now}); err != nil {
		t.Fatal(err)
	}
	if w.setup, err = opaque.NewSetup(rand.Reader); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.url = "http://" + l.Addr().String()
	w.serve(l)
	t.Cleanup(func() { w.down(); _ = w.store.Close() })
	return w
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

func (w *world) serve(l net.Listener) {
	// As many logins as a test likes; everything else as by default.
	rates := limits.Default()
	for _, kind := range []string{limits.LoginHandle, limits.LoginKnown, limits.RecoveryKnown} {
		rates.Rates[kind] = limits.Rate{PerSecond: 500, Burst: 1000}
	}
	c := server.Config{
		Store: w.store, BlobFolder: w.blobs, BlobFloor: -1, Setup: w.setup, Now: w.now, Version: "test", Limits: &rates,
	}
	if w.adjust != nil {
		w.adjust(&c)
	}
	s, err := server.New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(ctx, l) }()
	w.mu.Lock()
	w.server = s
	w.stop = func() { cancel(); <-done }
	w.mu.Unlock()
}

// down stops the server; up starts it again at the same address.
func (w *world) down() {
	w.mu.Lock()
	stop := w.stop
	w.stop = nil
	w.mu.Unlock()
	if stop != nil {
		stop()
	}
}

func (w *world) up() {
	w.t.Helper()
	var l net.Listener
	var err error
	for range 100 {
		if l, err = net.Listen("tcp", w.url[len("http://"):]); err == nil {
			w.serve(l)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.t.Fatal(err)
}

func (w *world) install(dir string) *reseal.Installation {
	w.t.Helper()
	in, err := reseal.Open(dir, reseal.Options{Server: w.url, Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = in.Close() })
	w.mu.Lock()
	w.homes = append(w.homes, in)
	w.mu.Unlock()
	return in
}

func (w *world) phone() *reseal.Installation { return w.install(w.t.TempDir()) }

func (w *world) signUp(handle string) (*reseal.Installation, *reseal.Account) {
	w.t.Helper()
	in := w.phone()
	a, code, err := in.SignUp(ctx(w.t), handle, []byte(secret+handle))
	if err != nil {
		w.t.Fatalf("sign up %s: %v", handle, err)
	}
	if code.Reveal() == "" {
		w.t.Fatal("no recovery code")
	}
	return in, a
}

func (w *world) logIn(in *reseal.Installation, handle string) (*reseal.Account, reseal.Login) {
	w.t.Helper()
	a, how, err := in.LogIn(ctx(w.t), handle, []byte(secret+handle))
	if err != nil {
		w.t.Fatalf("log in %s: %v", handle, err)
	}
	return a, how
}

func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return c
}

func text(t testing.TB, from *reseal.Account, body string, to ...string) reseal.MessageID {
	t.Helper()
	sent, err := from.Send(ctx(t), reseal.Outgoing{To: to, Text: body})
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	return sent[0].Message
}

// await polls until f holds.
func await(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("never came: %s", what)
}

func state(t testing.TB, a *reseal.Account, id reseal.MessageID) client.MessageState {
	t.Helper()
	m, err := a.Find(context.Background(), id.String())
	if errors.Is(err, reseal.ErrUnknownMessage) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return m.State
}

func awaitState(t testing.TB, a *reseal.Account, id reseal.MessageID, want client.MessageState) {
	t.Helper()
	await(t, a.Handle()+" has it "+string(want), func() bool { return state(t, a, id) == want })
}

// open opens a message and returns its content.
func open(t testing.TB, a *reseal.Account, id reseal.MessageID) (reseal.Content, []byte) {
	t.Helper()
	awaitState(t, a, id, client.IsReady)
	var got reseal.Content
	var body bytes.Buffer
	if err := a.Open(ctx(t), id, func(c reseal.Content) error {
		got = c
		_, err := io.Copy(&body, c.Reader)
		return err
	}, nil); err != nil {
		t.Fatalf("open: %v", err)
	}
	return got, body.Bytes()
}

func TestMain(m *testing.M) {
	if home := os.Getenv("RESEAL_TEST_HOME"); home != "" {
		os.Exit(lifeOfSecrets(home)) // the process of TestNoKeysAfterLogout
	}
	os.Exit(m.Run())
}
