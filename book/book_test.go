package book

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
)

// keyOf is a key for tests: a chain of them, each the committed next of the one
// before it.
func keyOf(account, n byte) (k identity.AccountPublic) {
	return sha256.Sum256([]byte{'k', account, n})
}

func pinOf(account, n byte, version uint64, hash byte) identity.Pin {
	next := keyOf(account, n+1)
	return identity.Pin{
		Account: identity.AccountID{account}, Key: keyOf(account, n), Next: sha256.Sum256(next[:]),
		Version: version, Hash: identity.ListHash{hash},
	}
}

// rival has the same key as pinOf, but commits to another next one.
func rival(account, n byte, version uint64) identity.Pin {
	p := pinOf(account, n, version, 1)
	p.Next[0] ^= 1
	return p
}

func encode(t testing.TB, b *Book) []byte {
	t.Helper()
	enc, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return enc
}

// merged are the outcomes of merging in every order and grouping, which must
// be one.
func merged(t *testing.T, books ...*Book) *Book {
	t.Helper()
	var want []byte
	var result *Book
	var permute func(done *Book, rest []*Book)
	permute = func(done *Book, rest []*Book) {
		if len(rest) == 0 {
			enc := encode(t, done)
			if want == nil {
				want, result = enc, done
			} else if !bytes.Equal(enc, want) {
				t.Fatal("the order of merging matters")
			}
			return
		}
		for i, b := range rest {
			others := append(append([]*Book{}, rest[:i]...), rest[i+1:]...)
			permute(Merge(done, b), others)
			permute(Merge(b, done), others)
			if len(others) > 0 {
				permute(Merge(done, Merge(b, others[0])), others[1:])
			}
		}
	}
	permute(new(Book), books)
	if again := encode(t, Merge(result, result)); !bytes.Equal(again, want) {
		t.Fatal("merging with itself changes a book")
	}
	return result
}

func with(cs ...Contact) *Book {
	b := new(Book)
	for _, c := range cs {
		b.Put(c)
	}
	return b
}

func contact(h handle.Handle, p identity.Pin) Contact { return new(Book).Add(h, p) }

func changed(c Contact, f func(*Contact)) Contact {
	c = c.clone()
	f(&c)
	return c
}

func TestHigherListWins(t *testing.T) {
	b := merged(t, with(contact("bob", pinOf(1, 0, 3, 3))), with(contact("bob", pinOf(1, 0, 9, 9))), with(contact("bob", pinOf(1, 0, 5, 5))))
	c, _ := b.Contact(identity.AccountID{1})
	if p, err := c.Current(); err != nil || p.Version != 9 {
		t.Errorf("current %d, %v", p.Version, err)
	}
}

func TestConflictUntilThePick(t *testing.T) {
	a, b := contact("bob", pinOf(1, 0, 3, 3)), contact("bob", pinOf(1, 10, 3, 3))
	m := merged(t, with(a), with(b))
	c, _ := m.Contact(identity.AccountID{1})
	if _, err := c.Current(); err != ErrConflict {
		t.Fatalf("two keys: %v", err)
	}
	if err := c.Follow(pinOf(1, 0, 4, 4)); err != ErrConflict {
		t.Errorf("followed in a conflict: %v", err)
	}
	picked := changed(c, func(c *Contact) { c.Choose(pinOf(1, 10, 3, 3)) })
	m = merged(t, with(a), with(b), with(picked))
	c, _ = m.Contact(identity.AccountID{1})
	if p, err := c.Current(); err != nil || p.Key != keyOf(1, 10) {
		t.Errorf("after the pick: %v", err)
	}
	other := changed(a, func(c *Contact) { c.Choose(pinOf(1, 0, 3, 3)) })
	m = merged(t, with(picked), with(other))
	if c, _ = m.Contact(identity.AccountID{1}); len(c.Pins) != 2 {
		t.Error("two different picks must be a conflict")
	}
}

// TestForks: the same list version with two hashes, and the same key with two
// commitments, are conflicts too.
func TestForks(t *testing.T) {
	for name, books := range map[string][]*Book{
		"list fork": {with(contact("bob", pinOf(1, 0, 3, 1))), with(contact("bob", pinOf(1, 0, 3, 2))), with(contact("bob", pinOf(1, 0, 3, 3)))},
		"next":      {with(contact("bob", pinOf(1, 0, 3, 1))), with(contact("bob", rival(1, 0, 7)))},
	} {
		c, _ := merged(t, books...).Contact(identity.AccountID{1})
		if _, err := c.Current(); err != ErrConflict || len(c.Pins) != 2 {
			t.Errorf("%s: %v, %d pins", name, err, len(c.Pins))
		}
	}
}

