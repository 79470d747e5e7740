package identity

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestAgree(t *testing.T) {
	h := newHistory()
	v2 := h.add(2)
	p := PinOf(v2)
	reset := h.reset("after reset")
	if _, err := p.Follow(reset); !errors.Is(err, ErrKeyChanged) || Alarm(err) {
		t.Fatalf("a reset: %v", err)
	}
	key := reset.List.Key
	if q, err := p.Agree(reset, key); err != nil || q != PinOf(reset) {
		t.Fatalf("agreed: %v", err)
	}
	if q, err := p.Agree(reset, accountKey("another").Public()); !errors.Is(err, ErrKeyChanged) || q != p {
		t.Errorf("agreed to another key than the list's: %v", err)
	}
	if _, err := PinOf(reset).Agree(v2, v2.List.Key); !errors.Is(err, ErrOlder) {
		t.Errorf("agreed to an older list: %v", err)
	}
	fork := h.lists[0].successor(start + 7)
	fork.Version, fork.Key, fork.Next = 3, key, reset.List.Next
	if _, err := p.Agree(must(SignList(fork, accountKey("after reset"))), key); !errors.Is(err, ErrFork) {
		t.Errorf("agreed to a fork: %v", err)
	}
	stolen := v2.successor(start + 7)
	stolen.Next = accountKey("thief").Public().Next()
	if _, err := p.Agree(must(SignList(stolen, aliceKey(0))), stolen.Key); !errors.Is(err, ErrNextChanged) {
		t.Errorf("an agreement talked over an alarm: %v", err)
	}
	thief := accountKey("thief")
	taken := v2.successor(start + 8)
	taken.Key, taken.Next = thief.Public(), accountKey("thief next").Public().Next()
	if _, err := p.Agree(must(SignRotation(taken, aliceKey(0), thief)), thief.Public()); !errors.Is(err, ErrSecondSuccession) {
		t.Errorf("an agreement talked over a second succession: %v", err)
	}
	if q, err := PinOf(h.lists[0]).Agree(v2, v2.List.Key); err != nil || q != p {
		t.Errorf("an agreement to the pinned key: %v", err)
	}
	bob := FirstList(account("bob"), key, reset.List.Next, device(1), start)
	if _, err := p.Agree(must(SignList(bob, accountKey("after reset"))), key); !errors.Is(err, ErrOtherAccount) {
		t.Errorf("agreed to another account: %v", err)
	}
}

func TestAlarm(t *testing.T) {
	for err, want := range map[error]bool{
		ErrFork: true, ErrNextChanged: true, ErrSecondSuccession: true,
		ErrOlder: false, ErrKeyChanged: false, ErrOtherAccount: false, nil: false,
	} {
		if Alarm(err) != want {
			t.Errorf("Alarm(%v) = %v", err, !want)
		}
	}
}

