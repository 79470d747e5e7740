package resealtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/limits"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// TB is what a World needs of a test; *testing.T, *testing.B and *testing.F
// have it.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// patience is how long anything may take that is to happen by itself.
const patience = time.Minute

// World is a server in memory and the phones that use it. Make it by [New]. It
// ends with its test.
type World struct {
	t      TB
	dir    string
	store  *memory.Store
	config server.Config
	ahead  atomic.Int64 // the world's clock minus the system's
	full   atomic.Bool

	mu     sync.Mutex
	phones []*Phone
	people map[string]*person
	listen *listener // nil while the server is down
	stop   func()
	port   net.Listener // nil unless URL was asked for
}

// person is what somebody remembers.
type person struct {
	device *Device // the first
	code   reseal.RecoveryCode
}

// New starts a world. change may alter the server's configuration before it
// starts; by default it limits no rates. What the test leaves running is ended
// with it.
func New(t TB, change ...func(*server.Config)) *World {
	t.Helper()
	w := &World{t: t, people: map[string]*person{}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("resealtest: %v", err)
		}
	}
	var err error
	w.dir, err = os.MkdirTemp("", "resealtest-")
	must(err)
	t.Cleanup(func() { _ = os.RemoveAll(w.dir) })
	w.store, err = memory.New(server.Schema(), memory.Options{Clock: w.Now})
	must(err)
	t.Cleanup(func() { _ = w.store.Close() })
	setup, err := opaque.NewSetup(rand.Reader)
	must(err)
	w.config = server.Config{
		Store: roomless{w.store, &w.full}, BlobFolder: filepath.Join(w.dir, "blobs"), BlobFloor: -1, Setup: setup, Now: w.Now,
		Version: "test", Limits: &limits.Config{},
	}
	for _, f := range change {
		f(&w.config)
	}
	w.StartServer()
	t.Cleanup(w.StopServer)
	return w
}

// Run is New for a function that is no test, an example say. The error is what
// did not work out.
func Run(f func(w *World), change ...func(*server.Config)) (err error) {
	s := new(script)
	defer s.end()
	defer func() {
		if p := recover(); p != nil {
			failed, ok := p.(failure)
			if !ok {
				panic(p)
			}
			err = failed.err
		}
	}()
	f(New(s, change...))
	return nil
}

// script stands for the test that Run does not have.
type script struct{ cleanups []func() }

type failure struct{ err error }

func (s *script) Helper()          {}
func (s *script) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *script) Fatalf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

func (s *script) end() {
	for i := len(s.cleanups) - 1; i >= 0; i-- {
		s.cleanups[i]()
	}
}

// Now is the time of the server, and of every phone whose clock was not set.
func (w *World) Now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// Advance lets time pass, for everybody at once and as if all had slept:
// connections break, and those of the phones' own installations are there anew
// when it returns.
func (w *World) Advance(d time.Duration) {
	w.t.Helper()
	w.mu.Lock()
	phones := slices.Clone(w.phones)
	w.mu.Unlock()
	var connected []*reseal.Account
	for _, p := range phones {
		connected = append(connected, p.accounts((*reseal.Account).Connected)...)
	}
	w.ahead.Add(int64(d))
	for _, p := range phones {
		p.line.lose()
	}
	for _, a := range connected {
		w.awaitClock(a)
	}
}

// awaitClock waits until an account has learned the time from a new connection.
func (w *World) awaitClock(a *reseal.Account) {
	w.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		told, known := a.Skew()
		if known && (told-time.Duration(w.ahead.Load())).Abs() < time.Second {
			return
		}
		a.Wake()
	}
	w.t.Fatalf("resealtest: %s does not connect again", a.Handle())
}

// StopServer takes the server away: connections end, and nobody answers. What
// it has stored stays.
func (w *World) StopServer() {
	w.mu.Lock()
	stop := w.stop
	w.stop, w.listen = nil, nil
	w.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// StartServer brings the server back. Apps find it at their next try to
// connect, or when they say [reseal.Account.Wake].
func (w *World) StartServer() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop != nil {
		return
	}
	s, err := server.New(w.config)
	if err != nil {
		w.t.Fatalf("resealtest: %v", err)
	}
	l := newListener()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(ctx, l) // nil, as ctx ends it
	}()
	w.listen, w.stop = l, func() { cancel(); <-done }
}

// URL is where the server is for programs that do not have [Phone.Options]: the
// first call opens a free port of this machine. What comes in there has no
// phone, so no network that can be cut.
func (w *World) URL() string {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.port == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			w.t.Fatalf("resealtest: %v", err)
		}
		w.port = l
		w.t.Cleanup(func() { _ = l.Close() })
		go w.admit(l)
	}
	return "http://" + w.port.Addr().String()
}

// admit hands on who comes in from outside.
func (w *World) admit(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		w.mu.Lock()
		inside := w.listen
		w.mu.Unlock()
		if inside == nil || inside.put(context.Background(), c) != nil {
			_ = c.Close()
		}
	}
}

// FillServer leaves the server without room, or makes room again: sending gives
// [reseal.ErrServerFull], or waits where it may.
func (w *World) FillServer(full bool) { w.full.Store(full) }

// roomless is a store that has no room while full is set.
type roomless struct {
	store.Store
	full *atomic.Bool
}

func (s roomless) Commit(ctx context.Context, p store.Partition, b *store.Batch) error {
	if s.full.Load() {
		return store.ErrFull
	}
	return s.Store.Commit(ctx, p, b)
}

// Phone is one more phone, new and empty.
func (w *World) Phone() *Phone {
	w.t.Helper()
	w.mu.Lock()
	p := &Phone{w: w, dir: filepath.Join(w.dir, fmt.Sprintf("phone-%d", len(w.phones)+1))}
	p.line.dial = w.dial
	w.phones = append(w.phones, p)
	w.mu.Unlock()
	w.t.Cleanup(func() { _ = p.close() })
	return p
}

// Device is somebody's account on a phone of its own. Whom nobody knows yet
// signs up there; everybody else logs in there, as one more device.
func (w *World) Device(handle string) *Device {
	w.t.Helper()
	return w.Phone().Device(handle)
}

// Password is the one that the person has in this world, whether or not they
// have signed up.
func (w *World) Password(handle string) []byte {
	return []byte("seven otters juggle lanterns for " + handle)
}

// RecoveryCode is what a person wrote down who signed up by [World.Device] or
// [Phone.Device].
func (w *World) RecoveryCode(handle string) reseal.RecoveryCode {
	w.t.Helper()
	return w.person(handle).code
}

func (w *World) person(handle string) *person {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.people[handle]
	if p == nil {
		w.t.Fatalf("resealtest: %s has not signed up here", handle)
	}
	return p
}

// within is a context for what is to happen by itself.
func within() (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.Background(), patience, errors.New("it took more than a minute"))
}
