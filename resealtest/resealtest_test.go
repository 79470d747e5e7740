package resealtest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/resealtest"
)

func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return c
}

// next waits for an event of a kind among those that were asked for before.
func next(t testing.TB, events func(yield func(reseal.Event) bool), kind reseal.EventKind) reseal.Event {
	t.Helper()
	for e := range events {
		if e.Kind == kind {
			return e
		}
	}
	t.Fatalf("no %s", kind)
	return reseal.Event{}
}

func TestMessages(t *testing.T) {
	w := resealtest.New(t)
	ana, ben := w.Device("ana"), w.Device("ben")
	if got := ben.Read(ana.Text("hello", "ben")); got != "hello" {
		t.Errorf("got %q", got)
	}
	kept := ana.Keep("stays", "ben")
	photo := bytes.Repeat([]byte("pixels "), 50_000)
	sent, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben"}, File: bytes.NewReader(photo), Size: int64(len(photo)), Name: "a.jpg"})
	if err != nil {
		t.Fatal(err)
	}
	if got := ben.Read(sent[0].Message); got != string(photo) {
		t.Errorf("%d bytes", len(got))
	}
	for range 2 {
		if got := ben.Read(kept); got != "stays" {
			t.Errorf("got %q", got)
		}
	}
}

// Nobody is there who has the key of a message until the sender is.
func TestWaiting(t *testing.T) {
	w := resealtest.New(t)
	ana, ben := w.Device("ana"), w.Device("ben")
	id := ana.Text("later", "ben")
	ana.CutOff()
	ben = ben.Hop()
	ben.Await(id, reseal.StateWaiting)
	if err := ben.Open(ctx(t), id, nil, nil); !errors.Is(err, reseal.ErrWaiting) {
		t.Errorf("open: %v", err)
	}
	ana.Reconnect()
	if got := ben.Read(id); got != "later" {
		t.Errorf("got %q", got)
	}
}

func TestCutOff(t *testing.T) {
	w := resealtest.New(t)
	ana, ben := w.Device("ana"), w.Device("ben")
	events := ben.Events(ctx(t))
	ben.CutOff()
	if err := ben.Online(ctx(t)); !errors.Is(err, reseal.ErrOffline) || ben.Connected() {
		t.Errorf("online: %v", err)
	}
	next(t, events, reseal.KindDisconnected)
	if _, err := ben.Send(ctx(t), reseal.Outgoing{To: []string{"ana"}, Text: "lost"}); !errors.Is(err, reseal.ErrOffline) {
		t.Errorf("send: %v", err)
	}
	if _, _, err := ben.Installation().LogIn(ctx(t), "ana", w.Password("ana")); !errors.Is(err, reseal.ErrOffline) {
		t.Errorf("log in: %v", err)
	}
	id := ana.Text("are you there?", "ben") // others go on
	ben.Reconnect()
	if got := ben.Read(id); got != "are you there?" {
		t.Errorf("got %q", got)
	}
}

func TestServerAway(t *testing.T) {
	w := resealtest.New(t)
	ana, ben := w.Device("ana"), w.Device("ben")
	id := ana.Keep("still there", "ben")
	w.StopServer()
	if _, _, err := w.Phone().Installation().LogIn(ctx(t), "ben", w.Password("ben")); !errors.Is(err, reseal.ErrOffline) {
		t.Errorf("log in: %v", err)
	}
	w.StartServer()
	ben.Wake()
	if got := ben.Hop().Read(id); got != "still there" {
		t.Errorf("got %q", got)
	}
}

func TestFullServer(t *testing.T) {
	w := resealtest.New(t)
	ana, ben := w.Device("ana"), w.Device("ben")
	w.FillServer(true)
	if _, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben"}, File: bytes.NewReader(make([]byte, 1<<20)), Size: 1 << 20}); !errors.Is(err, reseal.ErrServerFull) {
		t.Errorf("send: %v", err)
	}
	w.FillServer(false)
	if got := ben.Read(ana.Text("room again", "ben")); got != "room again" {
		t.Errorf("got %q", got)
	}
}

// A slow line delays, and what is transferred shows its progress.
func TestSlow(t *testing.T) {
	w := resealtest.New(t)
	ana, ben := w.Device("ana"), w.Device("ben")
	const size = 600_000
	sent, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben"}, File: bytes.NewReader(make([]byte, size)), Size: size})
	if err != nil {
		t.Fatal(err)
	}
	ben.Await(sent[0].Message, reseal.StateReady)
	ben.Slow(time.Millisecond, 1<<20)
	began := time.Now()
	var seen []uint64
	err = ben.Open(ctx(t), sent[0].Message, func(c reseal.Content) error {
		_, err := io.Copy(io.Discard, c.Reader)
		return err
	}, func(_ string, done, _ uint64) { seen = append(seen, done) })
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 500*time.Millisecond {
		t.Errorf("600 kB at 1 MiB a second took %v", took)
	}
	if len(seen) < 2 {
		t.Errorf("progress: %v", seen)
	}
}

