package reseal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/resealtest"
)

// book is everything that a device has of its account's book, as text.
func book(t testing.TB, d *resealtest.Device) string {
	t.Helper()
	contacts, err := d.Contacts()
	if err != nil {
		t.Fatal(err)
	}
	settings, err := d.Settings(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, c := range contacts {
		full, err := d.Contact(ctx(t), c.Handle)
		if err != nil {
			t.Fatal(err)
		}
		all += fmt.Sprintf("%s %s verified=%v renamed=%v %s\n", c.Handle, c.State, c.Verified, c.Renamed, full.SafetyNumber)
	}
	return all + fmt.Sprintf("%q", settings)
}

func awaitBook(t testing.TB, d *resealtest.Device, want string) {
	t.Helper()
	await(t, "the book of "+d.Handle(), func() bool { return book(t, d) == want })
}

func set(t testing.TB, d *resealtest.Device, name, value string) {
	t.Helper()
	if err := d.SetSetting(ctx(t), name, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

// Contacts, keys that were pinned, who was verified and blocked, and settings
// are there on a phone that was never seen before.
func TestBookSurvivesAHop(t *testing.T) {
	w := resealtest.New(t)
	ana, ben := w.Device("ana"), w.Device("ben")
	w.Device("cleo")
	w.Device("dan")
	ben.Read(ana.Text("hello", "ben"))
	ana.Text("hello", "cleo", "dan")
	number, err := ben.Contact(ctx(t), "ana")
	if err != nil {
		t.Fatal(err)
	}
	if same, err := ana.Verify(ctx(t), "ben", number.SafetyNumber); err != nil || !same {
		t.Fatal(same, err)
	}
	if err := ana.Block(ctx(t), "cleo"); err != nil {
		t.Fatal(err)
	}
	set(t, ana, "theme", "dark")
	set(t, ana, "theme", "darker")
	set(t, ana, "gone", "soon")
	set(t, ana, "gone", "")
	want := book(t, ana)
	for _, part := range []string{"ben known verified=true", "cleo blocked verified=false", "dan known verified=false", `map["theme":"darker"]`} {
		if !strings.Contains(want, part) {
			t.Fatalf("no %q in\n%s", part, want)
		}
	}
	ana = ana.Hop()
	awaitBook(t, ana, want)

	// The pin is the old phone's, not what the server says now.
	w.ChangeKey("dan")
	if _, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"dan"}, Text: "is it you?"}); !errors.Is(err, reseal.ErrAlarm) {
		t.Errorf("to another key than the one that was pinned before the hop: %v", err)
	}
	if _, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"cleo"}, Text: "hello?"}); !errors.Is(err, reseal.ErrBlocked) {
		t.Errorf("to somebody who was blocked before the hop: %v", err)
	}
	if got := ben.Read(ana.Text("from my new phone", "ben")); got != "from my new phone" {
		t.Errorf("got %q", got)
	}
}

// A comparison of safety numbers is for the people and not for their phones: it
// holds through hops on both sides, and ends with another account key, which lets
// nothing through until it was agreed to.
func TestVerifiedSurvivesHopsOnBothSides(t *testing.T) {
	w := resealtest.New(t)
	ana, ben := w.Device("ana"), w.Device("ben")
	ben.Read(ana.Text("hello", "ben"))
	ana.Read(ben.Text("hello yourself", "ana"))
	number, err := ben.Contact(ctx(t), "ana")
	if err != nil {
		t.Fatal(err)
	}
	for a, name := range map[*resealtest.Device]string{ana: "ben", ben: "ana"} {
		if same, err := a.Verify(ctx(t), name, number.SafetyNumber); err != nil || !same {
			t.Fatal(same, err)
		}
	}
	check := func(d *resealtest.Device, name string) {
		t.Helper()
		await(t, "the mark", func() bool {
			c, err := d.Contact(ctx(t), name)
			return err == nil && c.Verified && c.State == "known" && c.SafetyNumber == number.SafetyNumber
		})
	}
	for hop := range 4 {
		if hop%2 == 0 {
			ana = ana.Hop()
		} else {
			ben = ben.Hop()
		}
		check(ana, "ben")
		check(ben, "ana")
		if got := ben.Read(ana.Text("still me", "ben")); got != "still me" {
			t.Fatalf("got %q", got)
		}
		if got := ana.Read(ben.Text("and me", "ana")); got != "and me" {
			t.Fatalf("got %q", got)
		}
	}
	w.ChangeKey("ben")
	ana = ana.Hop() // which neither hides nor agrees to it
	await(t, "nothing is sent to another key", func() bool {
		_, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben"}, Text: "is it you?"})
		return errors.Is(err, reseal.ErrAlarm)
	})
	if c, err := ana.Contact(ctx(t), "ben"); err != nil || c.State != "alarm" {
		t.Errorf("%+v, %v", c, err)
	}
	trust(t, ana.Account, "ben")
	c, err := ana.Contact(ctx(t), "ben")
	if err != nil || c.State != "known" || c.Verified || !c.Changed || c.SafetyNumber == number.SafetyNumber {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben"}, Text: "it is"}); err != nil {
		t.Error(err)
	}
}

