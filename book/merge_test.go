package book

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
)

// draw makes books that share few accounts, keys and counts, so that ties,
// conflicts, forks and successions are frequent.
func draw(t *rapid.T, label string) *Book {
	b := new(Book)
	small := rapid.Uint32Range(0, 2)
	for range rapid.IntRange(0, 3).Draw(t, label) {
		a := rapid.ByteRange(1, 2).Draw(t, "account")
		c := Contact{
			Account: identity.AccountID{a}, Blocked: rapid.Bool().Draw(t, "blocked"), BlockedCount: small.Draw(t, "blocked count"),
			Life: small.Draw(t, "life"), Removed: rapid.IntRange(0, 4).Draw(t, "removed") == 0,
		}
		if !c.Removed {
			c.Handle = rapid.SampledFrom([]handle.Handle{"", "bob", "bobby"}).Draw(t, "handle")
			c.HandleCount, c.Choice, c.VerifiedCount = small.Draw(t, "handle count"), small.Draw(t, "choice"), small.Draw(t, "verified count")
			if rapid.Bool().Draw(t, "verified") {
				c.Verified = keyOf(a, rapid.ByteRange(0, 1).Draw(t, "verified key"))
			}
			c.Accepted, c.Renamed = rapid.Bool().Draw(t, "accepted"), rapid.Bool().Draw(t, "renamed")
			var pins []identity.Pin
			for range rapid.IntRange(0, 9).Draw(t, "pins") {
				p := pinOf(a, rapid.ByteRange(0, 6).Draw(t, "key"), rapid.Uint64Range(1, 3).Draw(t, "version"), rapid.ByteRange(0, 3).Draw(t, "hash"))
				if rapid.Bool().Draw(t, "rival") {
					p.Next[0] ^= 1
				}
				pins = append(pins, p)
			}
			c.Pins, c.Crowded = joinPins(pins, nil)
		}
		b.Put(c)
	}
	for range rapid.IntRange(0, 2).Draw(t, "settings") {
		name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			if err := b.Set(name, rapid.SliceOfN(rapid.Byte(), 0, 2).Draw(t, "value")); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b
}

func enc(t *rapid.T, b *Book) []byte {
	e, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := draw(t, "a"), draw(t, "b"), draw(t, "c")
		before := [][]byte{enc(t, a), enc(t, b), enc(t, c)}
		if !bytes.Equal(enc(t, Merge(a, b)), enc(t, Merge(b, a))) {
			t.Fatal("not commutative")
		}
		if !bytes.Equal(enc(t, Merge(Merge(a, b), c)), enc(t, Merge(a, Merge(b, c)))) {
			t.Fatal("not associative")
		}
		if !bytes.Equal(enc(t, Merge(a, a)), before[0]) {
			t.Fatal("not idempotent")
		}
		if !bytes.Equal(enc(t, Merge(a, new(Book))), before[0]) {
			t.Fatal("the empty book is not neutral")
		}
		if m := Merge(a, b); !bytes.Equal(enc(t, Merge(m, a)), enc(t, m)) {
			t.Fatal("a merge does not contain what was merged")
		}
		for i, x := range []*Book{a, b, c} {
			if !bytes.Equal(enc(t, x), before[i]) {
				t.Fatal("merging changed its input")
			}
		}
	})
}

// TestMergeAfterChange: what a device changed on top of a merge survives the
// next merge with what was merged.
func TestMergeAfterChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		m := Merge(a, b)
		for _, c := range m.Contacts() {
			if c.Removed {
				c = m.Add("carol", pinOf(c.Account[0], 0, 1, 1))
			}
			was := c.Blocked
			c.SetBlocked(!was)
			c.SetHandle("dave")
			c.Verify(keyOf(c.Account[0], 30))
			c.Choose(pinOf(c.Account[0], 30, 1, 1))
			m.Put(c)
			got, _ := Merge(Merge(a, m), b).Contact(c.Account)
			if p, err := got.Current(); err != nil || p.Key != keyOf(c.Account[0], 30) || got.Blocked == was || got.Handle != "dave" || !got.IsVerified() {
				t.Fatalf("lost a change: %+v", got)
			}
			c.Remove()
			m.Put(c)
			if got, _ := Merge(b, Merge(a, m)).Contact(c.Account); !got.Removed {
				t.Fatalf("lost a removal: %+v", got)
			}
		}
	})
}

func TestEncodeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Merge(draw(t, "a"), draw(t, "b"))
		e := enc(t, b)
		got, err := Parse(e)
		if err != nil || !bytes.Equal(enc(t, got), e) {
			t.Fatal("round trip", err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(encode(f, new(Book)))
	f.Add(encode(f, with(contact("bob", pinOf(1, 0, 3, 3)))))
	f.Fuzz(func(t *testing.T, e []byte) {
		b, err := Parse(e)
		if err != nil {
			return
		}
		if again := encode(t, b); !bytes.Equal(again, e) {
			t.Fatalf("%x is read, but written as %x", e, again)
		}
		if !bytes.Equal(encode(t, Merge(b, b)), e) {
			t.Fatal("merging with itself changes a book")
		}
	})
}

func FuzzLoad(f *testing.F) {
	s, err := with(contact("bob", pinOf(1, 0, 3, 3))).Store(bytes.NewReader(make([]byte, 12)), bookKey, account, 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Parts[0], []byte(nil))
	f.Add(s.Parts[0][:100], s.Parts[0][100:])
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, parts := range [][][]byte{{a}, {a, b}} {
			if _, hash, err := Load(bookKey, account, 1, parts); err == nil && hash != s.Hash {
				t.Error("a forged book opens")
			}
		}
	})
}
