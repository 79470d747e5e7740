package client_test

import (
	"crypto/rand"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/retry"
)

// asking is a retry request of bob's second phone to ana, and what ana's phone
// knows when it comes.
type asking struct {
	w          *world.World
	ana, bob   *world.Account
	a, b1, b2  *world.Device
	m          *world.Message
	req        retry.Request
	key        identity.DeviceKey
	keys       *resealv1.AccountKeys
	mangle     bool
	part       [][]byte
	section    *world.State
	wall       identity.Time
	withBefore []client.Event
}

// TestHolderAnswersOnlyIf has a case for every condition of spec/retry.md,
// section 4, by what the engine knows.
func TestHolderAnswersOnlyIf(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, k *asking)
		wraps  int
	}{
		{"all holds", nil, 1},
		{"1: alarm about the key", func(t *testing.T, k *asking) {
			l := k.bob.List().List
			l.IssuedAt++
			k.withBefore = append(k.withBefore, client.Learned{Accounts: []*resealv1.AccountKeys{{AccountId: k.bob.ID[:], List: k.bob.Sign(l).Bytes()}}})
		}, 0},
		{"2: blocked", func(_ *testing.T, k *asking) {
			k.withBefore = append(k.withBefore, client.ChangeContact{Account: k.bob.ID, Change: client.Block})
		}, 0},
		{"3: device not in the list", func(t *testing.T, k *asking) { k.req.Device[0] ^= 1 }, 0},
		{"4: signed by another device", func(_ *testing.T, k *asking) { k.key = k.b1.Key }, 0},
		{"4: altered after it was signed", func(_ *testing.T, k *asking) { k.mangle = true }, 0},
		{"5: another certificate", func(_ *testing.T, k *asking) { k.req.Cert[0] ^= 1 }, 0},
		{"5: a certificate of another device", func(_ *testing.T, k *asking) { k.req.Cert = k.b1.First.Certificate.Hash() }, 0},
		{"5: a certificate that ran out", func(_ *testing.T, k *asking) { k.wall = k.w.Time().Add(91 * 24 * time.Hour) }, 0},
		{"5: an epoch below one seen", func(t *testing.T, k *asking) {
			e, err := client.FirstEpoch(k.bob.ID, k.b2.ID, k.b2.Key, 2, k.w.Time(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			k.keys.Certificates = append(k.keys.Certificates, e.Certificate.Bytes())
		}, 0},
		{"6: addressed to somebody else", func(_ *testing.T, k *asking) { k.req.To = identity.AccountID{7} }, 0},
		{"7: a message that went to another account", func(_ *testing.T, k *asking) {
			carol := k.w.Account("carol")
			carol.Device()
			k.req.Messages = []message.ID{sent(k.w, k.a, message.Keep, carol).ID()}
			k.section = k.a.State.Clone()
		}, 0},
		{"7: a message that nobody knows", func(_ *testing.T, k *asking) { k.req.Messages[0][9] ^= 1 }, 0},
		{"8: ended", func(_ *testing.T, k *asking) { k.withBefore = append(k.withBefore, client.Unsend{ID: k.m.ID()}) }, 0},
		{"8: expired by the holder's clock", func(_ *testing.T, k *asking) { k.wall = k.w.Time().Add(30 * 24 * time.Hour) }, 0},
		{"only the part that was dealt", func(_ *testing.T, k *asking) { k.part = [][]byte{make([]byte, 32)} }, 0},
		{"a part that the request does not ask for", func(_ *testing.T, k *asking) {
			id := sent(k.w, k.a, message.Keep, k.bob).ID()
			k.section, k.part = k.a.State.Clone(), [][]byte{id[:]}
		}, 0},
		{"a list that the holder lacks is learned", func(_ *testing.T, k *asking) {
			k.b2 = k.bob.Device()
			k.req.Device, k.key, k.req.Cert = k.b2.ID, k.b2.Key, k.b2.First.Certificate.Hash()
			l := k.bob.List()
			k.req.ListVersion, k.req.ListHash = l.List.Version, l.Hash()
			k.keys.List = l.Bytes()
			k.keys.Certificates = append(k.keys.Certificates, k.b2.First.Certificate.Bytes())
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			world.Run(t, 1, func(w *world.World) {
				k := newAsking(w)
				if c.change != nil {
					c.change(t, k)
				}
				if got := k.wraps(t); got != c.wraps {
					t.Fatalf("%d wraps, want %d", got, c.wraps)
				}
			})
		})
	}
}

func newAsking(w *world.World) *asking {
	k := &asking{w: w, wall: w.Time()}
	k.ana, k.bob, k.a, k.b1, k.b2 = pair(w)
	k.m = sent(w, k.a, message.Keep, k.bob)
	l := k.bob.List()
	k.key, k.section = k.b2.Key, k.a.State.Clone()
	k.req = retry.Request{
		Account: k.bob.ID, Device: k.b2.ID, Cert: k.b2.First.Certificate.Hash(), ListVersion: l.List.Version, ListHash: l.Hash(), To: k.ana.ID,
		Messages: []message.ID{k.m.ID()},
	}
	k.keys = &resealv1.AccountKeys{AccountId: k.bob.ID[:], List: l.Bytes(), Certificates: [][]byte{k.b1.First.Certificate.Bytes(), k.b2.First.Certificate.Bytes()}}
	return k
}

// engine is ana's phone anew, with what came before.
func (k *asking) engine(t *testing.T) *seen {
	t.Helper()
	s := &seen{section: k.section, clock: client.Clock{Wall: k.w.Time(), Server: k.w.Time()}}
	var err error
	if s.engine, err = client.Open(s.section, rand.Reader); err != nil {
		t.Fatal(err)
	}
	s.step(t, client.Connected{})
	s.step(t, client.Synced{Through: k.w.Time().Day() + 1})
	for _, ev := range k.withBefore {
		s.step(t, ev)
	}
	s.clock.Wall, s.clock.Server = k.wall, k.wall
	return s
}

func (k *asking) event(t *testing.T) client.Event {
	t.Helper()
	_, _ = rand.Read(k.req.Nonce[:])
	r, err := retry.SignRequest(k.req, k.key)
	if err != nil {
		t.Fatal(err)
	}
	b := r.Bytes()
	if k.mangle {
		b[len(b)-1] ^= 1
	}
	return client.Streamed{Event: &resealv1.EventsResponse{Event: &resealv1.EventsResponse_Retry{
		Retry: &resealv1.RetryRequested{Request: b, Requester: k.keys, MessageIds: k.part},
	}}}
}

func (k *asking) wraps(t *testing.T) int {
	t.Helper()
	return added(k.engine(t).step(t, k.event(t)))
}

func added(out client.Output) (n int) {
	for _, f := range out.Effects {
		if c, ok := f.(client.Call); ok {
			if q, ok := c.Request.(*resealv1.AddWrapsRequest); ok {
				n += len(q.Wraps)
			}
		}
	}
	return n
}

// A request that waits for its requester's keys is not judged because somebody
// else's have come.
func TestARequestWaitsForItsOwnRequestersKeys(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		k := newAsking(w)
		carol := w.Account("carol")
		carol.Device()
		k.b2 = k.bob.Device()
		l := k.bob.List()
		k.key, k.req.Device, k.req.Cert = k.b2.Key, k.b2.ID, k.b2.First.Certificate.Hash()
		k.req.ListVersion, k.req.ListHash = l.List.Version, l.Hash()
		keys := &resealv1.AccountKeys{AccountId: k.bob.ID[:], List: l.Bytes(), Certificates: [][]byte{k.b2.First.Certificate.Bytes()}}
		k.keys = nil
		s := k.engine(t)
		if n := added(s.step(t, k.event(t))); n != 0 {
			t.Fatalf("%d wraps for a device that is not known yet", n)
		}
		answer := func(a *world.Account, keys ...*resealv1.AccountKeys) client.Output {
			return s.step(t, client.Answered{
				Call:     client.Call{Request: &resealv1.GetAccountsRequest{Accounts: []*resealv1.KnownAccount{{AccountId: a.ID[:]}}}},
				Response: &resealv1.GetAccountsResponse{Accounts: keys},
			})
		}
		if n := added(answer(carol)); n != 0 {
			t.Fatalf("%d wraps", n)
		}
		if n := added(answer(k.bob, keys)); n != 1 {
			t.Fatalf("%d wraps once the keys are here", n)
		}
		if names := s.section.Names("asked/"); len(names) != 0 {
			t.Fatal("the request is kept")
		}
	})
}

