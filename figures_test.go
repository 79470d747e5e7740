package reseal_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/resealtest"
)

// Figures are the device's: they outlast the process, a logout and a login, and
// another device begins at zero.
func TestFiguresStayWithTheDevice(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	dir := t.TempDir()
	in := w.install(dir)
	ben, _, err := in.SignUp(ctx(t), "ben", []byte(secret+"ben"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(a *reseal.Account, when string, want reseal.Figures) {
		t.Helper()
		got := a.Figures()
		got.TimeToReadable, got.TimeOfRetries = reseal.Times{Count: got.TimeToReadable.Count}, reseal.Times{Count: got.TimeOfRetries.Count}
		if got != want {
			t.Errorf("%s:\n%+v, want\n%+v", when, got, want)
		}
	}
	awaitState(t, ben, text(t, ana, "one", "ben"), client.IsReady)
	text(t, ben, "two", "ana")
	one := reseal.Figures{Sends: 1, Received: 1, Readable: 1, TimeToReadable: reseal.Times{Count: 1}}
	check(ben, "at first", one)

	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	check(ben, "after the end", one)
	in = w.install(dir)
	all, err := in.Resume(ctx(t))
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	check(all[0], "after a restart", one)

	if _, err := all[0].LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	id := text(t, ana, "three", "ben")
	fresh, _ := w.logIn(w.phone(), "ben")
	awaitState(t, fresh, id, client.IsReady)
	awaitFigures(t, fresh, 2) // the one that is kept, too
	got := fresh.Figures()
	check(fresh, "on a new device", reseal.Figures{
		Received: 2, Readable: 2, RetriesNeeded: 2, RetriesAnswered: 2, BySendingDevice: 2,
		TimeToReadable: reseal.Times{Count: 2}, TimeOfRetries: reseal.Times{Count: 2},
	})
	if got.RetryRate() != 1 || got.TimeOfRetries != got.TimeToReadable || got.TimeOfRetries.P50 <= 0 ||
		got.TimeOfRetries.P80 < got.TimeOfRetries.P50 || got.TimeOfRetries.P99 < got.TimeOfRetries.P80 || got.TimeOfRetries.Max < got.TimeOfRetries.P99 {
		t.Errorf("%+v", got)
	}
	old, how := w.logIn(in, "ben")
	if how.NewDevice {
		t.Fatal("a new device")
	}
	awaitState(t, old, id, client.IsReady)
	check(old, "after a logout and a login", reseal.Figures{Sends: 1, Received: 2, Readable: 2, TimeToReadable: reseal.Times{Count: 2}})
	// It came while the device was away: from the login on, which stretches a
	// password, and not from when it was sent.
	if d := old.Figures().TimeToReadable.Max; d <= 0 {
		t.Errorf("the time to readable is %v, and there was a login", d)
	}
}

func awaitFigures(t *testing.T, a *reseal.Account, readable uint64) {
	t.Helper()
	await(t, "so many are readable", func() bool { return a.Figures().Readable == readable })
}

// A message whose file the server has lost is lost when it expires, and the one
// that was only late is not.
func TestFilesThatAreGoneAreLost(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	file := bytes.Repeat([]byte("x"), 100_000)
	send := func() reseal.MessageID {
		sent, err := ana.Send(ctx(t), reseal.Outgoing{
			To: []string{"ben"}, File: bytes.NewReader(file), Size: int64(len(file)), Name: "f", Policy: reseal.Keep, Expires: time.Hour,
		})
		if err != nil {
			t.Fatal(err)
		}
		awaitState(t, ben, sent[0].Message, client.IsReady)
		return sent[0].Message
	}
	lost, late := send(), send()
	moved := w.blobs + ".moved"
	if err := os.Rename(w.blobs, moved); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(w.blobs, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, id := range []reseal.MessageID{lost, late} {
		err := ben.Open(ctx(t), id, func(reseal.Content) error { return errors.New("it was shown") }, nil)
		if !errors.Is(err, reseal.ErrGone) && !errors.Is(err, reseal.ErrAltered) {
			t.Fatalf("open: %v", err)
		}
	}
	if err := errors.Join(os.Remove(w.blobs), os.Rename(moved, w.blobs)); err != nil {
		t.Fatal(err)
	}
	if _, body := open(t, ben, late); !bytes.Equal(body, file) {
		t.Fatal("another file")
	}
	if err := reseal.DropFiles(ben); err != nil {
		t.Fatal(err)
	}
	w.offset.Add(int64(2 * time.Hour))
	w.down()
	w.up()
	await(t, "both are over", func() bool { return state(t, ben, lost) == client.Expired && state(t, ben, late) == client.Expired })
	await(t, "one is lost", func() bool { return ben.Figures().Lost > 0 })
	await(t, "both are erased", func() bool { return len(reseal.Names(ben, "expire/")) == len(reseal.Names(ben, "end/")) })
	if f := ben.Figures(); f.Lost != 1 || f.Readable != 2 {
		t.Errorf("%+v", f)
	}
}

// jumping is a source of randomness that does something at its next use.
type jumping struct{ do atomic.Pointer[func()] }

func (j *jumping) Read(b []byte) (int, error) {
	if f := j.do.Swap(nil); f != nil {
		(*f)()
	}
	return rand.Read(b)
}

// The time to readable begins when a user begins to log in; where only the
// network was away, when it is back. Whatever a login takes is made long by the
// phone's clock, which jumps in the middle of it.
func TestTimeToReadableBeginsWithTheLogin(t *testing.T) {
	w := resealtest.New(t)
	ana := w.Device("ana")
	phone := w.Phone()
	o, login := phone.Options(), new(jumping)
	o.Rand = login
	in, err := reseal.Open(phone.Dir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	ben, _, err := in.SignUp(ctx(t), "ben", []byte(secret+"ben"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ben.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	id := text(t, ana.Account, "while you were out", "ben")
	jump := func() { phone.SetClock(10 * time.Minute) }
	login.do.Store(&jump)
	if ben, _, err = in.LogIn(ctx(t), "ben", []byte(secret+"ben")); err != nil {
		t.Fatal(err)
	}
	awaitState(t, ben, id, client.IsReady)
	if d := ben.Figures().TimeToReadable.Max; d < 10*time.Minute || d > 20*time.Minute {
		t.Errorf("readable %v after a login of 10 minutes", d)
	}
	phone.CutOff()
	await(t, "ben is offline", func() bool { return !ben.Connected() })
	id = text(t, ana.Account, "in the tunnel", "ben")
	phone.SetClock(40 * time.Minute)
	phone.Reconnect()
	ben.Wake()
	awaitState(t, ben, id, client.IsReady)
	if f := ben.Figures(); f.TimeToReadable.Count != 2 || f.TimeToReadable.Max > 20*time.Minute {
		t.Errorf("%d readable, one %v after the network was back", f.TimeToReadable.Count, f.TimeToReadable.Max)
	}
}
