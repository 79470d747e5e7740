package client_test

import (
	"crypto/rand"
	"strings"
	"testing"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// joined is a list after a rotation, with a device that came since, and what the
// server has of both.
func joined(t *testing.T, a *world.Account) (rotation, l *identity.SignedList, cert *identity.SignedCertificate) {
	t.Helper()
	rotation, key := rotated(t, a)
	id, err := identity.NewDeviceID(rand.Reader)
	must(t, err)
	device, err := identity.NewDeviceKey(rand.Reader)
	must(t, err)
	epoch, err := client.FirstEpoch(a.ID, id, device, 1, a.W.Time(), rand.Reader)
	must(t, err)
	unsigned, err := identity.AddDevice(rotation, identity.Device{
		ID: id, Key: device.Public(), AddedAt: a.W.Time(), Class: identity.Native, How: identity.ByPassword,
	}, a.W.Time())
	must(t, err)
	l, err = identity.SignList(unsigned, key)
	must(t, err)
	return rotation, l, epoch.Certificate
}

// What the second look finds behind a rotation that this device has not seen is
// wrapped for once the rotation is here.
func TestWrapsAreAddedAfterARotationThatWasMissed(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, bob, a, _, _ := pair(w)
		a.Send(message.Once, bob)
		s := &seen{section: a.State.Clone(), clock: a.Clock()}
		var err error
		s.engine, err = client.Open(s.section, rand.Reader)
		must(t, err)
		var send *client.Call
		for _, f := range s.step(t, client.Connected{}).Effects {
			if c, ok := f.(client.Call); ok && strings.HasPrefix(c.Key, "send/") {
				send = &c
			}
		}
		if send == nil {
			t.Fatal("nothing is sent")
		}
		rotation, l, cert := joined(t, bob)
		keys := keysOf(bob, l)
		keys.Certificates = append(keys.Certificates, cert.Bytes())
		if n := added(s.step(t, client.Answered{Call: *send, Response: &resealv1.SendResponse{Stale: []*resealv1.AccountKeys{keys}}})); n != 0 {
			t.Fatalf("%d wraps by a list that does not follow", n)
		}
		keys.Rotations = [][]byte{rotation.Bytes()}
		answer := client.Answered{
			Call:     client.Call{Request: &resealv1.GetAccountsRequest{Accounts: []*resealv1.KnownAccount{{AccountId: bob.ID[:]}}}},
			Response: &resealv1.GetAccountsResponse{Accounts: []*resealv1.AccountKeys{keys}},
		}
		if n := added(s.step(t, answer)); n != 1 {
			t.Fatalf("%d wraps once the rotation is here", n)
		}
		if n := added(s.step(t, answer)); n != 0 || len(s.section.Names("lacks/")) != 0 {
			t.Fatalf("%d wraps again", n)
		}
	})
}
