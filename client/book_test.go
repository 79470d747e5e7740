package client_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

func TestBookMergesWhatTwoDevicesChangedAtOnce(t *testing.T) {
	for seed := range uint64(6) {
		world.Run(t, seed, func(w *world.World) {
			bob := w.Account("bob")
			b1, b2 := bob.Device(), bob.Device()
			carol, dan, eve := w.Account("carol"), w.Account("dan"), w.Account("eve")
			for _, a := range []*world.Account{carol, dan, eve} {
				a.Device()
			}
			b1.Meet(carol)
			w.Run()
			lost := 0
			w.Net = func(x *world.Exchange) world.Fate {
				if _, ok := x.Request.(*resealv1.PutBookRequest); ok && lost == 0 {
					lost++
					return world.LoseAnswer
				}
				return world.Deliver
			}
			// Both before either is told of the other's.
			b1.Meet(dan)
			b2.Meet(eve)
			must(t, b1.Step(client.ChangeContact{Account: carol.ID, Change: client.Verify, Key: contact(t, b1, carol).Key}))
			must(t, b2.Step(client.ChangeContact{Account: carol.ID, Change: client.Block}))
			w.Run()
			for _, d := range []*world.Device{b1, b2} {
				if c := contact(t, d, carol); !c.Verified || !c.Blocked {
					t.Fatalf("%s: %+v", d.Name, c)
				}
				for _, a := range []*world.Account{dan, eve} {
					if c := contact(t, d, a); !c.Accepted || c.Handle != a.Handle || c.Devices != 1 {
						t.Fatalf("%s: %+v", d.Name, c)
					}
				}
			}
			// A fresh device gets all of it.
			b3 := bob.Device()
			for _, a := range []*world.Account{carol, dan, eve} {
				c, want := contact(t, b3, a), contact(t, b1, a)
				if !reflect.DeepEqual(c, want) {
					t.Fatalf("%+v, want %+v", c, want)
				}
			}
			if err := b3.Step(client.Send{Content: b3.Content(false).ID}); !errors.Is(err, client.ErrUnknownContent) {
				t.Fatal(err)
			}
			w.Readable(sent(w, b3, message.Once, dan), dan.Devices[0])
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Two devices met one account under two keys: nothing is sent until the user
// picks one, and the pick reaches the other device.
func TestTwoKeysForOneAccountAreAConflict(t *testing.T) {
	for _, own := range []bool{true, false} {
		world.Run(t, 1, func(w *world.World) {
			bob, carol := w.Account("bob"), w.Account("carol")
			b1, b2 := bob.Device(), bob.Device()
			c1 := carol.Device()
			b2.Disconnect()
			b1.Meet(carol)
			w.Run()
			// The server shows b2 another carol.
			key, err := identity.NewAccountKey(w.Rand())
			must(t, err)
			fake := carol.List().List
			fake.Key = key.Public()
			l, err := identity.SignList(fake, key)
			must(t, err)
			must(t, b2.Step(client.AddContact{Keys: keysOf(carol, l)}))
			b2.Connect()
			w.Run()
			for _, d := range []*world.Device{b1, b2} {
				if c := contact(t, d, carol); c.Alarm == "" {
					t.Fatalf("%s: no alarm", d.Name)
				}
				c := d.Content(false)
				must(t, d.Step(c))
				if err := d.Step(client.Send{Content: c.ID, Policy: message.Once, To: []client.Recipient{{Account: carol.ID}}}); !errors.Is(err, client.ErrAlarm) {
					t.Fatal(err)
				}
			}
			picker, genuine := b1, carol.Key.Public()
			for _, d := range []*world.Device{b1, b2} {
				if c := contact(t, d, carol); len(c.Offered) != 2 || !slices.Contains(c.Offered, genuine) || !slices.Contains(c.Offered, key.Public()) {
					t.Fatalf("%s: offered %v", d.Name, c.Offered)
				}
			}
			if !own {
				picker = b2
			}
			if err := picker.Step(client.ChangeContact{Account: carol.ID, Change: client.Trust, Key: identity.AccountPublic{7}}); !errors.Is(err, client.ErrKeyChanged) {
				t.Fatal(err)
			}
			must(t, picker.Step(client.ChangeContact{Account: carol.ID, Change: client.Trust, Key: genuine}))
			w.Run()
			for _, d := range []*world.Device{b1, b2} {
				if c := contact(t, d, carol); c.Alarm != "" || c.Key != genuine {
					t.Fatalf("%s: %+v", d.Name, c)
				}
				w.Readable(sent(w, d, message.Once, carol), c1)
			}
		})
	}
}

// The user agrees to a new key on one device; the other one follows.
func TestTrustReachesTheOtherDevices(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		bob, carol := w.Account("bob"), w.Account("carol")
		b1, b2 := bob.Device(), bob.Device()
		carol.Device()
		b1.Meet(carol)
		w.Run()
		contact(t, b2, carol)
		l, key := reset(t, carol, 0)
		carol.Put(l)
		carol.Key = key
		for _, d := range []*world.Device{b1, b2} {
			must(t, d.Step(client.Learned{Accounts: []*resealv1.AccountKeys{keysOf(carol, l)}}))
		}
		w.Run()
		must(t, b1.Step(client.ChangeContact{Account: carol.ID, Change: client.Trust, Key: key.Public()}))
		w.Run()
		for _, d := range []*world.Device{b1, b2} {
			if c := contact(t, d, carol); c.Alarm != "" || c.Key != key.Public() {
				t.Fatalf("%s: %+v", d.Name, c)
			}
		}
	})
}

func TestARolledBackOrAlteredBookIsAnAlarm(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		bob := w.Account("bob")
		b1, b2 := bob.Device(), bob.Device()
		carol, dan := w.Account("carol"), w.Account("dan")
		carol.Device()
		dan.Device()
		var old *resealv1.Book
		w.Net = func(x *world.Exchange) world.Fate {
			if q, ok := x.Request.(*resealv1.PutBookRequest); ok && old == nil {
				old = q.Book
			}
			return world.Deliver
		}
		b1.Meet(carol)
		w.Run()
		b1.Meet(dan)
		w.Run()
		for name, b := range map[string]*resealv1.Book{
			"rolled back": old,
			"altered":     {Version: 9, Parts: [][]byte{append([]byte{0}, old.Parts[0]...)}},
			"renumbered":  {Version: 9, Parts: old.Parts},
			"gone":        {},
		} {
			before, contacts := world.Told[client.Alarm](b2), len(b2.State.Names("contact/"))
			must(t, b2.Step(client.Answered{Call: client.Call{Key: "book/get", Request: &resealv1.GetBookRequest{}}, Response: &resealv1.GetBookResponse{Book: b}}))
			w.Run()
			if world.Told[client.Alarm](b2) != before+1 || len(b2.State.Names("contact/")) != contacts || contacts != 2 {
				t.Errorf("%s: no alarm, or contacts changed", name)
			}
		}
	})
}

