package reseal_test

import (
	"crypto/rand"
	"errors"
	"testing"

	"github.com/reseal/reseal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
)

// The number of a key that raised an alarm can be compared before it is trusted.
func TestTrustTheKeyThatWasCompared(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	text(t, ana, "hello", "ben")
	before, err := ana.Contact(ctx(t), "ben")
	if err != nil || len(before.Offered) != 0 {
		t.Fatalf("%+v, %v", before, err)
	}
	key, err1 := identity.NewAccountKey(rand.Reader)
	next, err2 := identity.NewAccountKey(rand.Reader)
	device, err3 := identity.NewDeviceKey(rand.Reader)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	entry := identity.Device{ID: identity.DeviceID{9}, Key: device.Public(), AddedAt: identity.TimeOf(w.now()), Class: identity.Native, How: identity.ByPassword}
	l := identity.FirstList(ben.ID(), key.Public(), next.Public().Next(), entry, identity.TimeOf(w.now()))
	l.Version, l.Prev = 5, identity.ListHash{1}
	signed, err := identity.SignList(l, key)
	if err != nil {
		t.Fatal(err)
	}
	id := ben.ID()
	keys := &resealv1.AccountKeys{AccountId: id[:], Handle: "ben", List: signed.Bytes()}
	if err := reseal.Step(ana, client.Learned{Accounts: []*resealv1.AccountKeys{keys}}); err != nil {
		t.Fatal(err)
	}
	alarm, err := ana.Contact(ctx(t), "ben")
	if err != nil || alarm.State != "alarm" || alarm.SafetyNumber != before.SafetyNumber || len(alarm.Offered) != 1 {
		t.Fatalf("%+v, %v", alarm, err)
	}
	if o := alarm.Offered[0]; o.Key != key.Public() || len(o.SafetyNumber) != 71 || o.SafetyNumber == before.SafetyNumber {
		t.Fatalf("%+v", o)
	}
	if err := ana.Trust(ctx(t), "ben", next.Public()); !errors.Is(err, reseal.ErrKeyChanged) {
		t.Fatal(err)
	}
	if err := ana.Trust(ctx(t), "ben", alarm.Offered[0].Key); err != nil {
		t.Fatal(err)
	}
	after, err := ana.Contact(ctx(t), "ben")
	if err != nil || after.State != "known" || after.SafetyNumber != alarm.Offered[0].SafetyNumber || len(after.Offered) != 0 {
		t.Fatalf("%+v, %v", after, err)
	}
}
