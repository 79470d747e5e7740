package book

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
)

// Merge is what two books say together; neither is changed. It is commutative,
// associative and idempotent (spec/book.md, "Merge", has the argument for each
// field). The result may exceed a limit, which Encode then refuses.
func Merge(a, b *Book) *Book {
	m := new(Book)
	m.contacts = zip(a.contacts, b.contacts, func(x, y Contact) int {
		return bytes.Compare(x.Account[:], y.Account[:])
	}, mergeContacts)
	m.settings = zip(a.settings, b.settings, func(x, y Setting) int {
		return cmp.Compare(x.Name, y.Name)
	}, mergeSettings)
	for i := range m.contacts {
		m.contacts[i] = m.contacts[i].clone()
	}
	for i := range m.settings {
		m.settings[i].Value = bytes.Clone(m.settings[i].Value)
	}
	return m
}

// zip merges two sorted lists; both gives what stands for two equal items.
func zip[T any](a, b []T, order func(x, y T) int, both func(x, y T) T) []T {
	out := make([]T, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		switch o := order(a[0], b[0]); {
		case o < 0:
			out, a = append(out, a[0]), a[1:]
		case o > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, both(a[0], b[0])), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

func mergeSettings(a, b Setting) Setting {
	if cmp.Or(cmp.Compare(a.Count, b.Count), bytes.Compare(a.Value, b.Value)) < 0 {
		return b
	}
	return a
}

// mergeContacts takes the later life whole, and within one life the removal:
// so a merged contact never has parts of two lives.
func mergeContacts(a, b Contact) Contact {
	c := a
	switch {
	case b.Life > a.Life, b.Life == a.Life && b.Removed:
		c = b
	case b.Life == a.Life && !a.Removed:
		c = mergeLives(a, b)
	}
	switch {
	case a.BlockedCount == b.BlockedCount:
		// A tie is blocked: to let somebody through whom one device blocked
		// is worse than the contrary.
		c.Blocked, c.BlockedCount = a.Blocked || b.Blocked, a.BlockedCount
	case a.BlockedCount > b.BlockedCount:
		c.Blocked, c.BlockedCount = a.Blocked, a.BlockedCount
	default:
		c.Blocked, c.BlockedCount = b.Blocked, b.BlockedCount
	}
	return c
}

func mergeLives(a, b Contact) Contact {
	c := a
	c.Accepted = a.Accepted || b.Accepted
	c.Renamed = a.Renamed || b.Renamed
	c.Refused = max(a.Refused, b.Refused)
	if cmp.Or(cmp.Compare(a.HandleCount, b.HandleCount), cmp.Compare(a.Handle, b.Handle)) < 0 {
		c.Handle, c.HandleCount = handle.Handle(b.Handle), b.HandleCount
	}
	switch {
	case b.VerifiedCount > a.VerifiedCount:
		c.Verified, c.VerifiedCount = b.Verified, b.VerifiedCount
	case b.VerifiedCount == a.VerifiedCount && a.Verified != b.Verified:
		// Two devices disagree: the user compares once more.
		c.Verified = identity.AccountPublic{}
	}
	switch {
	case b.Choice > a.Choice:
		c.Pins, c.Crowded, c.Choice = b.Pins, b.Crowded, b.Choice
	case b.Choice == a.Choice && (a.Crowded || b.Crowded):
		c.Pins, c.Crowded = nil, true
	case b.Choice == a.Choice:
		c.Pins, c.Crowded = joinPins(a.Pins, b.Pins)
	}
	return c
}

// joinPins unites two sets of pins. Of one key with one committed next it keeps
// the highest list; of that version at most two, which is enough to show that
// there are two. Different keys stay side by side.
func joinPins(a, b []identity.Pin) (pins []identity.Pin, crowded bool) {
	all := slices.Concat(a, b)
	slices.SortFunc(all, comparePins)
	all = slices.Compact(all)
	rivals := 0
	for len(all) > 0 {
		n := 1
		for n < len(all) && compareRivals(all[n], all[0]) == 0 {
			n++
		}
		rivals++
		highest := slices.IndexFunc(all[:n], func(p identity.Pin) bool { return p.Version == all[n-1].Version })
		pins = append(pins, all[highest:min(n, highest+2)]...)
		all = all[n:]
	}
	if rivals > MaxRivals {
		return nil, true
	}
	return pins, false
}