func TestHolderCapsWhatItGivesOut(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		k := newAsking(w)
		s := k.engine(t)
		// One device, epoch after epoch.
		made := 0
		for epoch := uint64(1); epoch <= retry.MaxWrapsPerDevice+3; epoch++ {
			e := k.b2.First
			if epoch > 1 {
				var err error
				if e, err = client.FirstEpoch(k.bob.ID, k.b2.ID, k.b2.Key, epoch, w.Time(), rand.Reader); err != nil {
					t.Fatal(err)
				}
			}
			k.req.Cert = e.Certificate.Hash()
			k.keys.Certificates = append(k.keys.Certificates, e.Certificate.Bytes())
			out := s.step(t, k.event(t))
			made += added(out)
			// The same again: the same bytes, free of caps.
			if n := added(s.step(t, k.event(t))); n != added(out) {
				t.Fatalf("epoch %d: %d wraps again, %d at first", epoch, n, added(out))
			}
			k.confirm(t, s, out)
		}
		if made != retry.MaxWrapsPerDevice {
			t.Fatalf("%d wraps for one device", made)
		}
	})
}

// confirm lets the server take all wraps.
func (k *asking) confirm(t *testing.T, s *seen, out client.Output) {
	t.Helper()
	for _, f := range out.Effects {
		if c, ok := f.(client.Call); ok {
			if _, ok := c.Request.(*resealv1.AddWrapsRequest); ok {
				s.step(t, client.Answered{Call: c, Response: &resealv1.AddWrapsResponse{}})
			}
		}
	}
}

