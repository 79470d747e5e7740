package reseal_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/internal/records"
)

// bring adds the keys of a capsule, and the server shares that they open, to what
// an attacker tries.
func (l *loot) bring(keys map[[32]byte]bool, c capsule.Capsule) {
	for _, k := range []interface{ Bytes() [32]byte }{c.Row, c.Book, c.Share, c.Recovery} {
		keys[k.Bytes()] = true
	}
	for row, v := range l.rows {
		a, k, ok := accountOf(row)
		if !ok || !strings.HasPrefix(k, string(records.SharesAll)) {
			continue
		}
		sh, err := records.ParseShares(v)
		if err != nil {
			panic(err)
		}
		all := []records.Share{sh.Opened}
		if sh.New != nil {
			all = append(all, *sh.New)
		}
		for _, one := range all {
			if s, err := capsule.OpenShare(one.Sealed, c.Share, a, capsule.RowID([]byte(k[len(records.SharesAll):])), one.ID); err == nil {
				keys[s.Value.Bytes()] = true
			}
		}
	}
}

// ciphertext tells the files of messages, by their names.
func ciphertext(name string) bool { return len(name) >= 64 }

// same are pieces of bytes that some of the thief's files and the server's
// records have in common, and that are more than a few values over and over.
func (l *loot) same(which func(name string) bool) (all [][]byte) {
	const size = 8
	there := map[[size]byte]bool{}
	for k, v := range l.rows {
		for _, b := range [][]byte{[]byte(k), v} {
			for i := 0; i+size <= len(b); i++ {
				there[[size]byte(b[i:])] = true
			}
		}
	}
	for _, b := range l.blobs {
		for i := 0; i+size <= len(b); i++ {
			there[[size]byte(b[i:])] = true
		}
	}
	for name, b := range l.files {
		if !which(name) {
			continue
		}
		b = append([]byte(name), b...)
		for i := 0; i+size <= len(b); i++ {
			w := b[i : i+size]
			sorted := slices.Clone(w)
			slices.Sort(sorted)
			if there[[size]byte(w)] && len(slices.Compact(sorted)) > 4 {
				all = append(all, w)
			}
		}
	}
	return all
}

// bare is a phone with few decoys: every key is tried at each of them.
func (w *world) bare() *reseal.Installation {
	w.t.Helper()
	for {
		in := w.phone()
		b, err := os.ReadFile(one(w.t, in.Dir(), "vault"))
		if err != nil {
			w.t.Fatal(err)
		}
		if l := (loot{files: map[string][]byte{"vault": b}}); len(l.slots()) <= 2 {
			return in
		}
	}
}

// The folder of a phone where two accounts are logged out, all records and files
// of the server, and the server's key file: each alone and all together, with
// every key that is stored anywhere tried as every key that there is. Without a
// password nothing opens, and nothing tells which section is whose. With the
// password of one account exactly that account's section opens, to thief and
// server together; neither can do it alone.
func TestStolenFolderAndServer(t *testing.T) {
	w := newWorld(t)
	_, carl := w.signUp("carl")
	phone := w.bare()
	for _, who := range []string{"ana", "ben"} {
		a, _, err := phone.SignUp(ctx(t), who, []byte(secret+who))
		if err != nil {
			t.Fatal(err)
		}
		file := bytes.Repeat([]byte(who), 8000)
		sent, err := carl.Send(ctx(t), reseal.Outgoing{To: []string{who}, File: bytes.NewReader(file), Size: int64(len(file)), Name: "x", Policy: reseal.Keep})
		if err != nil {
			t.Fatal(err)
		}
		if _, body := open(t, a, sent[0].Message); !bytes.Equal(body, file) {
			t.Fatal("another file")
		}
		if err := a.Settle(ctx(t)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	thief, server, both := w.steal(phone.Dir())
	if n := len(both.slots()); n < 3 || len(both.rows) < 10 || len(both.blobs) < 2 {
		t.Fatalf("%d slots, %d records, %d blobs", n, len(both.rows), len(both.blobs))
	}

	// Without a password.
	stored := both.windows()
	for who, l := range map[string]loot{"thief": thief, "server": server, "both": both} {
		keys := stored
		if who != "both" {
			keys = l.windows()
		}
		g := l.derive(keys)
		t.Logf("%s: %d keys tried", who, len(keys))
		if !g.nothing() {
			t.Errorf("%s without a password: %+v", who, g)
		}
	}
	if found := both.same(func(name string) bool { return !ciphertext(name) }); len(found) > 0 {
		t.Errorf("%d pieces that folder and server have in common, the first %x", len(found), found[0])
	}
	// But the encrypted files are the server's own, which shows that same would
	// find more: SECURITY.md, "All together".
	if len(both.same(ciphertext)) == 0 {
		t.Error("nothing is alike")
	}
	if _, ok := both.guess(t, "ana", secret+"ben"); ok {
		t.Error("ben's password opens ana's capsule")
	}
	if _, ok := thief.guess(t, "ana", secret+"ana"); ok {
		t.Error("a thief without the server tries passwords")
	}

	// With one password: it is known, or guessed as anybody can who has both.
	opened := map[string]int{}
	for _, who := range []string{"ana", "ben"} {
		c, ok := both.guess(t, who, secret+who)
		if !ok {
			t.Fatalf("%s's password is not the one", who)
		}
		keys := map[[32]byte]bool{}
		both.bring(keys, c)
		if g := server.derive(keys); len(g.sections) > 0 || len(g.links) > 0 || g.shares != 1 {
			t.Errorf("the server with %s's password: %+v", who, g)
		}
		// The thief with whatever the capsule holds, and without the share.
		lacks := map[[32]byte]bool{c.Row.Bytes(): true, c.Book.Bytes(): true, c.Share.Bytes(): true, c.Recovery.Bytes(): true}
		if g := thief.derive(lacks); len(g.sections) > 0 {
			t.Errorf("the thief with %s's capsule and no share: %+v", who, g)
		}
		g := both.derive(keys)
		if len(g.sections) != 1 || len(g.links) != 1 || g.shares != 1 || !g.capsules[who] || len(g.capsules) != 1 {
			t.Fatalf("both with %s's password: %+v", who, g)
		}
		at := g.sections[0]
		opened[who] = at
		id, err := records.ParseAccount(both.rows["H/"+who+"\x00"+string(records.HandleID)])
		if err != nil {
			t.Fatal(err)
		}
		if a, _, ok := accountOf(g.links[at]); !ok || a != id {
			t.Errorf("%s's section is linked to %q", who, g.links[at])
		}
		// With every stored key besides, it is still that one section.
		if who == "ben" {
			continue // one is enough
		}
		both.bring(stored, c)
		if g := both.derive(stored); !slices.Equal(g.sections, []int{at}) || len(g.links) != 1 || g.shares != 1 || len(g.capsules) != 1 {
			t.Errorf("both with %s's password and all they have: %+v", who, g)
		}
	}
	if opened["ana"] == opened["ben"] {
		t.Error("one section for two accounts")
	}
}
