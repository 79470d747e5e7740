package reseal_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
)

// The folder of a phone where ana is logged in and ben is logged out, and all of
// the server. While ana's session lives, a thief without the server opens nothing,
// nor does the server, and both together open exactly ana's section and its
// journal, by the session record; no capsule, and not ben's. Once the session has
// ended, what was copied before opens nothing with the server either.
func TestStolenFolderOfALoggedInPhone(t *testing.T) {
	w := newWorld(t)
	_, carl := w.signUp("carl")
	phone := w.bare()
	signUp := func(who string) *reseal.Account {
		t.Helper()
		a, _, err := phone.SignUp(ctx(t), who, []byte(secret+who))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	ben := signUp("ben")
	if _, err := ben.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	ana := signUp("ana")
	awaitState(t, ana, text(t, carl, "a secret", "ana"), client.IsReady)
	settled(t, ana)
	if err := phone.Close(); err != nil {
		t.Fatal(err)
	}
	thief, server, both := w.steal(phone.Dir())
	one(t, phone.Dir(), "journal-")
	for who, l := range map[string]loot{"thief": thief, "server": server} {
		keys := l.windows()
		t.Logf("%s: %d keys tried", who, len(keys))
		if g := l.derive(keys); !g.nothing() {
			t.Errorf("%s: %+v", who, g)
		}
	}
	// The record needs the server's half; what it gives opens one section.
	keys := server.windows()
	records := loot{files: map[string][]byte{}, rows: nil}
	for name, b := range both.files {
		if strings.HasPrefix(name, "session-") {
			records.files[name] = b
		}
	}
	g := records.derive(keys)
	if len(g.sessions) != 1 {
		t.Fatalf("%d session records open", len(g.sessions))
	}
	slots := both.slots()
	for nonce, share := range g.sessions {
		at := slices.IndexFunc(slots, func(s slot) bool { return string(s.nonce) == nonce })
		for k := range thief.windows() {
			keys[k] = true
		}
		keys[share] = true
		g := both.derive(keys)
		if !slices.Equal(g.sections, []int{at}) || !slices.Equal(g.journals, []int{at}) {
			t.Errorf("sections %v and journals %v open, not those of slot %d", g.sections, g.journals, at)
		}
		if len(g.links) > 0 || len(g.capsules) > 0 || g.shares > 0 || len(g.sessions) != 1 {
			t.Errorf("both: %+v", g)
		}
	}

	// The session ends, and nobody has been at the phone since.
	elsewhere, _ := w.logIn(w.phone(), "ana")
	devices, err := elsewhere.Devices(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	ended := 0
	for _, d := range devices {
		for _, s := range d.Sessions {
			if d.ID == ana.Device() {
				if err := elsewhere.EndSession(ctx(t), s.ID); err != nil {
					t.Fatal(err)
				}
				ended++
			}
		}
	}
	_, later, _ := w.steal(phone.Dir())
	if g := records.derive(later.windows()); ended != 1 || len(g.sessions) != 0 {
		t.Errorf("%d sessions ended, and the record opens: %+v", ended, g)
	}
}
