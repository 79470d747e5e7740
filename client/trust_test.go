package client_test

import (
	"errors"
	"testing"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// next is the account's next list, changed.
func next(a *world.Account, change func(l *identity.DeviceList)) identity.DeviceList {
	old := a.List()
	l := old.List
	l.Version, l.Prev, l.IssuedAt = l.Version+1, old.Hash(), a.W.Time()
	l.Devices = append([]identity.Device(nil), l.Devices...)
	if change != nil {
		change(&l)
	}
	return l
}

// rotated hands the account over to its committed next key.
func rotated(t *testing.T, a *world.Account) (l *identity.SignedList, key identity.AccountKey) {
	t.Helper()
	fresh, err := identity.NewAccountKey(a.W.Rand())
	if err != nil {
		t.Fatal(err)
	}
	var keep []identity.DeviceID
	for _, d := range a.List().List.Devices {
		keep = append(keep, d.ID)
	}
	unsigned, err := identity.Rotate(a.List(), a.Next.Public(), fresh.Public().Next(), keep, a.W.Time())
	if err != nil {
		t.Fatal(err)
	}
	if l, err = identity.SignRotation(unsigned, a.Key, a.Next); err != nil {
		t.Fatal(err)
	}
	a.Key, a.Next = a.Next, fresh
	return l, a.Key
}

// reset gives the account a key that nothing hands over to.
func reset(t *testing.T, a *world.Account, over uint64) (*identity.SignedList, identity.AccountKey) {
	t.Helper()
	key, err := identity.NewAccountKey(a.W.Rand())
	if err != nil {
		t.Fatal(err)
	}
	l, err := identity.SignList(next(a, func(l *identity.DeviceList) { l.Key = key.Public(); l.Version += over }), key)
	if err != nil {
		t.Fatal(err)
	}
	return l, key
}

func keysOf(a *world.Account, l *identity.SignedList, rotations ...*identity.SignedList) *resealv1.AccountKeys {
	k := &resealv1.AccountKeys{AccountId: a.ID[:], List: l.Bytes(), Handle: a.Handle}
	for _, r := range rotations {
		k.Rotations = append(k.Rotations, r.Bytes())
	}
	for _, d := range a.Devices {
		k.Certificates = append(k.Certificates, d.First.Certificate.Bytes())
	}
	return k
}

func contact(t *testing.T, d *world.Device, a *world.Account) client.Contact {
	t.Helper()
	all, err := d.Engine.Contacts()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Account == a.ID {
			return c
		}
	}
	t.Fatalf("%s does not know %s", d.Name, a.Handle)
	return client.Contact{}
}

// told is an event of the stream about an account.
func told(k *resealv1.AccountKeys) client.Event {
	return client.Streamed{Event: &world.Event{Event: &resealv1.EventsResponse_Account{Account: k}}}
}

// Every alarm holds sends, answers and the inbox back until the user decides,
// or a later list is the way out.
func TestAlarms(t *testing.T) {
	type lie struct {
		name string
		// keys is what the server tells ana of bob.
		keys func(t *testing.T, bob *world.Account) *resealv1.AccountKeys
		// trust tells whether the user can agree to the key.
		trust bool
	}
	for _, c := range []lie{
		{"fork", func(_ *testing.T, bob *world.Account) *resealv1.AccountKeys {
			l := bob.List().List
			l.IssuedAt++
			return keysOf(bob, bob.Sign(l))
		}, false},
		{"next list that does not follow", func(_ *testing.T, bob *world.Account) *resealv1.AccountKeys {
			return keysOf(bob, bob.Sign(next(bob, func(l *identity.DeviceList) { l.Prev[0] ^= 1 })))
		}, false},
		{"changed next key", func(_ *testing.T, bob *world.Account) *resealv1.AccountKeys {
			return keysOf(bob, bob.Sign(next(bob, func(l *identity.DeviceList) { l.Next[0] ^= 1 })))
		}, false},
		{"second succession", func(t *testing.T, bob *world.Account) *resealv1.AccountKeys {
			other, err := identity.NewAccountKey(bob.W.Rand())
			if err != nil {
				t.Fatal(err)
			}
			l, err := identity.SignRotation(next(bob, func(l *identity.DeviceList) { l.Key = other.Public() }), bob.Key, other)
			if err != nil {
				t.Fatal(err)
			}
			return keysOf(bob, l)
		}, false},
		{"reset", func(t *testing.T, bob *world.Account) *resealv1.AccountKeys {
			l, _ := reset(t, bob, 0)
			return keysOf(bob, l)
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				ana, bob, a, b1, b2 := pair(w)
				from := sent(w, b1, message.Keep, ana)
				to := sent(w, a, message.Keep, bob)
				k := c.keys(t, bob)
				if err := a.Step(client.Learned{Accounts: []*resealv1.AccountKeys{k}}); err != nil {
					t.Fatal(err)
				}
				if world.Told[client.Alarm](a) != 1 || contact(t, a, bob).Alarm == "" {
					t.Fatal("no alarm")
				}
				// The inbox.
				w.State(from, client.Held, a)
				if _, err := a.Engine.Opening(a.Now(), from.ID()); !errors.Is(err, client.ErrHeld) {
					t.Fatal(err)
				}
				// Sends.
				content := a.Content(false)
				_ = a.Step(content)
				cmd := client.Send{Content: content.ID, Policy: message.Once, To: []client.Recipient{{Account: bob.ID, Client: message.ClientID{1}}}}
				if err := a.Step(cmd); !errors.Is(err, client.ErrAlarm) {
					t.Fatal(err)
				}
				// (Answers: TestHolderAnswersOnlyIf.)
				// Another key than the one that raised it is not what is agreed to.
				offered := contact(t, a, bob).Offered
				if (len(offered) == 1) != c.trust || len(offered) > 1 {
					t.Fatalf("offered: %v", offered)
				}
				key := bob.Key.Public()
				if c.trust {
					key = offered[0]
				}
				wrong := key
				wrong[0] ^= 1
				trust := func(key identity.AccountPublic) error {
					return a.Step(client.ChangeContact{Account: bob.ID, Change: client.Trust, Key: key})
				}
				if err := trust(wrong); err == nil {
					t.Fatal("another key was agreed to")
				}
				err := trust(key)
				if (err == nil) != c.trust {
					t.Fatalf("trust: %v", err)
				}
				got := contact(t, a, bob)
				if c.trust {
					if got.Alarm != "" || got.Key != key {
						t.Fatalf("%+v", got)
					}
					return
				}
				// The way out: a later list that follows what is pinned.
				b3 := bob.Device()
				if got := contact(t, a, bob); got.Alarm != "" {
					t.Fatalf("%+v", got)
				}
				w.Readable(from, a)
				w.Readable(to, b1, b2, b3)
			})
		})
	}
}

