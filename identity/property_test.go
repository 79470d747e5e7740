package identity

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// randomHistory is an honest account: devices come and go, keys rotate.
func randomHistory(t *rapid.T) *history {
	h := newHistory()
	for n := range rapid.IntRange(0, 12).Draw(t, "changes") {
		switch rapid.SampledFrom([]string{"add", "remove", "rotate"}).Draw(t, "change") {
		case "add":
			if len(h.last().List.Devices) < MaxDevices {
				h.add(n + 2)
			}
		case "remove":
			d := rapid.SampledFrom(h.last().List.Devices).Draw(t, "device")
			l, err := RemoveDevice(h.last(), d.ID, h.last().List.IssuedAt+1)
			if errors.Is(err, ErrLastDevice) {
				continue
			}
			h.push(must(SignList(must(l, err), aliceKey(h.keys-1))))
		case "rotate":
			h.rotate()
		}
	}
	return h
}

// TestHonestHistoryIsFollowed: whoever pinned an account at any time and is
// then given every rotation since, any other lists in order, and the newest,
// ends at the newest.
func TestHonestHistoryIsFollowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := randomHistory(t)
		from := rapid.IntRange(0, len(h.lists)-1).Draw(t, "pinned")
		var given []*SignedList
		for i, l := range h.lists[from:] {
			if l.Rotation() || l == h.last() || rapid.Bool().Draw(t, fmt.Sprint("given ", from+i)) {
				given = append(given, l)
			}
		}
		if given[0].Rotation() && given[0] == h.lists[from] && rapid.Bool().Draw(t, "again") {
			given = given[1:] // the pinned list itself need not be given
		}
		got, err := PinOf(h.lists[from]).FollowAll(given)
		if err != nil || (len(given) > 0 && got != PinOf(h.last())) {
			t.Fatalf("from version %d over %d lists: %v", from+1, len(given), err)
		}
	})
}

// TestNoLieIsFollowed gives a pin lists that somebody made who has any of the
// account's keys so far, or none, and checks what may never happen.
func TestNoLieIsFollowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := randomHistory(t)
		p := PinOf(rapid.SampledFrom(h.lists).Draw(t, "pinned"))
		for range rapid.IntRange(1, 6).Draw(t, "tries") {
			l := randomLie(t, h)
			q, err := p.Follow(l)
			if err != nil {
				if q != p {
					t.Fatal("the pin moved on an error")
				}
				continue
			}
			switch {
			case q != PinOf(l):
				t.Fatal("the pin is not of the list followed")
			case q.Account != p.Account || q.Version < p.Version:
				t.Fatal("went to another account or back")
			case q.Version == p.Version && q.Hash != p.Hash:
				t.Fatal("a fork was followed")
			case q.Version == p.Version+1 && l.List.Prev != p.Hash:
				t.Fatal("a successor of another list was followed")
			case q.Key == p.Key && q.Next != p.Next:
				t.Fatal("the commitment moved")
			case q.Key == p.Key && q.Version > p.Version && l.Rotation():
				t.Fatal("a second succession to the pinned key was followed")
			case q.Key != p.Key && (!l.Rotation() || l.From() != p.Key || q.Key.Next() != p.Next):
				t.Fatal("a key came in without the committed succession")
			}
			p = q
		}
	})
}

// randomLie is an honest list or one made with keys that a thief may have.
func randomLie(t *rapid.T, h *history) *SignedList {
	l := rapid.SampledFrom(h.lists).Draw(t, "base").List
	if rapid.Bool().Draw(t, "honest") {
		return rapid.SampledFrom(h.lists).Draw(t, "honest list")
	}
	keys := []AccountKey{accountKey("thief")}
	for n := range h.keys + 1 {
		keys = append(keys, aliceKey(n))
	}
	key := rapid.SampledFrom(keys).Draw(t, "key")
	from := rapid.SampledFrom(keys).Draw(t, "from")
	l.Key = key.Public()
	l.Version = rapid.Uint64Range(2, uint64(len(h.lists))+3).Draw(t, "version")
	l.Prev = rapid.SampledFrom(h.lists).Draw(t, "prev").Hash()
	l.Next = rapid.SampledFrom(keys).Draw(t, "next").Public().Next()
	l.IssuedAt += Time(rapid.IntRange(0, 3).Draw(t, "later"))
	var s *SignedList
	var err error
	if rapid.Bool().Draw(t, "rotation") {
		s, err = SignRotation(l, from, key)
	} else {
		s, err = SignList(l, key)
	}
	if err != nil { // the draw broke a rule of the format
		return rapid.SampledFrom(h.lists).Draw(t, "honest list")
	}
	return s
}

// TestIntentsNeverReviveADevice: two clients change one list, each applying
// its intent to the newest list when it loses the race. A device removed by one
// is never brought back by the other.
func TestIntentsNeverReviveADevice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory()
		removed := map[DeviceID]bool{}
		want := map[DeviceID]bool{device(1).ID: true}
		views := []*SignedList{h.last(), h.last()}
		for n := range rapid.IntRange(1, 20).Draw(t, "steps") {
			who := rapid.IntRange(0, 1).Draw(t, "client")
			add := rapid.Bool().Draw(t, "add")
			victim := rapid.SampledFrom(views[who].List.Devices).Draw(t, "victim").ID
			apply := func(l *SignedList) (DeviceList, error) {
				if add {
					return AddDevice(l, device(n+2), start+Time(n))
				}
				return RemoveDevice(l, victim, start+Time(n))
			}
			next, err := apply(views[who])
			if views[who] != h.last() { // the condition fails: anew on the newest
				views[who] = h.last()
				next, err = apply(views[who])
			}
			if err != nil {
				if !errors.Is(err, ErrNoChange) && !errors.Is(err, ErrLastDevice) && !errors.Is(err, ErrFull) {
					t.Fatal(err)
				}
				continue
			}
			views[who] = h.push(must(SignList(next, aliceKey(0))))
			if add {
				want[device(n+2).ID] = true
			} else {
				delete(want, victim)
				removed[victim] = true
			}
		}
		if len(h.last().List.Devices) != len(want) {
			t.Fatalf("%d devices, want %d", len(h.last().List.Devices), len(want))
		}
		for _, d := range h.last().List.Devices {
			if !want[d.ID] || removed[d.ID] {
				t.Fatalf("device %s came back", d.ID)
			}
		}
		if _, err := PinOf(h.lists[0]).FollowAll(h.lists); err != nil {
			t.Fatal(err)
		}
	})
}

// TestListRoundTrip: what is signed reads back as it was, whatever the order in
// which the devices were given.
func TestListRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := firstList(rapid.IntRange(1, MaxDevices).Draw(t, "devices"))
		want := slices.Clone(l.Devices)
		l.Devices = rapid.Permutation(l.Devices).Draw(t, "order")
		l.IssuedAt = Time(rapid.Uint64Range(0, uint64(MaxTime)).Draw(t, "issued"))
		s, err := SignList(l, aliceKey(0))
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseSignedList(s.Bytes())
		if err != nil || again.Hash() != s.Hash() || !slices.Equal(again.List.Devices, want) || again.List.IssuedAt != l.IssuedAt {
			t.Fatalf("read back differently: %v", err)
		}
	})
}