func TestHolderCapsOpenRequestsAndDevices(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		k := newAsking(w)
		s := k.engine(t)
		l := k.bob.List().List
		var open []client.Output
		answered := 0
		// List after list with other devices: what a stolen account key could do.
		for n := range retry.MaxDevicesPerMessage + 3 {
			d, err := identity.NewDeviceKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			id := identity.DeviceID{1, byte(n), 1}
			old := k.bob.Sign(l)
			l.Version, l.Prev, l.Devices = l.Version+1, old.Hash(), []identity.Device{{ID: id, Key: d.Public(), AddedAt: w.Time(), Class: identity.Native, How: identity.ByPassword}}
			e, err := client.FirstEpoch(k.bob.ID, id, d, 1, w.Time(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			signed := k.bob.Sign(l)
			k.keys = &resealv1.AccountKeys{AccountId: k.bob.ID[:], List: signed.Bytes(), Certificates: [][]byte{e.Certificate.Bytes()}}
			k.key, k.req.Device, k.req.Cert, k.req.ListVersion, k.req.ListHash = d, id, e.Certificate.Hash(), l.Version, signed.Hash()
			out := s.step(t, k.event(t))
			open = append(open, out)
			answered += added(out)
			if n == retry.MaxOpenPerMessage && answered != retry.MaxOpenPerMessage {
				t.Fatalf("%d answers under way at once", answered)
			}
			if n >= retry.MaxOpenPerMessage {
				for _, o := range open {
					k.confirm(t, s, o)
				}
				open = nil
				if added(out) == 0 { // asked again, after others were settled
					out = s.step(t, k.event(t))
					answered += added(out)
					k.confirm(t, s, out)
				}
			}
		}
		if answered != retry.MaxDevicesPerMessage {
			t.Fatalf("%d devices got the key", answered)
		}
	})
}
