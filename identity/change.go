package identity

import (
	"slices"
)

// The functions of this file turn an intent ("add this device") into the next
// version of a list. They are pure, and applied anew to the newest verified
// list whenever a server refused the change because the list had moved on: a
// list that was built and saved earlier would bring back a device that was
// removed in between. What they return is unsigned; the caller may raise the
// book head in it, then signs it (SignList, SignRotation).

// FirstList is the list of a new account with its first device.
func FirstList(account AccountID, key AccountPublic, next NextHash, first Device, now Time) DeviceList {
	return DeviceList{
		Account:  account,
		Key:      key,
		Next:     next,
		Version:  1,
		IssuedAt: now,
		Devices:  []Device{first},
	}
}

// AddDevice adds d to l. Errors: ErrNoChange when d is in the list already with
// this key, ErrDeviceTaken when its id or key is there otherwise, ErrFull when
// there are MaxDevices (see AddDeviceDropping), ErrKey.
func AddDevice(l *SignedList, d Device, now Time) (DeviceList, error) {
	if err := l.admits(d); err != nil {
		return DeviceList{}, err
	}
	if len(l.List.Devices) >= MaxDevices {
		return DeviceList{}, ErrFull
	}
	next := l.successor(now)
	next.Devices = sortedDevices(append(next.Devices, d))
	return next, nil
}

// AddDeviceDropping adds d to a full list in the same version that drops the
// device that OldestDevice named. In a list that is not full it drops nothing:
// the intent is to add, and somebody else made room. Errors: as AddDevice, and
// ErrFull when drop is not in the full list, so that the caller chooses anew.
func AddDeviceDropping(l *SignedList, d Device, drop DeviceID, now Time) (DeviceList, error) {
	if len(l.List.Devices) < MaxDevices {
		return AddDevice(l, d, now)
	}
	if err := l.admits(d); err != nil {
		return DeviceList{}, err
	}
	if _, ok := l.Find(drop); !ok {
		return DeviceList{}, ErrFull
	}
	next := l.successor(now)
	next.Devices = slices.DeleteFunc(next.Devices, func(e Device) bool { return e.ID == drop })
	next.Devices = sortedDevices(append(next.Devices, d))
	return next, nil
}

// RemoveDevice removes the device with this id. Errors: ErrNoChange when it is
// not in the list, ErrLastDevice when it is the only one.
func RemoveDevice(l *SignedList, id DeviceID, now Time) (DeviceList, error) {
	if _, ok := l.Find(id); !ok {
		return DeviceList{}, ErrNoChange
	}
	if len(l.List.Devices) == 1 {
		return DeviceList{}, ErrLastDevice
	}
	next := l.successor(now)
	next.Devices = slices.DeleteFunc(next.Devices, func(d Device) bool { return d.ID == id })
	return next, nil
}

// Rotate hands the account over to key, which l commits to, with a fresh
// commitment and only those devices that the user confirmed; ids in keep that
// are not in the list are ignored. Sign it with SignRotation. Errors:
// ErrNotCommitted for a key that l does not commit to, ErrLastDevice when no
// device would be left, ErrMalformed when next commits to a key already used.
func Rotate(l *SignedList, key AccountPublic, next NextHash, keep []DeviceID, now Time) (DeviceList, error) {
	if key.Next() != l.List.Next {
		return DeviceList{}, ErrNotCommitted
	}
	out := l.successor(now)
	out.Key, out.Next = key, next
	out.Devices = slices.DeleteFunc(out.Devices, func(d Device) bool { return !slices.Contains(keep, d.ID) })
	if len(out.Devices) == 0 {
		return DeviceList{}, ErrLastDevice
	}
	if !out.wellFormed(&l.List.Key) {
		return DeviceList{}, ErrMalformed
	}
	return out, nil
}

// Reset begins the account anew with an account key that l does not commit to,
// and one device of it. Nothing vouches for the key: contacts hold back until
// their user agrees to it. Sign it with SignList. Errors: ErrLastDevice when the
// device is not in the list, ErrMalformed for the key that l has or when next
// commits to the new one.
func Reset(l *SignedList, key AccountPublic, next NextHash, device DeviceID, now Time) (DeviceList, error) {
	d, ok := l.Find(device)
	if !ok {
		return DeviceList{}, ErrLastDevice
	}
	return beginAnew(l, key, next, d, now)
}

// ResetOnto is Reset with a device that is new, where the operator asked for the
// reset. Errors: ErrMalformed, also for a device that is in the list.
func ResetOnto(l *SignedList, key AccountPublic, next NextHash, device Device, now Time) (DeviceList, error) {
	if _, old := l.Find(device.ID); old {
		return DeviceList{}, ErrMalformed
	}
	return beginAnew(l, key, next, device, now)
}

func beginAnew(l *SignedList, key AccountPublic, next NextHash, d Device, now Time) (DeviceList, error) {
	out := l.successor(now)
	out.Key, out.Next, out.Devices = key, next, []Device{d}
	if key == l.List.Key || !out.wellFormed(nil) {
		return DeviceList{}, ErrMalformed
	}
	return out, nil
}

// OldestDevice says which device of a full list makes room for a new one: the
// one whose newest epoch certificate is the oldest, by the certificates' own
// dates. Certificates that do not verify in l count for nothing; a device
// without any counts from when it was added. Of equals the lower id goes.
//
// A device cannot be made to look fresher than its own signatures say, but a
// server that withholds certificates can make one look older: the client shows
// the user what was dropped.
func OldestDevice(l *SignedList, certs []*SignedCertificate) DeviceID {
	var oldest DeviceID
	var least Time
	for i, d := range l.List.Devices {
		at := d.AddedAt
		if c := newest(l, d, certs).cert; c != nil {
			at = c.Certificate.NotBefore
		}
		if i == 0 || at < least {
			oldest, least = d.ID, at
		}
	}
	return oldest
}

// admits checks a device that is to be added.
func (s *SignedList) admits(d Device) error {
	if err := d.Key.Check(); err != nil {
		return err
	}
	if d.Key == DevicePublic(s.List.Key) {
		return ErrDeviceTaken
	}
	for _, e := range s.List.Devices {
		switch {
		case e.ID == d.ID && e.Key == d.Key:
			return ErrNoChange
		case e.ID == d.ID, e.Key == d.Key:
			return ErrDeviceTaken
		}
	}
	return nil
}

// successor is the next version with the same content, its devices a copy.
func (s *SignedList) successor(now Time) DeviceList {
	next := s.List
	next.Version++
	next.Prev = s.hash
	next.IssuedAt = now
	next.Devices = slices.Clone(s.List.Devices)
	return next
}