// A server that offers another key between the user's look and the user's word
// gains nothing.
func TestTrustMeansTheKeyThatWasLookedAt(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, _, _ := pair(w)
		alarm := func() identity.AccountPublic {
			l, _ := reset(t, bob, 1)
			must(t, a.Step(client.Learned{Accounts: []*resealv1.AccountKeys{keysOf(bob, l)}}))
			c := contact(t, a, bob)
			if len(c.Offered) != 1 || c.Offered[0] != l.List.Key {
				t.Fatalf("offered: %v", c.Offered)
			}
			return c.Offered[0]
		}
		trust := func(key identity.AccountPublic) error {
			return a.Step(client.ChangeContact{Account: bob.ID, Change: client.Trust, Key: key})
		}
		pinned, looked := contact(t, a, bob).Key, alarm()
		other := alarm()
		if err := trust(looked); !errors.Is(err, client.ErrKeyChanged) {
			t.Fatal(err)
		}
		if c := contact(t, a, bob); c.Alarm == "" || c.Key != pinned {
			t.Fatalf("%+v", c)
		}
		must(t, trust(other))
		if c := contact(t, a, bob); c.Alarm != "" || c.Key != other || len(c.Offered) != 0 {
			t.Fatalf("%+v", c)
		}
		// The alarm is over; a late word about another key changes nothing.
		must(t, trust(other))
		if err := trust(looked); !errors.Is(err, client.ErrKeyChanged) {
			t.Fatal(err)
		}
	})
}

func TestRotationsAreFollowedAndKeepTheMark(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, _ := pair(w)
		c := contact(t, a, bob)
		if err := a.Step(client.ChangeContact{Account: bob.ID, Change: client.Verify, Key: c.Key}); err != nil {
			t.Fatal(err)
		}
		w.Run()
		a.Stop()
		// Two rotations and a list on top while ana is away.
		for range 2 {
			l, _ := rotated(t, bob)
			bob.Put(l)
		}
		bob.Put(bob.Sign(next(bob, nil)))
		a.Start()
		w.Run()
		// A list that comes along without the rotations is no alarm: they are
		// fetched.
		if err := a.Step(told(keysOf(bob, bob.List()))); err != nil {
			t.Fatal(err)
		}
		w.Run()
		got := contact(t, a, bob)
		if got.Alarm != "" || got.Key != bob.Key.Public() || !got.Verified || got.WasVerified {
			t.Fatalf("%+v", got)
		}
		// The own devices follow as well.
		b1.Disconnect()
		b1.Connect()
		w.Run()
		l, _, err := b1.Engine.OwnKeys()
		if err != nil || l.Hash() != bob.List().Hash() || world.Told[client.Alarm](b1) != 0 {
			t.Fatal("the own device did not follow")
		}
		w.Readable(sent(w, a, message.Once, bob), b1)
	})
}

func TestAnOwnListByAnotherKeyIsAnAlarm(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, _, b1, _ := pair(w)
		l, _ := reset(t, bob, 0)
		bob.Put(l)
		b1.Disconnect()
		b1.Connect()
		w.Run()
		own, _, err := b1.Engine.OwnKeys()
		if err != nil || own.List.Key != bob.Key.Public() || world.Told[client.Alarm](b1) == 0 {
			t.Fatal("the own key was exchanged")
		}
	})
}
