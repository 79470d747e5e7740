package reseal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/pebble"
)

// soon fails the test if f takes so long that it must be called hanging.
func soon(t testing.TB, what string, f func() error) error {
	t.Helper()
	began := time.Now()
	err := f()
	if took := time.Since(began); took > time.Minute {
		t.Errorf("%s took %v", what, took)
	}
	return err
}

func nobodyThere(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestNoServer(t *testing.T) {
	in, err := reseal.Open(t.TempDir(), reseal.Options{Server: nobodyThere(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := soon(t, "login", func() error { _, _, err := in.LogIn(ctx(t), "ana", []byte(secret)); return err }); !errors.Is(err, reseal.ErrOffline) {
		t.Errorf("login: %v", err)
	}
	if err := soon(t, "sign-up", func() error { _, _, err := in.SignUp(ctx(t), "ana", []byte(secret)); return err }); !errors.Is(err, reseal.ErrOffline) {
		t.Errorf("sign-up: %v", err)
	}
}

// While the server is away nothing hangs, nothing is lost, and what was queued
// goes when it is back.
func TestServerAway(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	dir := t.TempDir()
	phone := w.install(dir)
	ben, _, err := phone.SignUp(ctx(t), "ben", []byte(secret+"ben"))
	if err != nil {
		t.Fatal(err)
	}
	text(t, ben, "so that they know each other", "ana")
	once := text(t, ana, "once", "ben")
	kept := keep(t, ana, "kept", "ben")
	awaitState(t, ben, once, client.IsReady)
	awaitState(t, ben, kept, client.IsReady)
	w.down()
	await(t, "ben notices", func() bool { return !ben.Connected() })

	if err := soon(t, "once", func() error { return ben.Open(ctx(t), once, nil, nil) }); !errors.Is(err, reseal.ErrOffline) {
		t.Errorf("open of a once message: %v", err)
	}
	if s := state(t, ben, once); s != client.IsReady {
		t.Errorf("it is %s", s)
	}
	if _, body := open(t, ben, kept); string(body) != "kept" {
		t.Errorf("a kept message without a server: %q", body)
	}
	if err := soon(t, "send", func() error {
		_, err := ben.Send(ctx(t), reseal.Outgoing{To: []string{"ana"}, Text: "now or never"})
		return err
	}); !errors.Is(err, reseal.ErrOffline) {
		t.Errorf("send: %v", err)
	}
	sent, err := ben.Send(ctx(t), reseal.Outgoing{To: []string{"ana"}, Text: "when you can", Queue: true, Policy: reseal.Keep})
	if err != nil || !sent[0].Queued {
		t.Fatalf("queue: %+v, %v", sent, err)
	}
	if err := phone.Close(); err != nil {
		t.Fatal(err)
	}

	phone = w.install(dir)
	var e *reseal.AccountError
	if err := soon(t, "resume", func() error { _, err := phone.Resume(ctx(t)); return err }); !errors.Is(err, reseal.ErrOffline) || !errors.As(err, &e) || e.Handle != "ben" {
		t.Errorf("resume: %v", err)
	}
	if all, err := phone.LoggedIn(); err != nil || len(all) != 1 {
		t.Errorf("logged in: %v, %v", all, err)
	}
	w.up()
	all, err := phone.Resume(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	ben = all[0]
	if _, body := open(t, ben, once); string(body) != "once" {
		t.Errorf("got %q", body)
	}
	var got reseal.MessageID
	await(t, "the queued message", func() bool {
		inbox, err := ana.Inbox(context.Background(), reseal.InboxOptions{})
		if err != nil || len(inbox) != 2 {
			return false
		}
		got = inbox[1].ID
		return true
	})
	if _, body := open(t, ana, got); string(body) != "when you can" {
		t.Errorf("got %q", body)
	}
}

func TestLogoutWithoutServer(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	phone, ben := w.signUp("ben")
	device := ben.Device()
	id := text(t, ana, "later", "ben")
	awaitState(t, ben, id, client.IsReady)
	text(t, ben, "known", "ana")
	w.down()
	await(t, "ben notices", func() bool { return !ben.Connected() })
	if _, err := ben.Send(ctx(t), reseal.Outgoing{To: []string{"ana"}, Text: "queued", Queue: true}); err != nil {
		t.Fatal(err)
	}
	var unsecured int
	if err := soon(t, "logout", func() (err error) { unsecured, err = ben.LogOut(ctx(t), reseal.LogOutOptions{}); return err }); err != nil {
		t.Fatal(err)
	}
	if unsecured == 0 {
		t.Error("a queued message counts as secured")
	}
	if all, err := phone.LoggedIn(); err != nil || len(all) != 0 {
		t.Errorf("logged in: %v, %v", all, err)
	}
	w.up()
	ben, how := w.logIn(phone, "ben")
	if how.NewDevice || ben.Device() != device {
		t.Errorf("login: %+v", how)
	}
	if _, body := open(t, ben, id); string(body) != "later" {
		t.Errorf("got %q", body)
	}
	await(t, "the queued message", func() bool {
		inbox, err := ana.Inbox(context.Background(), reseal.InboxOptions{})
		return err == nil && len(inbox) == 2
	})
}

// What is no Reseal server is named. Which one it is nobody can tell who is not
// logged in: see TestAnotherServer for who is.
func TestWrongServer(t *testing.T) {
	w := newWorld(t)
	w.signUp("ana")
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	for name, url := range map[string]string{"plain HTTP": plain.URL, "TLS": "http://" + secure.Listener.Addr().String()} {
		in, err := reseal.Open(t.TempDir(), reseal.Options{Server: url})
		if err != nil {
			t.Fatal(err)
		}
		if err := soon(t, name, func() error { _, _, err := in.LogIn(ctx(t), "ana", []byte(secret)); return err }); !errors.Is(err, reseal.ErrNotReseal) {
			t.Errorf("%s: %v", name, err)
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// The same store with another key file. A server would not start with it;
	// should it all the same, no password is right.
	var err error
	w.down()
	if w.setup, err = opaque.NewSetup(rand.Reader); err != nil {
		t.Fatal(err)
	}
	w.up()
	if _, _, err := w.phone().LogIn(ctx(t), "ana", []byte(secret+"ana")); !errors.Is(err, reseal.ErrLogin) {
		t.Errorf("another key file: %v", err)
	}
}

// skewed opens a folder with a clock that is off.
func (w *world) skewed(dir string, by time.Duration) *reseal.Installation {
	w.t.Helper()
	in, err := reseal.Open(dir, reseal.Options{Server: w.url, Now: func() time.Time { return w.now().Add(by) }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = in.Close() })
	return in
}

func TestClockOffByDays(t *testing.T) {
	for _, by := range []time.Duration{3 * 24 * time.Hour, -3 * 24 * time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			w := newWorld(t)
			w.signUp("ana")
			dir, id, device := resting(t, w, "carl")
			in := w.skewed(dir, by)
			all, err := in.Resume(ctx(t))
			if err != nil {
				t.Fatal(err)
			}
			var e *reseal.ClockError
			if err := soon(t, "send", func() error {
				_, err := all[0].Send(ctx(t), reseal.Outgoing{To: []string{"ana"}, Text: "when is it?"})
				return err
			}); !errors.Is(err, reseal.ErrClock) || !errors.As(err, &e) || (e.Ahead-by).Abs() > time.Minute {
				t.Errorf("send: %v", err)
			}
			if err := in.Close(); err != nil {
				t.Fatal(err)
			}
			resumed(t, w, dir, id, device)
		})
	}
}

func TestSignUpWithAWrongClock(t *testing.T) {
	w := newWorld(t)
	var e *reseal.ClockError
	if _, _, err := w.skewed(t.TempDir(), 50*time.Hour).SignUp(ctx(t), "ana", []byte(secret)); !errors.As(err, &e) || (e.Ahead-50*time.Hour).Abs() > time.Minute {
		t.Errorf("sign-up: %v", err)
	}
	w.signUp("ana") // nothing was left that is in the way
}

// A clock far ahead hides what has expired by it, and erases nothing.
func TestExpiredByAWrongClockIsHiddenOnly(t *testing.T) {
	w := newWorld(t)
	dir, id, device := resting(t, w)
	in := w.skewed(dir, 40*24*time.Hour)
	all, err := in.Resume(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	var e *reseal.EndedError
	if err := all[0].Open(ctx(t), id, nil, nil); !errors.As(err, &e) {
		t.Errorf("open: %v", err)
	}
	if inbox, err := all[0].Inbox(ctx(t), reseal.InboxOptions{}); err != nil || len(inbox) != 0 {
		t.Errorf("inbox: %v, %v", inbox, err)
	}
	if err := all[0].Online(ctx(t)); err != nil {
		t.Error(err)
	}
	time.Sleep(3 * time.Second) // a tick
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	resumed(t, w, dir, id, device)
}

// fullStore has no room while full is set.
type fullStore struct {
	store.Store
	full atomic.Bool
}

func (s *fullStore) Commit(ctx context.Context, p store.Partition, b *store.Batch) error {
	if s.full.Load() {
		return store.ErrFull
	}
	return s.Store.Commit(ctx, p, b)
}

func TestFullStoreAtTheServer(t *testing.T) {
	full := new(fullStore)
	w := newWorldWith(t, func(c *server.Config) { full.Store = c.Store; c.Store = full })
	_, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	text(t, ana, "there is room", "ben")
	full.full.Store(true)
	sent, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben"}, Text: "there is none"})
	if !errors.Is(err, reseal.ErrServerFull) {
		t.Errorf("send: %v", err)
	}
	if len(sent) != 1 || !sent[0].Queued {
		t.Errorf("what may have been stored is given up: %+v", sent)
	}
	if _, _, err := w.phone().SignUp(withTimeout(t, 3*time.Second), "carl", []byte(secret)); !errors.Is(err, reseal.ErrServerFull) {
		t.Errorf("sign-up: %v", err)
	}
	full.full.Store(false)
	await(t, "it is sent", func() bool {
		inbox, err := ben.Inbox(context.Background(), reseal.InboxOptions{})
		return err == nil && len(inbox) == 2
	})
}

func withTimeout(t testing.TB, d time.Duration) context.Context {
	c, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return c
}

func TestFullBlobFolderAtTheServer(t *testing.T) {
	var floor atomic.Int64
	floor.Store(1 << 60)
	w := newWorldWith(t, func(c *server.Config) { c.BlobFloor = floor.Load() })
	anas, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	file := make([]byte, 100_000)
	if _, err := rand.Read(file); err != nil {
		t.Fatal(err)
	}
	send := func(queue bool) ([]reseal.Sent, error) {
		return ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben"}, File: bytes.NewReader(file), Size: int64(len(file)), Name: "a", Queue: queue})
	}
	if err := soon(t, "send", func() error { _, err := send(false); return err }); !errors.Is(err, reseal.ErrServerFull) {
		t.Errorf("send: %v", err)
	}
	if n := files(t, anas); n != 0 {
		t.Errorf("%d files are left of it", n)
	}
	sent, err := send(true)
	if err != nil || !sent[0].Queued {
		t.Fatalf("queue: %+v, %v", sent, err)
	}
	floor.Store(-1)
	w.down()
	w.up()
	await(t, "it comes", func() bool {
		inbox, err := ben.Inbox(context.Background(), reseal.InboxOptions{})
		return err == nil && len(inbox) == 1
	})
	inbox, err := ben.Inbox(ctx(t), reseal.InboxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, body := open(t, ben, inbox[0].ID); !bytes.Equal(body, file) {
		t.Error("another file came")
	}
}

// files counts the ciphertext files of an installation.
func files(t testing.TB, in *reseal.Installation) int {
	t.Helper()
	all, err := os.ReadDir(filepath.Join(in.Dir(), "files"))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// A server whose store is damaged does not start; clients keep what they have
// and go on when the store is back.
func TestDamagedStoreOfTheServer(t *testing.T) {
	data := filepath.Join(t.TempDir(), "store")
	st, err := pebble.Open(data, server.Schema(), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldWith(t, func(c *server.Config) { c.Store = st })
	_, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	id := keep(t, ana, "held", "ben")
	awaitState(t, ben, id, client.IsReady)
	w.down()
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	good := copyFolder(t, data)
	damagedFiles := 0
	for _, pattern := range []string{"*.sst", "MANIFEST-*", "*.log"} {
		all, err := filepath.Glob(filepath.Join(data, "db", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range all {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i := range b {
				b[i] ^= 0x55
			}
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			damagedFiles++
		}
	}
	if damagedFiles == 0 {
		t.Fatal("nothing to damage")
	}
	if s, err := pebble.Open(data, server.Schema(), pebble.Options{}); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a damaged store opens: %v", err)
		if err == nil {
			_ = s.Close()
		}
	}
	if _, body := open(t, ben, id); string(body) != "held" {
		t.Errorf("got %q", body)
	}
	if st, err = pebble.Open(good, server.Schema(), pebble.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.down(); _ = st.Close() })
	w.up()
	await(t, "both are back", func() bool { return ana.Connected() && ben.Connected() })
	if _, body := open(t, ben, text(t, ana, "again", "ben")); string(body) != "again" {
		t.Errorf("got %q", body)
	}
}
