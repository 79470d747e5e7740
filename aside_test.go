package reseal_test

import (
	"os"
	"slices"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
)

// sealed are the bodies of the sections in a folder's file that may be somebody's,
// with the mark and the local share that belong to them, by slot nonce.
func sealed(t testing.TB, dir string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(one(t, dir, "vault"))
	if err != nil {
		t.Fatal(err)
	}
	l := loot{files: map[string][]byte{"vault": b}}
	all := map[string]string{}
	for _, s := range l.slots() {
		all[string(s.nonce)] = string(s.mark) + string(s.local) + string(s.body)
	}
	return all
}

// A server that says once that it has no share makes the section go aside, not
// away: what was in the file then is in it still, in the same bytes, and once the
// new device is removed the old one is back with everything.
func TestServerThatHasNoShareOnce(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	l := w.liar(t)
	phone, ben := l.signUp("ben")
	first := ben.Device()
	id := keep(t, ana, "before", "ben")
	awaitState(t, ben, id, client.IsReady)
	logOut := func(a *reseal.Account, o reseal.LogOutOptions) {
		t.Helper()
		if _, err := a.LogOut(ctx(t), o); err != nil {
			t.Fatal(err)
		}
	}
	logIn := func(in *reseal.Installation) (*reseal.Account, reseal.Login) {
		t.Helper()
		a, how, err := in.LogIn(ctx(t), "ben", []byte(secret+"ben"))
		if err != nil {
			t.Fatal(err)
		}
		return a, how
	}
	logOut(ben, reseal.LogOutOptions{})
	if err := phone.Close(); err != nil {
		t.Fatal(err)
	}
	before, shares := sealed(t, phone.Dir()), w.shares(t, ben)
	l.tell(lies{answered: func(_ string, _, resp proto.Message) error {
		if m, ok := resp.(*resealv1.GetSharesResponse); ok {
			m.Shares = nil
		}
		return nil
	}})
	in := l.behind(phone.Dir())
	second, how := logIn(in)
	if how != (reseal.Login{NewDevice: true, SetAside: true}) || second.Device() == first {
		t.Errorf("login: %+v", how)
	}
	l.tell(lies{})
	kept := func(when string) {
		t.Helper()
		for row, share := range shares {
			if w.shares(t, ben)[row] != share {
				t.Errorf("%s: the old section's share is another one", when)
			}
		}
		now := sealed(t, in.Dir())
		for nonce, was := range before {
			if now[nonce] != was {
				t.Errorf("%s: a section that was in the file is overwritten", when)
			}
		}
	}
	kept("after the lie")
	// Where the new device's section opens, it is the one, and the user is told.
	logOut(second, reseal.LogOutOptions{})
	again, how := logIn(in)
	if how != (reseal.Login{AsideOpens: true}) || again.Device() != second.Device() {
		t.Errorf("the new device: %+v", how)
	}
	devices, err := again.Devices(ctx(t))
	if err != nil || !slices.ContainsFunc(devices, func(d reseal.Device) bool { return d.ID == first }) {
		t.Errorf("devices: %+v, %v", devices, err)
	}
	kept("after another login")
	logOut(again, reseal.LogOutOptions{Remove: true, Password: []byte(secret + "ben")})
	kept("after the removal of the new device")
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}

	// The old one comes back, whatever dies meanwhile.
	dir := in.Dir()
	for _, method := range []string{"GetShares", "PutShare", "ConfirmShare", "BindSession"} {
		for _, after := range []bool{false, true} {
			snapshot, made := crashAt(t, l, dir, method, after)
			if !made {
				t.Fatalf("a login without %s", method)
			}
			dir = snapshot
		}
	}
	in = l.behind(dir)
	old, how := logIn(in)
	if how.NewDevice || how.AsideOpens || old.Device() != first {
		t.Errorf("the old section: %+v", how)
	}
	if _, body := open(t, old, id); string(body) != "before" || old.Counters().Retries != 0 {
		t.Errorf("got %q with %d retries", body, old.Counters().Retries)
	}
	logOut(old, reseal.LogOutOptions{})
	if old, how = logIn(in); how != (reseal.Login{}) || old.Device() != first {
		t.Errorf("the old section, once more: %+v", how)
	}
}

// The section of a device that was removed stays closed, though a lying server
// has kept its share and serves it.
func TestRemovedSectionStaysAside(t *testing.T) {
	w := newWorld(t)
	_, tablet := w.signUp("ben")
	l := w.liar(t)
	in := l.behind(t.TempDir())
	var mu sync.Mutex
	stood := map[string][]*resealv1.Share{} // the first that were served of each row
	lie := func(withhold bool) {
		l.tell(lies{answered: func(_ string, req, resp proto.Message) error {
			m, ok := resp.(*resealv1.GetSharesResponse)
			if !ok {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			row := string(req.(*resealv1.GetSharesRequest).Row)
			if withhold {
				stood[row], m.Shares = m.Shares, nil
			} else if len(stood[row]) > 0 {
				m.Shares = stood[row]
			}
			return nil
		}})
	}
	logIn := func() (*reseal.Account, reseal.Login) {
		t.Helper()
		a, how, err := in.LogIn(ctx(t), "ben", []byte(secret+"ben"))
		if err != nil {
			t.Fatal(err)
		}
		return a, how
	}
	first, _ := logIn()
	if _, err := first.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	lie(true)
	second, how := logIn()
	if !how.SetAside || !how.NewDevice || len(stood) != 1 {
		t.Fatalf("login: %+v, %d rows", how, len(stood))
	}
	if err := tablet.RemoveDevice(ctx(t), first.Device(), []byte(secret+"ben")); err != nil {
		t.Fatal(err)
	}
	lie(false)
	if _, err := second.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	if second, how = logIn(); how != (reseal.Login{}) {
		t.Errorf("the new device: %+v", how)
	}
	if _, err := second.LogOut(ctx(t), reseal.LogOutOptions{Remove: true, Password: []byte(secret + "ben")}); err != nil {
		t.Fatal(err)
	}
	if a, how := logIn(); how != (reseal.Login{NewDevice: true}) || a.Device() == first.Device() {
		t.Errorf("login: %+v", how)
	}
}