// A change while the book is on its way to the server goes there as well.
func TestABookThatChangesWhileItIsPut(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		bob, carol := w.Account("bob"), w.Account("carol")
		b1, b2 := bob.Device(), bob.Device()
		carol.Device()
		b1.Meet(carol)
		if calls := b1.Calls(); !slices.ContainsFunc(calls, func(k string) bool { return strings.HasPrefix(k, "book/put/") }) {
			t.Fatalf("no book on its way: %v", calls)
		}
		must(t, b1.Step(client.ChangeContact{Account: carol.ID, Change: client.Block}))
		w.Run()
		for _, d := range []*world.Device{b1, b2} {
			if !contact(t, d, carol).Blocked {
				t.Errorf("%s does not block", d.Name)
			}
		}
	})
}

// A version that the server names while an older one is on its way to the device
// is fetched after it: nobody names it again.
func TestABookThatChangesWhileItIsFetched(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		bob := w.Account("bob")
		b1, b2 := bob.Device(), bob.Device()
		put := func(value string) {
			must(t, b1.Step(client.SetSetting{Name: "page", Value: []byte(value)}))
			if !b1.Perform("book/put/") {
				t.Fatalf("no book on its way: %v", b1.Calls())
			}
		}
		put("1")
		w.Run()
		var version uint64
		w.Net = func(x *world.Exchange) world.Fate {
			if q, ok := x.Request.(*resealv1.PutBookRequest); ok {
				version = q.Book.Version
			}
			return world.Deliver
		}
		told := func() {
			must(t, b2.Step(client.Streamed{Event: &resealv1.EventsResponse{Event: &resealv1.EventsResponse_BookVersion{BookVersion: version}}}))
		}
		put("2")
		told()
		w.Answer = func(x *world.Exchange) {
			w.Answer = nil
			put("3")
			told()
		}
		for _, want := range []string{"2", "3"} {
			if !b2.Perform("book/get") {
				t.Fatalf("before %s: the book is not fetched: %v", want, b2.Calls())
			}
			if all, err := b2.Engine.Settings(); err != nil || string(all["page"]) != want {
				t.Fatalf("%q, want %s: %v", all, want, err)
			}
		}
		if b2.Perform("book/get") {
			t.Error("the book is fetched although it is known")
		}
	})
}