// The other device of an account learns that a message was viewed, and cannot
// view it meanwhile.
func TestViewElsewhere(t *testing.T) {
	w := resealtest.New(t)
	ana, phone := w.Device("ana"), w.Device("ben")
	tablet := w.Device("ben")
	id := ana.Text("once", "ben")
	tablet.Await(id, reseal.StateReady)
	phone.Await(id, reseal.StateReady)
	err := phone.Open(ctx(t), id, func(c reseal.Content) error {
		if err := tablet.Open(ctx(t), id, nil, nil); !errors.Is(err, reseal.ErrClaimed) {
			t.Errorf("while the phone shows it: %v", err)
		}
		_, err := io.Copy(io.Discard, c.Reader)
		return err
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	tablet.Await(id, reseal.StateViewed)
	ended, ok := errors.AsType[*reseal.EndedError](tablet.Open(ctx(t), id, nil, nil))
	if !ok {
		t.Errorf("afterwards: %v", ended)
	}
}

func TestChangeKey(t *testing.T) {
	w := resealtest.New(t)
	ana, ben := w.Device("ana"), w.Device("ben")
	ben.Read(ana.Text("hello", "ben"))
	events := ana.Events(ctx(t))
	restore := w.ChangeKey("ben")
	if _, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben"}, Text: "for whom?"}); !errors.Is(err, reseal.ErrAlarm) {
		t.Errorf("send: %v", err)
	}
	if e := next(t, events, reseal.KindAlarm); e.Handle != "ben" {
		t.Errorf("alarm: %+v", e)
	}
	c, err := ana.Contact(ctx(t), "ben")
	if err != nil || c.State != "alarm" {
		t.Errorf("contact: %+v, %v", c, err)
	}
	restore()
	if got := w.Device("cleo").Text("hi", "ben"); ben.Read(got) != "hi" {
		t.Error("ben is not himself again")
	}
}

func TestTime(t *testing.T) {
	w := resealtest.New(t)
	ana, ben := w.Device("ana"), w.Device("ben")
	sent, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben"}, Text: "soon gone", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ben.Await(sent[0].Message, reseal.StateReady)
	w.Advance(2 * time.Hour)
	ben.Await(sent[0].Message, reseal.StateExpired)
	ben.SetClock(26 * time.Hour)
	clock, ok := errors.AsType[*reseal.ClockError](sendError(t, ben))
	if !ok || clock.Ahead.Round(time.Hour) != 26*time.Hour {
		t.Errorf("with a wrong clock: %v", clock)
	}
	ben.SetClock(0)
	if err := sendError(t, ben); err != nil {
		t.Error(err)
	}
}

func sendError(t *testing.T, d *resealtest.Device) error {
	_, err := d.Send(ctx(t), reseal.Outgoing{To: []string{"ana"}, Text: "what time is it?"})
	return err
}

// Logins, restarts and two people on one phone.
func TestPhones(t *testing.T) {
	w := resealtest.New(t)
	ana, ben := w.Device("ana"), w.Device("ben")
	cleo := ben.Phone.Device("cleo")
	id := ana.Keep("both", "ben", "cleo")
	ben.Await(id, reseal.StateReady)
	device := ben.Account.Device()
	ben.LogOut()
	if _, err := ben.Find(ctx(t), id.String()); !errors.Is(err, reseal.ErrClosed) {
		t.Errorf("logged out: %v", err)
	}
	ben.LogIn()
	ben.PowerOff()
	cleo.PowerOn()
	ben.PowerOn()
	if ben.Account.Device() != device || ben.Read(id) != "both" {
		t.Error("another device")
	}
	cleo.LogOut()
	fresh := ben.Hop()
	if fresh.Account.Device() == device || fresh.Dir() == ben.Dir() {
		t.Error("ben is where he was")
	}
}

func TestRemove(t *testing.T) {
	w := resealtest.New(t)
	ben := w.Device("ben")
	events := ben.Events(ctx(t))
	ben.Remove()
	next(t, events, reseal.KindSessionEnded)
	_, _, err := ben.Installation().LogIn(ctx(t), "ben", w.Password("ben"))
	if err != nil && !errors.Is(err, reseal.ErrRemoved) {
		t.Errorf("log in: %v", err)
	}
}

func TestRecoveryCode(t *testing.T) {
	w := resealtest.New(t)
	ben := w.Device("ben")
	ben.LogOut()
	if _, _, _, err := w.Phone().Installation().Recover(ctx(t), "ben", w.RecoveryCode("ben"), []byte("a wholly other password 77")); err != nil {
		t.Error(err)
	}
}

// What does not work out is said, and nothing is left running.
func TestRunSaysWhatFailed(t *testing.T) {
	err := resealtest.Run(func(w *resealtest.World) {
		w.Device("ben").Text("hello?", "nobody")
		t.Error("it went on")
	})
	if err == nil || err.Error() != "resealtest: ben sends: reseal: unknown account nobody" {
		t.Errorf("got %v", err)
	}
	func() {
		defer func() {
			if recover() != "mine" {
				t.Error("a panic of the function's own is gone")
			}
		}()
		_ = resealtest.Run(func(*resealtest.World) { panic("mine") })
	}()
}

// A program without the phone's options finds the server by its URL.
func TestURL(t *testing.T) {
	w := resealtest.New(t)
	ana, ben := w.Device("ana"), w.Device("ben")
	ben.LogOut()
	in, err := reseal.Open(t.TempDir(), reseal.Options{Server: w.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	outside, _, err := in.LogIn(ctx(t), "ben", w.Password("ben"))
	if err != nil {
		t.Fatal(err)
	}
	if err := outside.Online(ctx(t)); err != nil {
		t.Fatal(err)
	}
	id := ana.Keep("hello outside", "ben")
	if e := next(t, outside.Events(ctx(t)), reseal.KindMessage); e.ID != id {
		t.Errorf("got %+v", e)
	}
	events := outside.Events(ctx(t))
	w.StopServer()
	next(t, events, reseal.KindDisconnected)
	if _, err := outside.Send(ctx(t), reseal.Outgoing{To: []string{"ana"}, Text: "and now?"}); !errors.Is(err, reseal.ErrOffline) {
		t.Errorf("send: %v", err)
	}
}
