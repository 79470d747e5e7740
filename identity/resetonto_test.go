package identity

import (
	"crypto/rand"
	"errors"
	"testing"
)

// A reset leaves one device, under a key that nothing hands over to: one of the
// list, or a new one where there is none left.
func TestResetOnto(t *testing.T) {
	account, err := NewAccountKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := NewAccountKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	device := func(n byte) Device {
		k, err := NewDeviceKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return Device{ID: DeviceID{n}, Key: k.Public(), AddedAt: 1, Class: Native, How: ByPassword}
	}
	old, other := device(1), device(2)
	l, err := SignList(FirstList(AccountID{7}, account.Public(), NextHash{1}, old, 1), account)
	if err != nil {
		t.Fatal(err)
	}
	check := func(next DeviceList, err error, want Device) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if len(next.Devices) != 1 || next.Devices[0] != want || next.Version != 2 || next.Prev != l.Hash() {
			t.Errorf("%+v", next)
		}
		signed, err := SignList(next, fresh)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := PinOf(l).Follow(signed); !errors.Is(err, ErrKeyChanged) {
			t.Errorf("contacts follow: %v", err)
		}
	}
	next, err := Reset(l, fresh.Public(), NextHash{2}, old.ID, 2)
	check(next, err, old)
	next, err = ResetOnto(l, fresh.Public(), NextHash{2}, other, 2)
	check(next, err, other)

	if _, err := Reset(l, fresh.Public(), NextHash{2}, other.ID, 2); !errors.Is(err, ErrLastDevice) {
		t.Errorf("a device that is not there: %v", err)
	}
	if _, err := ResetOnto(l, fresh.Public(), NextHash{2}, old, 2); !errors.Is(err, ErrMalformed) {
		t.Errorf("a device that is there: %v", err)
	}
	if _, err := ResetOnto(l, account.Public(), NextHash{2}, other, 2); !errors.Is(err, ErrMalformed) {
		t.Errorf("the key that stands: %v", err)
	}
}
