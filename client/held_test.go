package client_test

import (
	"crypto/rand"
	"testing"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// afterReset is a request of the one device that bob's account has after a
// reset, with the answer to a question for his keys.
func afterReset(t *testing.T, w *world.World) (k *asking, answer client.Event) {
	t.Helper()
	k = newAsking(w)
	key, err1 := identity.NewDeviceKey(rand.Reader)
	account, err2 := identity.NewAccountKey(rand.Reader)
	d := identity.DeviceID{9, 9}
	e, err3 := client.FirstEpoch(k.bob.ID, d, key, 1, w.Time(), rand.Reader)
	l, err4 := identity.SignList(next(k.bob, func(l *identity.DeviceList) {
		l.Key = account.Public()
		l.Devices = []identity.Device{{ID: d, Key: key.Public(), AddedAt: w.Time(), Class: identity.Native, How: identity.ByRecovery}}
	}), account)
	for _, err := range []error{err1, err2, err3, err4} {
		must(t, err)
	}
	k.key, k.req.Device, k.req.Cert = key, d, e.Certificate.Hash()
	k.req.ListVersion, k.req.ListHash = l.List.Version, l.Hash()
	keys := &resealv1.AccountKeys{AccountId: k.bob.ID[:], Handle: k.bob.Handle, List: l.Bytes(), Certificates: [][]byte{e.Certificate.Bytes()}}
	k.keys = keys
	return k, client.Answered{
		Call:     client.Call{Request: &resealv1.GetAccountsRequest{Accounts: []*resealv1.KnownAccount{{AccountId: k.bob.ID[:]}}}},
		Response: &resealv1.GetAccountsResponse{Accounts: []*resealv1.AccountKeys{keys}},
	}
}

// A request that an alarm holds back is answered once the user has agreed to the
// key, without another word of the asker, also after a restart; never before.
func TestARequestHeldByAnAlarmIsAnsweredOnTrust(t *testing.T) {
	for name, restart := range map[string]bool{"at once": false, "after a restart": true} {
		t.Run(name, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				k, answer := afterReset(t, w)
				s := k.engine(t)
				n := added(s.step(t, k.event(t))) + added(s.step(t, answer)) // the alarm
				n += added(s.step(t, k.event(t)))                            // asked once more
				if restart {
					var err error
					if s.engine, err = client.Open(s.section, rand.Reader); err != nil {
						t.Fatal(err)
					}
					n += added(s.step(t, client.Connected{})) + added(s.step(t, client.Synced{Through: w.Time().Day() + 1}))
				}
				if n != 0 {
					t.Fatalf("%d wraps before the user agreed", n)
				}
				key := [32]byte(k.listKey(t))
				n = added(s.step(t, client.ChangeContact{Account: k.bob.ID, Change: client.Trust, Key: key}))
				if n += added(s.step(t, answer)); n != 2 { // two requests of one device: the same wrap
					t.Fatalf("%d wraps after the user agreed", n)
				}
				if left := append(s.section.Names("heldask/"), s.section.Names("asked/")...); len(left) != 0 {
					t.Fatalf("kept: %v", left)
				}
			})
		})
	}
}

// What an alarm keeps is bounded for each account, is about messages that went
// to it, and goes with them.
func TestHeldRequestsAreBounded(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		k, answer := afterReset(t, w)
		s := k.engine(t)
		s.step(t, k.event(t))
		s.step(t, answer)
		for range 40 {
			s.step(t, k.event(t))
		}
		if n := len(s.section.Names("heldask/")); n != 16 {
			t.Fatalf("%d requests are kept", n)
		}
		s.step(t, client.Unsend{ID: k.m.ID()})
		s.step(t, client.Connected{})
		if n := len(s.section.Names("heldask/")); n != 0 {
			t.Fatalf("%d requests for what has ended are kept", n)
		}
		k.req.Messages = []message.ID{{1}}
		s.step(t, k.event(t))
		if n := len(s.section.Names("heldask/")); n != 0 {
			t.Fatal("a request for a message that nobody knows is kept")
		}
	})
}

// listKey is the account key of the list that the server serves.
func (k *asking) listKey(t *testing.T) []byte {
	t.Helper()
	l, err := identity.ParseSignedList(k.keys.List)
	must(t, err)
	return l.List.Key[:]
}
