package client_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// Nothing that a lying server says without a signature changes who gets wraps.
func TestALyingServerAddsNoDevice(t *testing.T) {
	for name, lie := range map[string]func(t *testing.T, bob *world.Account, k *resealv1.AccountKeys){
		"older list": func(t *testing.T, bob *world.Account, k *resealv1.AccountKeys) {
			old := bob.Sign(identity.FirstList(bob.ID, bob.Key.Public(), bob.Next.Public().Next(), bob.List().List.Devices[0], bob.W.Time()))
			k.List = old.Bytes()
		},
		"ghost device in the list": func(t *testing.T, bob *world.Account, k *resealv1.AccountKeys) {
			i := len(k.List) / 2
			k.List = append([]byte(nil), k.List...)
			k.List[i] ^= 1
		},
		"list of another account": func(t *testing.T, bob *world.Account, k *resealv1.AccountKeys) {
			mallory := bob.W.Account("mallory")
			mallory.NewDevice()
			d := mallory.Devices[0]
			l := mallory.Sign(identity.FirstList(mallory.ID, mallory.Key.Public(), mallory.Next.Public().Next(),
				identity.Device{ID: d.ID, Key: d.Key.Public(), AddedAt: bob.W.Time(), Class: identity.Native, How: identity.ByPassword}, bob.W.Time()))
			k.List = l.Bytes()
		},
		"ghost certificate": func(t *testing.T, bob *world.Account, k *resealv1.AccountKeys) {
			ghost := bob.NewDevice() // of the account by its own word alone
			k.Certificates = append(k.Certificates, ghost.First.Certificate.Bytes())
		},
		"certificate signed by another device": func(t *testing.T, bob *world.Account, k *resealv1.AccountKeys) {
			e, err := client.FirstEpoch(bob.ID, bob.Devices[1].ID, bob.Devices[0].Key, 2, bob.W.Time(), bob.W.Rand())
			if err != nil {
				t.Fatal(err)
			}
			k.Certificates = append(k.Certificates, e.Certificate.Bytes())
		},
		"list of a newer version": func(t *testing.T, bob *world.Account, k *resealv1.AccountKeys) {
			k.List = append([]byte(nil), k.List...)
			k.List[1]++
		},
		"nothing at all": func(t *testing.T, bob *world.Account, k *resealv1.AccountKeys) { proto.Reset(k) },
	} {
		t.Run(name, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				_, bob, a, b1, b2 := pair(w)
				before := contact(t, a, bob)
				k := keysOf(bob, bob.List())
				lie(t, bob, k)
				for _, ev := range []client.Event{client.Learned{Accounts: []*resealv1.AccountKeys{k}}, told(k)} {
					if err := a.Step(ev); err != nil {
						t.Fatal(err)
					}
				}
				if after := contact(t, a, bob); !reflect.DeepEqual(after, before) {
					t.Fatalf("%+v, before %+v", after, before)
				}
				var to int
				w.Net = func(x *world.Exchange) world.Fate {
					if q, ok := x.Request.(*resealv1.SendRequest); ok {
						to = len(q.Wraps)
					}
					return world.Deliver
				}
				w.Readable(sent(w, a, message.Once, bob), b1, b2)
				if to != 2 {
					t.Fatalf("wrapped for %d devices", to)
				}
			})
		})
	}
}

// A stranger whom the server calls by a friend's handle does not take it.
func TestAStrangerTakesNoHandle(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, _, _ := pair(w)
		mallory := w.Account("mallory")
		m1 := mallory.Device()
		w.Answer = func(x *world.Exchange) {
			if r, ok := x.Response.(*resealv1.GetAccountsResponse); ok && x.Device == a {
				for _, k := range r.Accounts {
					k.Handle = "bob"
				}
			}
		}
		sent(w, m1, message.Keep, a.Account)
		c, ok := a.Engine.ContactByHandle("bob")
		if !ok || c.Account != bob.ID {
			t.Fatal("the handle names a stranger")
		}
		if c := contact(t, a, mallory); !c.Renamed || c.Accepted {
			t.Fatalf("%+v", c)
		}
	})
}

