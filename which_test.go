package reseal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/api/blobs"
	"github.com/reseal/reseal/api/mux"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/store/memory"
)

// another takes the place of the world's server: the same program at the same
// address, begun anew without its data. back brings the first one back.
func (w *world) another() (back func()) {
	w.t.Helper()
	w.down()
	store, setup, blobs := w.store, w.setup, w.blobs
	var err error
	if w.store, err = memory.New(server.Schema(), memory.Options{Clock: w.now}); err != nil {
		w.t.Fatal(err)
	}
	if w.setup, err = opaque.NewSetup(rand.Reader); err != nil {
		w.t.Fatal(err)
	}
	w.blobs = w.t.TempDir()
	w.up()
	return func() {
		w.t.Helper()
		w.down()
		_ = w.store.Close()
		w.store, w.setup, w.blobs = store, setup, blobs
		w.up()
	}
}

// sessionRecord is the file of the one account that is logged in.
func sessionRecord(t *testing.T, dir string) []byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "session-*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("session records: %v, %v", names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Whoever is logged in is told that another server answers, in the process that
// runs and in a new one, keeps the login, and goes on without the password once
// the right server is back.
func TestAnotherServer(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	dir := t.TempDir()
	phone := w.install(dir)
	pass := []byte(secret + "ben")
	ben, _, err := phone.SignUp(ctx(t), "ben", pass)
	if err != nil {
		t.Fatal(err)
	}
	device := ben.Device()
	text(t, ben, "so that they know each other", "ana")
	later := text(t, ana, "later", "ben")
	awaitState(t, ben, later, client.IsReady)
	record := sessionRecord(t, dir)
	var told, ended atomic.Bool
	events := ben.Events(ctx(t))
	go func() {
		for e := range events {
			if e.Kind == reseal.KindTrouble && errors.Is(e.Err, reseal.ErrOtherServer) {
				told.Store(true)
			}
			if e.Kind == reseal.KindSessionEnded {
				ended.Store(true)
			}
		}
	}()
	back := w.another()

	await(t, "an event that tells of it", func() bool { ben.Wake(); return told.Load() })
	for name, f := range map[string]func() error{
		"online": func() error { return ben.Online(ctx(t)) },
		"send": func() error {
			_, err := ben.Send(ctx(t), reseal.Outgoing{To: []string{"ana"}, Text: "hi"})
			return err
		},
		"a password": func() error { return ben.ChangePassword(ctx(t), pass, []byte(secret+"another")) },
	} {
		if err := soon(t, name, f); !errors.Is(err, reseal.ErrOtherServer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	sent, err := ben.Send(ctx(t), reseal.Outgoing{To: []string{"ana"}, Text: "when you can", Queue: true, Policy: reseal.Keep})
	if err != nil || !sent[0].Queued {
		t.Errorf("queue: %+v, %v", sent, err)
	}
	if ended.Load() {
		t.Error("the session has ended")
	}
	if err := phone.Close(); err != nil {
		t.Fatal(err)
	}

	phone = w.install(dir)
	var e *reseal.AccountError
	all, err := phone.Resume(ctx(t))
	if !errors.Is(err, reseal.ErrOtherServer) || !errors.As(err, &e) || e.Handle != "ben" || len(all) != 0 {
		t.Fatalf("resume: %v, %v", all, err)
	}
	if got := sessionRecord(t, dir); string(got) != string(record) {
		t.Error("the session record is not what it was")
	}
	if all, err := phone.LoggedIn(); err != nil || len(all) != 1 {
		t.Errorf("logged in: %v, %v", all, err)
	}

	back()
	all, err = phone.Resume(ctx(t))
	if err != nil || len(all) != 1 || all[0].Device() != device {
		t.Fatalf("with the right server back: %v, %v", all, err)
	}
	if _, body := open(t, all[0], later); string(body) != "later" {
		t.Errorf("got %q", body)
	}
	await(t, "the queued message", func() bool {
		inbox, err := ana.Inbox(context.Background(), reseal.InboxOptions{})
		return err == nil && len(inbox) == 2
	})
}

// A record that does not name the server's key yet is taken, and names it then.
func TestServerIsNotedLater(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	phone := w.install(dir)
	ben, _, err := phone.SignUp(ctx(t), "ben", []byte(secret+"ben"))
	if err != nil {
		t.Fatal(err)
	}
	if err := reseal.ForgetServerKey(ctx(t), ben); err != nil {
		t.Fatal(err)
	}
	if b := sessionRecord(t, dir); b[15] != 1 {
		t.Fatalf("version %d", b[15])
	}
	for range 2 { // the record that was written is a good one
		if err := phone.Close(); err != nil {
			t.Fatal(err)
		}
		phone = w.install(dir)
		if all, err := phone.Resume(ctx(t)); err != nil || len(all) != 1 {
			t.Fatalf("resume: %v, %v", all, err)
		}
		if b := sessionRecord(t, dir); b[15] != 3 {
			t.Fatalf("version %d", b[15])
		}
	}
	if err := phone.Close(); err != nil {
		t.Fatal(err)
	}
	back := w.another()
	phone = w.install(dir)
	if _, err := phone.Resume(ctx(t)); !errors.Is(err, reseal.ErrOtherServer) {
		t.Errorf("resume at another server: %v", err)
	}
	back()
	if all, err := phone.Resume(ctx(t)); err != nil || len(all) != 1 {
		t.Errorf("resume: %v, %v", all, err)
	}
}

// What answers claims the right key and cannot prove it, or proves another one:
// it is shown nothing of the session, by no connection and by no upload.
func TestAnotherServerIsShownNothing(t *testing.T) {
	w := newWorld(t)
	var now atomic.Value // http.HandlerFunc: who answers at the address
	stage := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { now.Load().(http.HandlerFunc)(rw, r) }))
	defer stage.Close()
	var tries, asked, shown atomic.Int64
	real := w.server.Handler()
	now.Store(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, blobs.Root) {
			tries.Add(1)
			http.Error(rw, "not now", http.StatusServiceUnavailable)
			return
		}
		real.ServeHTTP(rw, r)
	}))
	in, err := reseal.Open(t.TempDir(), reseal.Options{Server: stage.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	_, ben := w.signUp("ben")
	ana, _, err := in.SignUp(ctx(t), "ana", []byte(secret+"ana"))
	if err != nil {
		t.Fatal(err)
	}
	// It stays queued when the connection is lost, and Send says so or waits on.
	go func() {
		_, _ = ana.Send(context.Background(), reseal.Outgoing{To: []string{"ben"}, File: bytes.NewReader(make([]byte, 1<<20)), Size: 1 << 20, Queue: true})
	}()
	await(t, "the upload is under way", func() bool { return tries.Load() > 0 })

	setup, err := opaque.NewSetup(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := opaque.NewServer(setup)
	if err != nil {
		t.Fatal(err)
	}
	right, err := opaque.NewServer(w.setup)
	if err != nil {
		t.Fatal(err)
	}
	stranger := mux.NewHandler(connect.NewServer(), mux.Options{
		Answer: func(q []byte) ([]byte, error) {
			answer, err := wrong.Answer(q)
			if k := right.Key(); err == nil && asked.Add(1)%2 == 0 {
				copy(answer, k[:])
			}
			return answer, err
		},
		Admit: func(context.Context, mux.Peer) (context.Context, error) {
			shown.Add(1)
			return nil, connect.NewError(connect.CodeUnauthenticated, "what session?")
		},
	})
	now.Store(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			shown.Add(1)
		}
		if r.URL.Path == mux.Path {
			stranger.ServeHTTP(rw, r)
			return
		}
		http.NotFound(rw, r)
	}))
	w.down()
	// The upload is tried again within 2 seconds where nothing holds it back.
	began := time.Now()
	await(t, "the stranger was asked", func() bool {
		ana.Wake()
		return asked.Load() >= 8 && time.Since(began) > 2500*time.Millisecond
	})
	if n := shown.Load(); n != 0 {
		t.Errorf("a session was shown to another server %d times", n)
	}
	w.up()
	again := w.server.Handler()
	now.Store(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { again.ServeHTTP(rw, r) }))
	await(t, "what was queued has come", func() bool {
		ana.Wake()
		ben.Wake()
		inbox, err := ben.Inbox(context.Background(), reseal.InboxOptions{})
		return err == nil && len(inbox) == 1
	})
}

// A server that has a password registered for another server's key is found
// out before anything is kept.
func TestRegistrationForAnotherServer(t *testing.T) {
	w := newWorld(t)
	l := w.liar(t)
	setup, err := opaque.NewSetup(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := opaque.NewServer(setup)
	if err != nil {
		t.Fatal(err)
	}
	l.tell(lies{answered: func(_ string, _, resp proto.Message) error {
		if m, ok := resp.(*resealv1.StartSignupResponse); ok {
			k := other.Key()
			copy(m.RegistrationResponse[len(m.RegistrationResponse)-len(k):], k[:])
		}
		return nil
	}})
	in, err := reseal.Open(t.TempDir(), reseal.Options{Server: l.url})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, _, err := in.SignUp(ctx(t), "ana", []byte(secret)); !errors.Is(err, reseal.ErrServer) {
		t.Errorf("sign-up: %v", err)
	}
	l.tell(lies{})
	if _, _, err := in.SignUp(ctx(t), "ana", []byte(secret)); err != nil {
		t.Errorf("sign-up at the same server without the lie: %v", err)
	}
}
