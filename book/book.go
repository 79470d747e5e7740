package book

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
)

// Limits of a book.
const (
	// MaxContacts is the most contacts, removed ones included.
	MaxContacts = 10_000
	// MaxSettings is the most settings, removed ones included.
	MaxSettings = 256
	// MaxSettingName is the longest name of a setting, bytes.
	MaxSettingName = 64
	// MaxSettingValue is the longest value of a setting, bytes.
	MaxSettingValue = 1024
)

var (
	// ErrMalformed is returned for bytes that are no book, and for a book that
	// has no encoding because a field is out of range.
	ErrMalformed = errors.New("book: malformed book")
	// ErrVersion is returned for a book of a newer format.
	ErrVersion = errors.New("book: book of a newer version")
	// ErrFull is returned when a book exceeds a limit.
	ErrFull = errors.New("book: book is full")
	// ErrConflict is returned for a contact with more than one key: nothing is
	// sent to it and nothing of it is shown until the user picked one.
	ErrConflict = errors.New("book: more than one key for this account")
	// ErrNoKey is returned for a contact without a key, and for a removed one.
	ErrNoKey = errors.New("book: no key for this account")
)

// Book is the contacts and settings of one account. The zero value is an empty
// book.
type Book struct {
	contacts []Contact // by account id, each once
	settings []Setting // by name, each once
}

// Setting is a named value. A removed one stays, with an empty value, so that
// an older book does not bring it back.
type Setting struct {
	Name  string // 1 to MaxSettingName of a-z, 0-9, '.', '_', '-'
	Value []byte // at most MaxSettingValue bytes; empty is removed
	Count uint32 // of changes
}

// Contacts are all contacts by account id, removed ones included.
func (b *Book) Contacts() []Contact {
	all := make([]Contact, len(b.contacts))
	for i, c := range b.contacts {
		all[i] = c.clone()
	}
	return all
}

// Contact is the contact with the given account id; ok tells whether the book
// knows of one, which may be removed.
func (b *Book) Contact(id identity.AccountID) (c Contact, ok bool) {
	i, ok := b.find(id)
	if !ok {
		return Contact{}, false
	}
	return b.contacts[i].clone(), true
}

// Put stores c in the place of the contact with its account id.
func (b *Book) Put(c Contact) {
	c = c.clone()
	if i, ok := b.find(c.Account); ok {
		b.contacts[i] = c
	} else {
		b.contacts = slices.Insert(b.contacts, i, c)
	}
}

// Add puts a contact that the user or a message brought, pinned at first sight;
// one that was removed comes back with the new pin. A contact that is there
// stays as it is, but for a new handle. Where h named another account before,
// the contact is marked Renamed.
func (b *Book) Add(h handle.Handle, p identity.Pin) Contact {
	c, ok := b.Contact(p.Account)
	switch {
	case !ok:
		c = Contact{Account: p.Account, Handle: h, Pins: []identity.Pin{p}}
	case c.Removed:
		c = Contact{
			Account: p.Account, Handle: h, Pins: []identity.Pin{p}, Life: next(c.Life),
			Blocked: c.Blocked, BlockedCount: c.BlockedCount,
		}
	default:
		c.SetHandle(h)
	}
	for _, other := range b.Named(h) {
		if other.Account != c.Account {
			c.Renamed = true
		}
	}
	b.Put(c)
	return c
}

// Named are the contacts whose handle is h, removed ones excluded: more than
// one when a handle came to name another account.
func (b *Book) Named(h handle.Handle) []Contact {
	var all []Contact
	for _, c := range b.contacts {
		if !c.Removed && h != "" && c.Handle == h {
			all = append(all, c.clone())
		}
	}
	return all
}

// Ambiguous reports whether the user must be warned that c is not who its
// handle named before: it is marked so, or another contact has the same handle.
func (b *Book) Ambiguous(c Contact) bool { return c.Renamed || len(b.Named(c.Handle)) > 1 }

// Settings are all settings by name, removed ones included.
func (b *Book) Settings() []Setting {
	all := slices.Clone(b.settings)
	for i := range all {
		all[i].Value = bytes.Clone(all[i].Value)
	}
	return all
}

// Setting is the value of a setting; ok is false for none and a removed one.
func (b *Book) Setting(name string) (value []byte, ok bool) {
	i, ok := b.findSetting(name)
	if !ok || len(b.settings[i].Value) == 0 {
		return nil, false
	}
	return bytes.Clone(b.settings[i].Value), true
}

// Set gives a setting a value; an empty one removes it. Errors: ErrMalformed
// for a bad name, ErrFull for a value too long.
func (b *Book) Set(name string, value []byte) error {
	if !settingName(name) {
		return ErrMalformed
	}
	if len(value) > MaxSettingValue {
		return ErrFull
	}
	i, ok := b.findSetting(name)
	switch {
	case !ok && len(value) == 0, ok && bytes.Equal(b.settings[i].Value, value):
		return nil
	case !ok:
		b.settings = slices.Insert(b.settings, i, Setting{Name: name})
	}
	b.settings[i].Count, b.settings[i].Value = next(b.settings[i].Count), bytes.Clone(value)
	return nil
}

func (b *Book) find(id identity.AccountID) (int, bool) {
	return slices.BinarySearchFunc(b.contacts, id, func(c Contact, id identity.AccountID) int {
		return bytes.Compare(c.Account[:], id[:])
	})
}

func (b *Book) findSetting(name string) (int, bool) {
	return slices.BinarySearchFunc(b.settings, name, func(s Setting, n string) int { return cmp.Compare(s.Name, n) })
}

func settingName(s string) bool {
	return len(s) > 0 && len(s) <= MaxSettingName && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// next counts a change. The highest count stays: 2^32 changes do not happen, and
// wrapping around would undo all of them.
func next(n uint32) uint32 { return max(n, n+1) }
