package attacks

import (
	"bytes"
	"reflect"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

const (
	ghostDevices = "ghost device added by the server (the ghost proposal of 2018; Rösler, Mainka, Schwenk 2018)"
	malleable    = "decoding that takes more than one form of a record"
	goesOn       = "nothing changes: ana wraps for the devices that she knows, and no others"
	alarm        = "alarm; sends, answers and inbox of that contact are held"
	thief        = "a thief with the account key (the password and the capsule), helped by the server"
)

var lists = Group{"Device lists", []Attack{
	{"list-older", "rollback of the directory (CONIKS 2015)", goesOn, ignored(func(s *stage, k *resealv1.AccountKeys) {
		k.List = s.bob.ListAt(1).Bytes()
	}), ""},
	{"list-frozen", "an older list is served to one sender for ever, the new device is kept from her", "the new device gets the key by retry from the others", func(s *stage) {
		old := keysOf(s.bob, s.bob.List())
		s.tell(aboutKeys(s.a, s.bob, func(k *resealv1.AccountKeys) { k.List = old.List }).also(lie{
			answer: func(x *world.Exchange) bool {
				r, ok := x.Response.(*resealv1.SendResponse)
				if !ok || x.Device != s.a || len(r.Stale) == 0 {
					return false
				}
				r.Stale = nil
				return true
			},
			stream: withholding(s.a, func(ev *world.Event) bool { return ev.GetAccount() != nil }).stream,
		}))
		b3 := s.bob.Device()
		m := s.send(message.Keep)
		s.Advance(time.Minute)
		s.Readable(m, s.b1, s.b2, b3)
	}, ""},
	{"list-ghost-inserted", ghostDevices, goesOn, ignored(func(s *stage, k *resealv1.AccountKeys) {
		k.List = s.forged(func(l *identity.DeviceList) { l.Devices = append(l.Devices, s.mallory.List().List.Devices...) })
		k.Certificates = append(k.Certificates, s.m.First.Certificate.Bytes())
	}), ""},
	{"list-ghost-under-own-key", ghostDevices, alarm, alarming(func(s *stage, k *resealv1.AccountKeys) {
		l := following(s.bob, func(l *identity.DeviceList) { l.Key = s.mallory.Key.Public(); l.Devices[0].Key = s.m.Key.Public() })
		k.List = s.mallory.Sign(l).Bytes()
	}), ""},
	{"list-device-key-exchanged", ghostDevices, goesOn, ignored(func(s *stage, k *resealv1.AccountKeys) {
		d, _ := s.bob.List().Find(s.b2.ID)
		ghost := s.m.Key.Public()
		k.List = bytes.Replace(k.List, d.Key[:], ghost[:], 1)
	}), ""},
	{"list-under-an-old-signature", "a genuine signature under another body", goesOn, ignored(func(s *stage, k *resealv1.AccountKeys) {
		old := s.bob.ListAt(1).Bytes()
		k.List = append(bytes.Clone(k.List[:len(k.List)-64]), old[len(old)-64:]...)
	}), ""},
	{"list-version-raised", "an older list that claims to be newer", goesOn, ignored(func(s *stage, k *resealv1.AccountKeys) {
		k.List = s.forged(func(l *identity.DeviceList) { l.Devices, l.Version = s.bob.ListAt(1).List.Devices, 9 })
	}), ""},
	{"list-bits", malleable, goesOn + ", whatever bit is changed", func(s *stage) {
		good := keysOf(s.bob, s.bob.List())
		before := s.contact(s.a, s.bob)
		for i := 2; i < len(good.List); i++ { // the version has an attack of its own
			k := keysOf(s.bob, s.bob.List())
			k.List = flipped(good.List, i)
			s.learn(s.a, k)
		}
		s.unchanged(before)
	}, ""},
	{"list-cut", malleable, goesOn, ignored(func(_ *stage, k *resealv1.AccountKeys) { k.List = k.List[:len(k.List)-1] }), ""},
	{"list-extended", malleable, goesOn, ignored(func(_ *stage, k *resealv1.AccountKeys) { k.List = append(k.List, 0) }), ""},
	{"list-empty", "suppression", goesOn, ignored(func(_ *stage, k *resealv1.AccountKeys) { k.List = nil }), ""},
	{"list-huge", "exhaustion", goesOn, ignored(func(_ *stage, k *resealv1.AccountKeys) { k.List = append(k.List, make([]byte, 1<<20)...) }), ""},
	{"list-of-another-account", "wrong keys for a name (the man in the middle that key directories exist for)", goesOn, ignored(func(s *stage, k *resealv1.AccountKeys) {
		k.List = s.mallory.List().Bytes()
		k.Certificates = keysOf(s.mallory, s.mallory.List()).Certificates
	}), ""},
	{"list-under-another-account", "the same, the other way round", goesOn, ignored(func(s *stage, k *resealv1.AccountKeys) {
		k.AccountId = s.mallory.ID[:]
	}), ""},
	{"list-of-a-newer-format", "downgrade and confusion of formats", "the list is not followed; ana is told that an update is needed, and goes on", ignored(func(_ *stage, k *resealv1.AccountKeys) {
		k.List[1]++
	}), ""},
	{"list-without-a-device", "a device is cut off", goesOn, ignored(func(s *stage, k *resealv1.AccountKeys) {
		k.List = s.forged(func(l *identity.DeviceList) { l.Devices = l.Devices[:1] })
	}), ""},
	{"own-list-without-me", "a device is told that it was removed", "the device stays: only a signed list removes it", func(s *stage) {
		s.tell(aboutKeys(s.b2, s.bob, func(k *resealv1.AccountKeys) {
			k.List = s.forged(func(l *identity.DeviceList) { l.Devices = l.Devices[:1] })
		}))
		s.reconnect(s.b2)
		if s.b2.Ended || world.Told[client.Removed](s.b2) != 0 {
			s.t.Fatal("the device believes it")
		}
		s.Readable(s.send(message.Keep), s.b2)
		s.ownAlarm = true
	}, ""},
	{"own-list-older", "rollback towards the account itself", "the device's own list does not fall", func(s *stage) {
		s.tell(aboutKeys(s.b1, s.bob, func(k *resealv1.AccountKeys) { k.List = s.bob.ListAt(1).Bytes() }))
		s.reconnect(s.b1)
		l, _, err := s.b1.Engine.OwnKeys()
		if err != nil || l.Hash() != s.bob.List().Hash() {
			s.t.Fatal("the own list fell")
		}
		if s.b1.Engine.Counters().OlderLists == 0 {
			s.t.Fatal("nobody noticed")
		}
	}, ""},
	{"own-ghost", ghostDevices, "own devices answer the ghost nothing, and wrap nothing for it", func(s *stage) {
		s.tell(aboutKeys(s.b1, s.bob, func(k *resealv1.AccountKeys) {
			k.List = flipped(k.List, len(k.List)/2)
			k.Certificates = append(k.Certificates, s.m.First.Certificate.Bytes())
		}))
		s.reconnect(s.b1)
		s.sendFrom(s.b1, message.Keep, s.ana)
		l, _, err := s.b1.Engine.OwnKeys()
		if err != nil || l.Hash() != s.bob.List().Hash() {
			s.t.Fatal("the own list was exchanged")
		}
	}, ""},
	{"own-list-by-another-key", thief + ", who resets in secret", "the device keeps its key and raises an alarm", func(s *stage) {
		s.tell(aboutKeys(s.b1, s.bob, func(k *resealv1.AccountKeys) {
			l := following(s.bob, func(l *identity.DeviceList) { l.Key = s.mallory.Key.Public() })
			k.List = s.mallory.Sign(l).Bytes()
		}))
		s.reconnect(s.b1)
		l, _, err := s.b1.Engine.OwnKeys()
		if err != nil || l.List.Key != s.bob.Key.Public() || world.Told[client.Alarm](s.b1) == 0 {
			s.t.Fatal("no alarm")
		}
		s.ownAlarm = true
	}, ""},
	{"fork", thief + ": two lists of one version (SUNDR 2004, CONIKS 2015)", alarm + "; the next list that follows the known one is the way out", alarming(func(s *stage, k *resealv1.AccountKeys) {
		l := s.bob.List().List
		l.IssuedAt++
		k.List = s.bob.Sign(l).Bytes()
	}), ""},
	{"fork-next", thief + ": a next list that does not follow the known one", alarm, alarming(func(s *stage, k *resealv1.AccountKeys) {
		k.List = s.bob.Sign(following(s.bob, func(l *identity.DeviceList) { l.Prev[0] ^= 1 })).Bytes()
	}), ""},
	{"fork-by-receipt", "the server shows each side another list of the third", "the lists named in authentic receipts and wraps tell; unauthentic ones raise no alarm", func(s *stage) {
		s.tell(aboutReceipts(s.a, func(b []byte) [][]byte { return [][]byte{flipped(b, 130)} }))
		s.send(message.Keep)
		if s.a.Engine.Counters().BadReceipts == 0 {
			s.t.Fatal("the receipt was taken")
		}
	}, ""},
	{"list-rolled-back-and-signed", thief + ": a ghost in a list of an old version", goesOn, ignored(func(s *stage, k *resealv1.AccountKeys) {
		l := s.bob.ListAt(1).List
		l.Devices[0].Key = s.m.Key.Public()
		k.List = s.bob.Sign(l).Bytes()
	}), ""},
	{"next-key-exchanged", thief + ": another committed next key, to rotate to", alarm, alarming(func(s *stage, k *resealv1.AccountKeys) {
		k.List = s.bob.Sign(following(s.bob, func(l *identity.DeviceList) { l.Next = s.mallory.Key.Public().Next() })).Bytes()
	}), ""},
	{"rotation-to-a-key-not-committed", thief + ": a rotation without the recovery code", alarm, alarming(func(s *stage, k *resealv1.AccountKeys) {
		l, err := identity.SignRotation(following(s.bob, func(l *identity.DeviceList) { l.Key = s.mallory.Key.Public() }), s.bob.Key, s.mallory.Key)
		if err != nil {
			s.t.Fatal(err)
		}
		k.List = l.Bytes()
	}), ""},
	{"rotation-by-strangers", "a rotation that neither key signed", goesOn, ignored(func(s *stage, k *resealv1.AccountKeys) {
		k.Rotations = [][]byte{s.mallory.List().Bytes(), nil, make([]byte, 500)}
	}), ""},
	{"rotations-without-end", "exhaustion", goesOn, ignored(func(s *stage, k *resealv1.AccountKeys) {
		for range 2000 {
			k.Rotations = append(k.Rotations, s.bob.ListAt(1).Bytes())
		}
	}), ""},
	{"reset-made-up", "the server resets an account in secret (re-registration of a phone number, 2016)", alarm + " until the user agrees to that very key", alarming(func(s *stage, k *resealv1.AccountKeys) {
		fresh, err := identity.NewAccountKey(s.Rand())
		if err != nil {
			s.t.Fatal(err)
		}
		l, err := identity.SignList(following(s.bob, func(l *identity.DeviceList) { l.Key = fresh.Public() }), fresh)
		if err != nil {
			s.t.Fatal(err)
		}
		k.List = l.Bytes()
	}), ""},
	{"handle-of-a-friend", "a stranger under a friend's name", "the handle stays the friend's", func(s *stage) {
		s.tell(aboutKeys(s.a, s.mallory, func(k *resealv1.AccountKeys) { k.Handle = "bob" }))
		s.sendFrom(s.m, message.Keep, s.ana)
		c, ok := s.a.Engine.ContactByHandle("bob")
		if !ok || c.Account != s.bob.ID {
			s.t.Fatal("the handle names a stranger")
		}
		s.keys[s.mallory.ID] = s.mallory.Key.Public()
	}, ""},
	{"removed-device-kept", "the removal of a stolen phone is kept from the contacts who know of it", "what is known does not fall: no wrap for the removed device", func(s *stage) {
		old := s.bob.List()
		s.bob.Remove(s.b2)
		s.Run()
		s.b2.Stop()
		s.tell(aboutKeys(s.a, s.bob, func(k *resealv1.AccountKeys) { k.List = old.Bytes() }))
		s.learn(s.a, keysOf(s.bob, old))
		wrapped := s.wrapsFor(func() { s.send(message.Keep) })
		if wrapped[s.b2.ID] != 0 || wrapped[s.b1.ID] == 0 {
			s.t.Fatalf("wrapped for %v", wrapped)
		}
		s.bob.Devices = s.bob.Devices[:1]
	}, ""},
}}

// forged is a list of bob's that mallory signed.
func (s *stage) forged(change func(l *identity.DeviceList)) []byte {
	real, own := s.bob.Key.Public(), s.mallory.Key.Public()
	l := following(s.bob, func(l *identity.DeviceList) {
		change(l)
		l.Key = own
	})
	return bytes.ReplaceAll(s.mallory.Sign(l).Bytes(), own[:], real[:])
}

// following is the account's next list, changed.
func following(a *world.Account, change func(l *identity.DeviceList)) identity.DeviceList {
	old := a.List()
	l := old.List
	l.Version, l.Prev, l.IssuedAt = l.Version+1, old.Hash(), a.W.Time()
	l.Devices = append([]identity.Device(nil), l.Devices...)
	change(&l)
	return l
}

// learn tells a device of keys in both ways that it can hear of them.
func (s *stage) learn(d *world.Device, k *resealv1.AccountKeys) {
	s.t.Helper()
	s.told++
	if err := d.Step(client.Learned{Accounts: []*resealv1.AccountKeys{k}}); err != nil {
		s.t.Fatal(err)
	}
	s.step(d, &world.Event{Event: &resealv1.EventsResponse_Account{Account: k}})
}

// ignored: ana is told this of bob, by every way there is, and goes on with what
// she knows.
func ignored(f func(s *stage, k *resealv1.AccountKeys)) func(s *stage) {
	return func(s *stage) {
		before := s.contact(s.a, s.bob)
		k := keysOf(s.bob, s.bob.List())
		f(s, k)
		s.tell(aboutKeys(s.a, s.bob, func(k *resealv1.AccountKeys) { f(s, k) }))
		s.learn(s.a, k)
		s.unchanged(before)
		s.Readable(s.send(message.Keep), s.b1, s.b2)
	}
}

// alarming: ana is told this of bob, and is warned.
func alarming(f func(s *stage, k *resealv1.AccountKeys)) func(s *stage) {
	return func(s *stage) {
		k := keysOf(s.bob, s.bob.List())
		f(s, k)
		s.learn(s.a, k)
		if s.contact(s.a, s.bob).Alarm == "" || world.Told[client.Alarm](s.a) == 0 {
			s.t.Fatal("no alarm")
		}
		s.alarmed = true
	}
}

func (s *stage) unchanged(before client.Contact) {
	s.t.Helper()
	if after := s.contact(s.a, s.bob); !reflect.DeepEqual(after, before) {
		s.t.Fatalf("%+v, before %+v", after, before)
	}
}

// wrapsFor are the devices that wraps are made for while f runs, with their epochs.
func (s *stage) wrapsFor(f func()) map[identity.DeviceID]uint64 {
	clear(s.wrapped)
	f()
	return s.wrapped
}