// What two devices changed while neither could hear of the other's is all there
// on both, whoever comes back first.
func TestBookOfTwoDevicesAtOnce(t *testing.T) {
	w := resealtest.New(t)
	phone := w.Device("ana")
	tablet := w.Device("ana")
	w.Device("ben")
	w.Device("cleo")
	phone.Text("hello", "ben", "cleo")
	awaitBook(t, tablet, book(t, phone))
	events := tablet.Events(ctx(t))
	phone.CutOff()
	tablet.CutOff()
	for d, change := range map[*resealtest.Device]func(*resealtest.Device){
		phone: func(d *resealtest.Device) {
			if err := d.Block(ctx(t), "ben"); err != nil {
				t.Error(err)
			}
			set(t, d, "font", "large")
			set(t, d, "same", "a")
		},
		tablet: func(d *resealtest.Device) {
			number, err := d.Contact(ctx(t), "cleo")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Verify(ctx(t), "cleo", number.SafetyNumber); err != nil {
				t.Error(err)
			}
			set(t, d, "theme", "dark")
			set(t, d, "same", "b")
		},
	} {
		change(d)
	}
	phone.Reconnect()
	tablet.Reconnect()
	const settings = `map["font":"large" "same":"b" "theme":"dark"]`
	for _, d := range []*resealtest.Device{phone, tablet} {
		await(t, "everything is merged", func() bool {
			got := book(t, d)
			return strings.Contains(got, "ben blocked") && strings.Contains(got, "cleo known verified=true") && strings.Contains(got, settings)
		})
	}
	for e := range events {
		if e.Kind == reseal.KindSetting && e.What == "font" {
			return
		}
	}
	t.Error("the tablet was not told of the setting")
}

// A new device that changes something at once, before it has read the book, does
// not lose to what is in there.
func TestChangesOnANewDevice(t *testing.T) {
	w := resealtest.New(t)
	phone := w.Device("ana")
	w.Device("ben")
	for range 3 {
		for _, change := range []func(context.Context, string) error{phone.Block, phone.Unblock} {
			if err := change(ctx(t), "ben"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, page := range []string{"1", "2", "3"} {
		set(t, phone, "page", page)
	}
	if err := phone.Settle(ctx(t)); err != nil {
		t.Fatal(err)
	}
	tablet, _, err := w.Phone().Installation().LogIn(ctx(t), "ana", w.Password("ana"))
	if err != nil {
		t.Fatal(err)
	}
	if err := tablet.SetSetting(ctx(t), "page", []byte("4")); err != nil {
		t.Fatal(err)
	}
	if err := tablet.Block(ctx(t), "ben"); err != nil {
		t.Fatal(err)
	}
	await(t, "the phone has both", func() bool {
		all, err := phone.Settings(ctx(t))
		return err == nil && string(all["page"]) == "4" && strings.Contains(book(t, phone), "ben blocked")
	})
	for name, want := range map[string]error{"Not A Name": reseal.ErrSettingName, "long": reseal.ErrTooLarge} {
		if err := tablet.SetSetting(ctx(t), name, make([]byte, 1025)); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A server that serves the book as it was before the newest device list is found
// out: a login refuses it, and a device that is there raises an alarm.
func TestRolledBackBook(t *testing.T) {
	w := newWorld(t)
	l := w.liar(t)
	var mu sync.Mutex
	var first *resealv1.GetBookResponse
	replay := false
	l.tell(lies{answered: func(_ string, _, resp proto.Message) error {
		m, ok := resp.(*resealv1.GetBookResponse)
		if !ok {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if first == nil {
			first = proto.CloneOf(m)
		}
		if replay {
			m.Book = proto.CloneOf(first).Book
		}
		return nil
	}})
	_, ben := l.signUp("ben")
	if _, err := ben.Settings(ctx(t)); err != nil { // it has read the first book
		t.Fatal(err)
	}
	w.signUp("cleo")
	if err := ben.Block(ctx(t), "cleo"); err != nil {
		t.Fatal(err)
	}
	if err := ben.Settle(ctx(t)); err != nil {
		t.Fatal(err)
	}
	tablet, _ := w.logIn(w.phone(), "ben") // signs a list that names the book with the block
	await(t, "the tablet has the block", func() bool {
		c, err := tablet.Contact(ctx(t), "cleo")
		return err == nil && c.State == "blocked"
	})

	mu.Lock()
	replay = true
	mu.Unlock()
	if _, _, err := l.behind(t.TempDir()).LogIn(ctx(t), "ben", []byte(secret+"ben")); !errors.Is(err, reseal.ErrServer) {
		t.Errorf("a login with an older book: %v", err)
	}
	alarms := watch(t, ben, reseal.KindAlarm)
	if err := tablet.SetSetting(ctx(t), "theme", []byte("dark")); err != nil {
		t.Fatal(err)
	}
	await(t, "an alarm", func() bool {
		for _, a := range alarms() {
			if strings.Contains(a.Text, "older contact book") {
				return true
			}
		}
		return false
	})
	if c, err := ben.Contact(ctx(t), "cleo"); err != nil || c.State != "blocked" {
		t.Errorf("after the lie: %+v, %v", c, err)
	}
}