// A server that withholds everything makes nothing wrong, and when it stops
// everything opens.
func TestAServerThatWithholds(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, b2 := pair(w)
		mute := true
		w.Stream = func(_ *world.Device, ev *world.Event) []*world.Event {
			if _, end := ev.Event.(*resealv1.EventsResponse_CaughtUp); mute && !end {
				return nil
			}
			return []*world.Event{ev}
		}
		w.Answer = func(x *world.Exchange) {
			if r, ok := x.Response.(*resealv1.ReadDayResponse); ok && mute {
				proto.Reset(r)
			}
			if r, ok := x.Response.(*resealv1.SendResponse); ok && mute {
				r.Stale = nil
			}
		}
		m := sent(w, a, message.Keep, bob)
		b3 := bob.Device()
		for range 3 {
			b3.Disconnect()
			b3.Connect()
			w.Advance(time.Hour)
		}
		if b1.Is(m) != "" || b3.Is(m) != "" {
			t.Fatal("it leaked")
		}
		mute = false
		for _, d := range []*world.Device{a, b1, b2, b3} {
			d.Disconnect()
			d.Connect()
		}
		w.Run()
		w.Advance(10 * time.Second)
		w.Readable(m, b1, b2, b3)
	})
}

func TestRecordsOfANewerVersionWaitForAnUpdate(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, _ := pair(w)
		n := asks(w)
		newWrap, newHeader := true, false
		change := func(p *resealv1.Pending) {
			if newHeader {
				p.Header[1] = 2
			}
			for _, b := range p.Wraps {
				if newWrap {
					b[22] = 2
				}
			}
		}
		w.Stream = func(_ *world.Device, ev *world.Event) []*world.Event {
			if p := ev.GetMessage(); p != nil {
				change(p)
			}
			return []*world.Event{ev}
		}
		m := sent(w, a, message.Keep, bob)
		w.State(m, client.Update, b1)
		if _, err := b1.Engine.Opening(b1.Now(), m.ID()); !errors.Is(err, client.ErrUpdate) {
			t.Fatal(err)
		}
		newWrap, newHeader = false, true
		m2 := sent(w, a, message.Keep, bob)
		if got := b1.Is(m2); got != "" || len(b1.State.Names("newer/")) != 1 {
			t.Fatal(got)
		}
		shown(t, b1, 1)
		if *n != 0 {
			t.Fatal("asked for")
		}
		// They go with their time.
		b1.Disconnect()
		w.Advance(32 * 24 * time.Hour)
		b1.Connect()
		w.Run()
		w.Advance(time.Minute)
		if len(b1.State.Names("newer/")) != 0 {
			t.Fatal("kept for ever")
		}
	})
}

// shown demands that so many messages of a newer version are in the inbox, as
// such, and that the user was told of each.
func shown(t *testing.T, d *world.Device, n int) {
	t.Helper()
	all, err := d.Engine.Inbox(d.Now(), false)
	if err != nil {
		t.Fatal(err)
	}
	told := map[message.ID]bool{}
	for _, x := range d.Notices {
		if a, ok := x.(client.Arrived); ok && a.Update && a.From.IsZero() {
			told[a.ID] = true
		}
	}
	got := 0
	for _, m := range all {
		if m.State != client.Update || m.Header.Created != 0 {
			continue
		}
		got++
		if !told[m.ID] {
			t.Errorf("nobody was told of %v", m.ID)
		}
		if _, err := d.Engine.Opening(d.Now(), m.ID); !errors.Is(err, client.ErrUpdate) {
			t.Errorf("opening what needs an update: %v", err)
		}
	}
	if got != n {
		t.Errorf("%d messages of a newer version are shown, want %d", got, n)
	}
}

// What is kept of a newer version opens with the program that reads it: here the
// record becomes one of this version, and the program is started again.
func TestNewerMessageOpensAfterTheUpdate(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, b1, _ := pair(w)
		w.Stream = func(_ *world.Device, ev *world.Event) []*world.Event {
			if p := ev.GetMessage(); p != nil {
				p.Header[1] = 2
			}
			return []*world.Event{ev}
		}
		m := sent(w, a, message.Keep, bob)
		shown(t, b1, 1)
		b1.Stop()
		name := b1.State.Names("newer/")[0]
		b, _ := b1.State.Get(name)
		var p resealv1.Pending
		if err := proto.Unmarshal(b, &p); err != nil {
			t.Fatal(err)
		}
		p.Header[1] = 1
		b, err := proto.Marshal(&p)
		if err != nil {
			t.Fatal(err)
		}
		b1.State.Commit(client.Batch{{Name: name, Value: b}})
		w.Stream = nil
		b1.Start()
		b1.Connect()
		w.Run()
		w.State(m, client.IsReady, b1)
		if len(b1.State.Names("newer/")) != 0 {
			t.Error("what could be read is kept as if it could not")
		}
		shown(t, b1, 0)
	})
}
