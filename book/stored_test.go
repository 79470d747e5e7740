package book

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/identity"
)

var (
	bookKey = capsule.BookKeyOf([32]byte{1})
	account = identity.AccountID{7}
)

func TestStored(t *testing.T) {
	small := with(contact("bob", pinOf(1, 0, 3, 3)))
	big := new(Book)
	for i := range 1200 {
		p := pinOf(1, 0, 3, 3)
		p.Account = identity.AccountID{byte(i >> 8), byte(i), 1}
		big.Put(Contact{Account: p.Account, Handle: "someone", Pins: []identity.Pin{p}})
	}
	for name, b := range map[string]*Book{"empty": new(Book), "small": small, "big": big} {
		s, err := b.Store(rand.Reader, bookKey, account, 5)
		if err != nil {
			t.Fatal(err)
		}
		got, hash, err := Load(bookKey, account, 5, s.Parts)
		if err != nil || hash != s.Hash || !bytes.Equal(encode(t, got), encode(t, b)) {
			t.Errorf("%s: %v", name, err)
		}
		size := 0
		for _, p := range s.Parts {
			if size += len(p) - partHead; len(p) > MaxPart {
				t.Errorf("%s: a part of %d", name, len(p))
			}
		}
		if (size-sealOver)%padBlock != 0 {
			t.Errorf("%s: %d bytes tell more than a step", name, size)
		}
	}

	s, err := big.Store(rand.Reader, bookKey, account, 5)
	if err != nil || len(s.Parts) < 3 {
		t.Fatal(err, len(s.Parts))
	}
	again, err := big.Store(rand.Reader, bookKey, account, 5)
	if err != nil {
		t.Fatal(err)
	}
	next, err := big.Store(rand.Reader, bookKey, account, 6)
	if err != nil {
		t.Fatal(err)
	}
	part := func(i int, p []byte) [][]byte {
		all := append([][]byte{}, s.Parts...)
		all[i] = p
		return all
	}
	flipped := func(i, at int) []byte {
		p := bytes.Clone(s.Parts[i])
		p[at] ^= 1
		return p
	}
	swapped := part(0, s.Parts[1])
	swapped[1] = s.Parts[0]
	for name, c := range map[string]struct {
		version uint64
		parts   [][]byte
	}{
		"none": {5, nil}, "too many": {5, make([][]byte, MaxParts+1)}, "other version": {6, s.Parts}, "version 0": {0, s.Parts},
		"last missing": {5, s.Parts[:len(s.Parts)-1]}, "one more": {5, append(append([][]byte{}, s.Parts...), s.Parts[0])},
		"swapped": {5, swapped}, "twice": {5, part(1, s.Parts[0])},
		"of another writing": {5, part(1, again.Parts[1])}, "of the next version": {5, part(1, next.Parts[1])},
		"body": {5, part(1, flipped(1, 100))}, "index": {5, part(1, flipped(1, 11))}, "count": {5, part(0, flipped(0, 13))},
		"hash": {5, part(0, flipped(0, 20))}, "short": {5, part(0, s.Parts[0][:MaxPart-1])}, "empty part": {5, part(0, s.Parts[0][:partHead])},
		"long": {5, part(0, append(bytes.Clone(s.Parts[0]), 0))}, "no head": {5, [][]byte{{0}}},
	} {
		if b, _, err := Load(bookKey, account, c.version, c.parts); err != ErrOpen || b != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := Load(capsule.BookKeyOf([32]byte{2}), account, 5, s.Parts); err != ErrOpen {
		t.Errorf("other key: %v", err)
	}
	if _, _, err := Load(bookKey, identity.AccountID{8}, 5, s.Parts); err != ErrOpen {
		t.Errorf("other account: %v", err)
	}
	if _, _, err := Load(bookKey, account, 5, part(0, flipped(0, 0))); err != ErrVersion {
		t.Errorf("newer part: %v", err)
	}
	if _, err := small.Store(rand.Reader, bookKey, account, 0); err != ErrMalformed {
		t.Errorf("version 0: %v", err)
	}
}

// TestServerCannotRelabel: parts cut anew under another version have the right
// hash, and still do not open.
func TestServerCannotRelabel(t *testing.T) {
	s, err := new(Book).Store(rand.Reader, bookKey, account, 5)
	if err != nil {
		t.Fatal(err)
	}
	sealed, _, err := join(5, s.Parts)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(bookKey, account, 6, split(6, sealed).Parts); err != ErrOpen {
		t.Errorf("an old book passes as a new one: %v", err)
	}
	if _, _, err := Load(bookKey, account, 5, split(5, append([]byte{0, 2}, sealed[2:]...)).Parts); err != ErrVersion {
		t.Errorf("newer format: %v", err)
	}
}

func TestLimits(t *testing.T) {
	b := new(Book)
	for i := range MaxContacts + 1 {
		b.contacts = append(b.contacts, Contact{Account: identity.AccountID{1, byte(i >> 8), byte(i)}, Removed: true})
	}
	if _, err := b.Encode(); err != ErrFull {
		t.Errorf("%d contacts: %v", len(b.contacts), err)
	}
	b.contacts = b.contacts[:MaxContacts]
	if got, err := Parse(encode(t, b)); err != nil || len(got.contacts) != MaxContacts {
		t.Errorf("%d contacts: %v", MaxContacts, err)
	}
	for i := range b.contacts {
		c := contact("someone", pinOf(1, 0, 3, 3))
		c.Account, c.Pins[0].Account = b.contacts[i].Account, b.contacts[i].Account
		b.contacts[i] = c
	}
	if _, err := b.Encode(); err != ErrFull {
		t.Errorf("1.5 MiB: %v", err)
	}
	if _, err := Parse(make([]byte, MaxEncoded+1)); err != ErrFull {
		t.Error(err)
	}
	b.contacts = b.contacts[:6200]
	s, err := b.Store(rand.Reader, bookKey, account, 1)
	if err != nil || len(s.Parts) > MaxParts {
		t.Errorf("6200 contacts: %v, %d parts", err, len(s.Parts))
	}
}