func TestChanges(t *testing.T) {
	h := newHistory()
	full := must(SignList(firstList(MaxDevices), aliceKey(0)))
	if _, err := AddDevice(full, device(11), start); !errors.Is(err, ErrFull) {
		t.Errorf("an eleventh device: %v", err)
	}
	if l, err := AddDeviceDropping(full, device(11), device(4).ID, start); err != nil || len(l.Devices) != MaxDevices {
		t.Errorf("dropping: %v", err)
	} else if s := must(SignList(l, aliceKey(0))); hasDevice(s, 4) || !hasDevice(s, 11) {
		t.Error("dropped another device")
	} else if _, err := PinOf(full).Follow(s); err != nil {
		t.Errorf("dropping made a list that nobody follows: %v", err)
	}
	if _, err := AddDeviceDropping(full, device(11), device(12).ID, start); !errors.Is(err, ErrFull) {
		t.Errorf("dropping a device that is not there: %v", err)
	}
	if l, err := AddDeviceDropping(h.last(), device(2), device(1).ID, start); err != nil || len(l.Devices) != 2 {
		t.Errorf("dropped from a list with room: %v", err)
	}
	for name, d := range map[string]Device{
		"id of another":  {ID: device(1).ID, Key: device(2).Key, Class: Native, How: ByPassword},
		"key of another": {ID: device(2).ID, Key: device(1).Key, Class: Native, How: ByPassword},
		"account key":    {ID: device(2).ID, Key: DevicePublic(aliceKey(0).Public()), Class: Native, How: ByPassword},
	} {
		if _, err := AddDevice(h.last(), d, start); !errors.Is(err, ErrDeviceTaken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := AddDevice(h.last(), Device{ID: device(2).ID, Key: identityPoint}, start); !errors.Is(err, ErrKey) {
		t.Errorf("small-order key: %v", err)
	}
	if _, err := AddDevice(h.last(), device(1), start); !errors.Is(err, ErrNoChange) {
		t.Errorf("the same device again: %v", err)
	}
	if _, err := AddDeviceDropping(full, device(1), device(2).ID, start); !errors.Is(err, ErrNoChange) {
		t.Errorf("the same device again, dropping: %v", err)
	}
	if _, err := RemoveDevice(h.last(), device(1).ID, start); !errors.Is(err, ErrLastDevice) {
		t.Errorf("the last device: %v", err)
	}
	if _, err := RemoveDevice(full, device(11).ID, start); !errors.Is(err, ErrNoChange) {
		t.Errorf("a device that is not there: %v", err)
	}
	before := bytes.Clone(full.Bytes())
	must(RemoveDevice(full, device(1).ID, start))
	if !hasDevice(full, 1) || !bytes.Equal(reencodeList(t, full), before) {
		t.Error("a change altered the list that it started from")
	}
}

func TestRotate(t *testing.T) {
	l := must(SignList(firstList(3), aliceKey(0)))
	key, next := aliceKey(1).Public(), aliceKey(2).Public().Next()
	keep := []DeviceID{device(2).ID, device(9).ID}
	out, err := Rotate(l, key, next, keep, start)
	if err != nil || len(out.Devices) != 1 || out.Devices[0].ID != device(2).ID {
		t.Fatalf("rotation keeps %d devices: %v", len(out.Devices), err)
	}
	if _, err := Rotate(l, accountKey("other").Public(), next, keep, start); !errors.Is(err, ErrNotCommitted) {
		t.Errorf("a key not committed to: %v", err)
	}
	if _, err := Rotate(l, key, next, nil, start); !errors.Is(err, ErrLastDevice) {
		t.Errorf("no device left: %v", err)
	}
	for _, used := range []AccountPublic{key, l.List.Key} {
		if _, err := Rotate(l, key, used.Next(), keep, start); !errors.Is(err, ErrMalformed) {
			t.Errorf("a used key as next: %v", err)
		}
	}
	if _, err := SignRotation(out, aliceKey(0), aliceKey(2)); !errors.Is(err, ErrKey) {
		t.Errorf("signed by a key that is not the list's: %v", err)
	}
	if _, err := SignRotation(out, aliceKey(1), aliceKey(1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("a key that follows itself: %v", err)
	}
	if _, err := SignList(l.List, aliceKey(1)); !errors.Is(err, ErrKey) {
		t.Errorf("a list signed by another key: %v", err)
	}
	if _, err := SignList(l.List, AccountKey{}); !errors.Is(err, ErrKey) {
		t.Errorf("a list signed by no key: %v", err)
	}
}

func TestOldestDevice(t *testing.T) {
	l := must(SignList(firstList(3), aliceKey(0)))
	// Device 2 has the newest epoch of all, but only a forged claim to it.
	forged := certificate(2, 50)
	certs := []*SignedCertificate{
		signedCertificate(1, 3), signedCertificate(1, 9),
		signedCertificate(2, 4), must(SignCertificate(forged, deviceKey("3"))),
		signedCertificate(3, 5),
	}
	if got := OldestDevice(l, certs); got != device(2).ID {
		t.Errorf("oldest is %s", got)
	}
	if got := OldestDevice(l, certs[:2]); got != device(2).ID {
		t.Errorf("without certificates the dates of adding count: %s", got)
	}
	same := must(SignList(firstList(1), aliceKey(0)))
	if got := OldestDevice(same, nil); got != device(1).ID {
		t.Errorf("the only device: %s", got)
	}
}

func TestTargets(t *testing.T) {
	l := must(SignList(firstList(4), aliceKey(0)))
	forked := certificate(3, 2)
	forked.MaxVersion = 2
	certs := []*SignedCertificate{
		signedCertificate(1, 1), signedCertificate(1, 3), signedCertificate(1, 2),
		must(SignCertificate(certificate(2, 1), deviceKey("1"))), // not device 2's signature
		signedCertificate(3, 1), signedCertificate(3, 2), must(SignCertificate(forked, deviceKey("3"))),
		signedCertificate(5, 1), // no device of this list
	}
	now := certificate(1, 3).NotBefore
	targets, skipped := Targets(l, certs, now)
	if len(targets) != 1 || targets[0].Device.ID != device(1).ID || targets[0].Certificate.Certificate.Epoch != 3 || skipped != 2 {
		t.Errorf("%d targets, %d skipped", len(targets), skipped)
	}
	late := certificate(1, 3).NotAfter
	if targets, _ := Targets(l, certs, late); len(targets) != 1 {
		t.Error("not valid on its last millisecond")
	}
	if targets, skipped := Targets(l, certs, late+1); len(targets) != 0 || skipped != 2 {
		t.Errorf("after the last millisecond: %d targets, %d skipped", len(targets), skipped)
	}
	// The newest has run out of its dates backwards: the one before is not used.
	if targets, _ := Targets(l, certs, certificate(1, 1).NotBefore); len(targets) != 0 {
		t.Error("went back to an older epoch")
	}
}

func TestEpochTimes(t *testing.T) {
	c := certificate(1, 1)
	at := c.NotBefore
	for _, x := range []struct {
		name string
		got  bool
		want bool
	}{
		{"valid at its begin", c.ValidAt(at), true},
		{"valid an hour before", c.ValidAt(at.Add(-ClockSkew)), true},
		{"valid earlier", c.ValidAt(at.Add(-ClockSkew) - 1), false},
		{"valid at its end", c.ValidAt(c.NotAfter), true},
		{"valid after", c.ValidAt(c.NotAfter + 1), false},
		{"valid at no time", c.ValidAt(^Time(0)), false},
		{"new epoch when fresh", NeedsNewEpoch(c, at), false},
		{"new epoch before 7 days", NeedsNewEpoch(c, at.Add(EpochAge)-1), false},
		{"new epoch at 7 days", NeedsNewEpoch(c, at.Add(EpochAge)), true},
		{"new epoch when the clock fell back", NeedsNewEpoch(c, at.Add(-2*time.Hour)), true},
		{"stale at 6 days", StaleWrap(at, at.Add(StaleAfter)), false},
		{"stale after 6 days", StaleWrap(at, at.Add(StaleAfter)+1), true},
		{"stale when the clock fell back", StaleWrap(at, at-1), false},
		{"erase before 7 days", MayErase(at, at.Add(EraseAfter)-1), false},
		{"erase at 7 days", MayErase(at, at.Add(EraseAfter)), true},
		{"keep for what waits before 37 days", MustErase(at, at.Add(EraseAlways)-1), false},
		{"erase in any case at 37 days", MustErase(at, at.Add(37*24*time.Hour)), true},
		{"erase when the clock fell back", MayErase(at, at-1), false},
	} {
		if x.got != x.want {
			t.Errorf("%s: %v", x.name, x.got)
		}
	}
}

func TestPossession(t *testing.T) {
	k, cert := epochKey("a"), signedCertificate(1, 1).Hash()
	enc, want, err := Challenge(k.Public(), cert)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Answer(k, enc, cert); err != nil || !got.Equal(want) {
		t.Errorf("the holder's answer: %v", err)
	}
	if got, err := Answer(epochKey("b"), enc, cert); err == nil && got.Equal(want) {
		t.Error("another key answered")
	}
	if got, err := Answer(k, enc, signedCertificate(1, 2).Hash()); err == nil && got.Equal(want) {
		t.Error("answered for another certificate")
	}
	if again, _, err := Challenge(k.Public(), cert); err != nil || again == enc {
		t.Errorf("the same challenge twice: %v", err)
	}
	low := k.Public()
	copy(low[EpochPublicSize-32:], make([]byte, 32))
	if _, _, err := Challenge(low, cert); !errors.Is(err, ErrPossession) {
		t.Errorf("a key of low order was challenged: %v", err)
	}
	copy(enc[EncSize-32:], make([]byte, 32))
	if _, err := Answer(k, enc, cert); !errors.Is(err, ErrPossession) {
		t.Errorf("an encapsulation of low order was answered: %v", err)
	}
}

func TestVerifyNamesTheDevice(t *testing.T) {
	c := signedCertificate(1, 1)
	d := device(1)
	if err := c.Verify(d); err != nil {
		t.Fatal(err)
	}
	d.ID = device(2).ID // another entry that holds the same key
	if err := c.Verify(d); !errors.Is(err, ErrSignature) {
		t.Errorf("a certificate of another device id: %v", err)
	}
}

func TestEpochPublicIsCanonical(t *testing.T) {
	p := epochKey("a").Public()
	if _, err := p.HPKE(); err != nil {
		t.Fatal(err)
	}
	p[EpochPublicSize-1] |= 0x80
	if _, err := p.HPKE(); !errors.Is(err, ErrKey) {
		t.Errorf("wraps to a key that is not canonical: %v", err)
	}
}

func TestDH(t *testing.T) {
	a, b := authKey("a"), authKey("b")
	x, errX := a.DH(b.Public())
	y, errY := b.DH(a.Public())
	if errX != nil || errY != nil || x != y || x == [32]byte{} {
		t.Fatalf("%x and %x: %v, %v", x, y, errX, errY)
	}
	for _, u := range lowOrderX25519 {
		if _, err := a.DH(u); !errors.Is(err, ErrKey) {
			t.Errorf("%x: %v", u, err)
		}
	}
	high := b.Public()
	high[31] |= 0x80
	if _, err := a.DH(high); !errors.Is(err, ErrKey) {
		t.Errorf("not canonical: %v", err)
	}
}

// A key is refused by its bytes exactly where multiplying gives zero: those of
// low order and all that differ from them in a bit.
func TestKeyOfLowOrder(t *testing.T) {
	mine, refused := authKey("a"), 0
	agree := func(u [32]byte) {
		_, err := mine.DH(u)
		if (EpochAuthPublic(u).Check() == nil) != (err == nil) {
			t.Errorf("%x: Check says %v, DH %v", u, EpochAuthPublic(u).Check(), err)
		}
		if err != nil {
			refused++
		}
	}
	for _, u := range lowOrderX25519 {
		agree(u)
		for bit := range 256 {
			v := u
			v[bit/8] ^= 1 << (bit % 8)
			agree(v)
		}
	}
	for i := range 100 {
		agree(authKey(fmt.Sprint(i)).Public())
	}
	if refused < 5 {
		t.Errorf("%d keys were refused", refused)
	}
}

func TestSeeds(t *testing.T) {
	for _, n := range []int{0, 31, 33} {
		b := make([]byte, n)
		_, err1 := AccountKeyFromSeed(b)
		_, err2 := DeviceKeyFromSeed(b)
		_, err3 := EpochKeyFromSeed(b)
		_, err4 := EpochAuthKeyFromSeed(b)
		for _, err := range []error{err1, err2, err3, err4} {
			if !errors.Is(err, ErrKey) {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
	}
	seed := bytes.Repeat([]byte{7}, SeedSize)
	ak, dsk := must(NewAccountKey(bytes.NewReader(seed))), must(NewDeviceKey(bytes.NewReader(seed)))
	ek, xa := must(NewEpochKey(bytes.NewReader(seed))), must(NewEpochAuthKey(bytes.NewReader(seed)))
	for _, got := range [][]byte{ak.Seed(), dsk.Seed(), ek.Seed(), xa.Seed()} {
		if !bytes.Equal(got, seed) {
			t.Errorf("seed %x", got)
		}
		got[0]++ // a copy: the key does not change with it
	}
	if !bytes.Equal(ak.Seed(), seed) || !bytes.Equal(dsk.Seed(), seed) || !bytes.Equal(ek.Seed(), seed) || !bytes.Equal(xa.Seed(), seed) {
		t.Error("Seed hands out the key's own memory")
	}
	if _, err := NewAccountKey(bytes.NewReader(seed[1:])); err == nil {
		t.Error("made a key from too little randomness")
	}
}

func TestSecretsPrintHidden(t *testing.T) {
	var log strings.Builder
	l := slog.New(slog.NewTextHandler(&log, nil))
	for _, k := range []any{accountKey("a"), deviceKey("a"), epochKey("a"), authKey("a")} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			if got := fmt.Sprintf(verb, k); got != hidden {
				t.Errorf("%T with %s: %s", k, verb, got)
			}
		}
		l.Info("key", "k", k)
	}
	if n := strings.Count(log.String(), "k=hidden"); n != 4 {
		t.Errorf("log: %s", log.String())
	}
}

func TestSafetyNumberText(t *testing.T) {
	a, b := Party{account("alice"), aliceKey(0).Public()}, Party{account("bob"), accountKey("bob").Public()}
	n := SafetyNumber(a, b)
	groups := strings.Fields(n)
	if len(groups) != 12 || len(n) != 71 {
		t.Fatalf("%q", n)
	}
	for _, typed := range []string{n, strings.ReplaceAll(n, " ", ""), strings.ReplaceAll(n, " ", "\n"), " " + strings.ReplaceAll(n, " ", " - ") + "."} {
		if got, err := ParseSafetyNumber(typed); err != nil || got != n {
			t.Errorf("%q: %q, %v", typed, got, err)
		}
	}
	for _, typed := range []string{"", n[1:], n + "0", strings.Replace(n, n[:1], "x", 1), strings.Replace(n, n[:1], "٣", 1), n + "\x00"} {
		if _, err := ParseSafetyNumber(typed); !errors.Is(err, ErrSafetyNumber) {
			t.Errorf("%q: %v", typed, err)
		}
	}
	other := SafetyNumber(a, Party{b.ID, accountKey("carol").Public()})
	if same, err := SameSafetyNumber(other, n); same || err != nil {
		t.Errorf("another number is the same: %v", err)
	}
	if _, err := SameSafetyNumber("12345", n); !errors.Is(err, ErrSafetyNumber) {
		t.Errorf("five digits: %v", err)
	}
}

func hasDevice(l *SignedList, n int) bool {
	_, ok := l.Find(device(n).ID)
	return ok
}