// TestSuccessionIsNoConflict: a device that has not heard of a rotation merges
// with one that has.
func TestSuccessionIsNoConflict(t *testing.T) {
	old := contact("bob", pinOf(1, 0, 3, 3))
	old.Verify(keyOf(1, 0))
	followed := changed(old, func(c *Contact) {
		if err := c.Follow(pinOf(1, 1, 4, 4)); err != nil {
			t.Error(err)
		}
	})
	late := contact("bob", pinOf(1, 1, 4, 4)) // met bob after the rotation, alone
	for name, books := range map[string][]*Book{
		"followed": {with(old), with(followed)}, "met late": {with(old), with(late)}, "all": {with(old), with(followed), with(late)},
	} {
		c, _ := merged(t, books...).Contact(identity.AccountID{1})
		if p, err := c.Current(); err != nil || p.Key != keyOf(1, 1) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !followed.IsVerified() {
		t.Error("a rotation keeps the verified mark")
	}
	reset := changed(old, func(c *Contact) { c.Choose(pinOf(1, 20, 1, 1)) })
	if reset.IsVerified() {
		t.Error("a reset must not keep the verified mark")
	}
	if err := old.Follow(rival(1, 0, 4)); err != ErrConflict {
		t.Errorf("another next key was followed: %v", err)
	}
}

func TestCycleOfNextKeysIsConflict(t *testing.T) {
	a, b := pinOf(1, 0, 3, 3), pinOf(1, 1, 4, 4)
	b.Next = sha256.Sum256(a.Key[:])
	c := contact("bob", a)
	c.Pins, _ = joinPins(c.Pins, []identity.Pin{b})
	if _, err := c.Current(); err != ErrConflict {
		t.Error(err)
	}
}

func TestCrowded(t *testing.T) {
	var books []*Book
	for i := range byte(MaxRivals + 1) {
		books = append(books, with(contact("bob", pinOf(1, 10*i, 3, 3))))
	}
	m := new(Book)
	for _, b := range books {
		m = Merge(m, b)
	}
	c, _ := m.Contact(identity.AccountID{1})
	if _, err := c.Current(); !c.Crowded || err != ErrConflict {
		t.Fatalf("crowded %v, %v", c.Crowded, err)
	}
	c.Choose(pinOf(1, 0, 3, 3))
	m = Merge(m, with(c))
	if c, _ = m.Contact(identity.AccountID{1}); c.Crowded {
		t.Error("the pick does not end it")
	}
	encode(t, m)
}

func TestBlocked(t *testing.T) {
	c := contact("bob", pinOf(1, 0, 3, 3))
	blocked := changed(c, func(c *Contact) { c.SetBlocked(true) })
	unblocked := changed(blocked, func(c *Contact) { c.SetBlocked(false) })
	tie := changed(unblocked, func(c *Contact) { c.Blocked = true })
	for name, v := range map[string]struct {
		books []*Book
		want  bool
	}{
		"later block": {[]*Book{with(c), with(blocked)}, true}, "later unblock": {[]*Book{with(blocked), with(unblocked), with(c)}, false},
		"tie":     {[]*Book{with(unblocked), with(tie)}, true},
		"removed": {[]*Book{with(c), with(changed(blocked, (*Contact).Remove))}, true},
	} {
		if c, _ := merged(t, v.books...).Contact(identity.AccountID{1}); c.Blocked != v.want {
			t.Errorf("%s: blocked %v", name, c.Blocked)
		}
	}
}

func TestRemoval(t *testing.T) {
	c := contact("bob", pinOf(1, 0, 3, 3))
	c.Accepted = true
	removed := changed(c, (*Contact).Remove)
	newer := changed(c, func(c *Contact) { c.SetHandle("bobby"); c.Verify(keyOf(1, 0)) })
	m := merged(t, with(c), with(removed), with(newer))
	got, ok := m.Contact(identity.AccountID{1})
	if !ok || !got.Removed || got.Handle != "" || len(got.Pins) != 0 || got.Accepted {
		t.Errorf("a removal leaves %+v", got)
	}
	if _, err := got.Current(); err != ErrNoKey {
		t.Error(err)
	}
	back := m.Add("bob", pinOf(1, 10, 1, 1))
	if back.Life != 1 || back.Accepted {
		t.Errorf("added again: %+v", back)
	}
	m = merged(t, m, with(removed), with(newer))
	if c, _ := m.Contact(identity.AccountID{1}); c.Removed || len(c.Pins) != 1 || c.Pins[0].Key != keyOf(1, 10) || c.IsVerified() {
		t.Errorf("the new life is mixed with the old: %+v", c)
	}
}

func TestVerifiedTie(t *testing.T) {
	c := contact("bob", pinOf(1, 0, 3, 3))
	a, b := changed(c, func(c *Contact) { c.Verify(keyOf(1, 0)) }), changed(c, func(c *Contact) { c.Verify(keyOf(1, 5)) })
	if c, _ := merged(t, with(a), with(b), with(a)).Contact(identity.AccountID{1}); c.IsVerified() || c.VerifiedCount != 1 {
		t.Error("two marks that disagree must be none")
	}
}

func TestRenamedHandle(t *testing.T) {
	b := new(Book)
	b.Add("bob", pinOf(1, 0, 3, 3))
	c := b.Add("bob", pinOf(2, 0, 1, 1))
	if !c.Renamed || len(b.Named("bob")) != 2 {
		t.Errorf("no warning: %+v", c)
	}
	m := merged(t, with(contact("bob", pinOf(1, 0, 3, 3))), with(contact("bob", pinOf(2, 0, 1, 1))))
	for _, c := range m.Contacts() {
		if !m.Ambiguous(c) {
			t.Error("no warning where two devices met two bobs")
		}
	}
	if only := with(contact("bob", pinOf(1, 0, 3, 3))); only.Ambiguous(only.Contacts()[0]) {
		t.Error("a warning without a reason")
	}
}

func TestSettings(t *testing.T) {
	a, b := new(Book), new(Book)
	if err := errors.Join(a.Set("theme", []byte("dark")), b.Set("theme", []byte("light")), b.Set("theme", []byte("blue"))); err != nil {
		t.Fatal(err)
	}
	m := merged(t, a, b)
	if v, ok := m.Setting("theme"); !ok || string(v) != "blue" {
		t.Errorf("%q", v)
	}
	if err := m.Set("theme", nil); err != nil {
		t.Fatal(err)
	}
	m = merged(t, m, a, b)
	if _, ok := m.Setting("theme"); ok || len(m.Settings()) != 1 {
		t.Error("a removed setting comes back")
	}
	for _, name := range []string{"", "A", "a b", "é", strings.Repeat("a", MaxSettingName+1)} {
		if err := a.Set(name, []byte("x")); err != ErrMalformed {
			t.Errorf("name %q: %v", name, err)
		}
	}
	if err := a.Set("a", make([]byte, MaxSettingValue+1)); err != ErrFull {
		t.Error(err)
	}
}

func TestCountsDoNotWrap(t *testing.T) {
	c := contact("bob", pinOf(1, 0, 3, 3))
	c.BlockedCount = 1<<32 - 1
	c.SetBlocked(true)
	if c.BlockedCount != 1<<32-1 {
		t.Error(c.BlockedCount)
	}
}

// TestValuesAreCopies: who holds a contact cannot change the book.
func TestValuesAreCopies(t *testing.T) {
	b := with(contact("bob", pinOf(1, 0, 3, 3)))
	before := encode(t, b)
	b.Contacts()[0].Pins[0].Version = 99
	c, _ := b.Contact(identity.AccountID{1})
	c.Pins[0].Version = 99
	m := Merge(b, new(Book))
	m.contacts[0].Pins[0].Version = 99
	if !bytes.Equal(encode(t, b), before) {
		t.Error("the book changed")
	}
}

// TestMeet: a pin that another device of the account knew by itself.
func TestMeet(t *testing.T) {
	key := func(n byte) (k identity.AccountPublic) { k[0] = n; return k }
	pin := func(k, next byte, version uint64) identity.Pin {
		return identity.Pin{Account: identity.AccountID{1}, Key: key(k), Next: key(next).Next(), Version: version, Hash: identity.ListHash{byte(version), k}}
	}
	has := pin(1, 2, 5)
	other := has
	other.Hash[1] = 9
	for _, c := range []struct {
		name string
		met  identity.Pin
		want identity.Pin // zero: a conflict
	}{
		{"the same", has, has},
		{"earlier, of the same key", pin(1, 2, 4), has},
		{"earlier, of another key", pin(7, 8, 4), has},
		{"later, of the same key", pin(1, 2, 6), pin(1, 2, 6)},
		{"later, of the next key", pin(2, 3, 6), pin(2, 3, 6)},
		{"later, of a key that nothing leads to", pin(7, 8, 6), identity.Pin{}},
		{"later, with another next key", pin(1, 9, 6), identity.Pin{}},
		{"of the same version, another list", other, identity.Pin{}},
		{"of the same version, another key", pin(7, 8, 5), identity.Pin{}},
	} {
		before := Contact{Account: has.Account, Pins: []identity.Pin{has}, Choice: 3, Verified: has.Key}
		k := before
		k.Meet(c.met)
		got, err := k.Current()
		if (err != nil) != (c.want == identity.Pin{}) || err == nil && got != c.want {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
		if err == nil && !k.IsVerified() {
			t.Errorf("%s: the verified mark did not go along", c.name)
		}
		// Whoever has the book of before comes to the same.
		m := mergeContacts(before, k)
		if merged, err2 := m.Current(); merged != got || (err2 == nil) != (err == nil) {
			t.Errorf("%s: merged with the book of before: %+v, %v", c.name, merged, err2)
		}
	}
	var none Contact
	none.Meet(has)
	if _, err := none.Current(); err == nil {
		t.Error("who has no pin has one now")
	}
}
