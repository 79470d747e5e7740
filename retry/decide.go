package retry

import (
	"github.com/reseal/reseal/identity"
)

// Caps on what a holder gives out for one message. They bound what a server
// gains from a device list it got hold of, and the work that a requester can
// cause; honest devices stay far below.
const (
	// MaxDevicesPerMessage is to how many devices, in all, a holder answers.
	MaxDevicesPerMessage = 32
	// MaxWrapsPerDevice is how many wraps, for as many epochs, one device gets.
	MaxWrapsPerDevice = 5
	// MaxOpenPerMessage is how many requests for a message a holder considers
	// at a time.
	MaxOpenPerMessage = 5
)

// Answer names a wrap that a holder has made for a message.
type Answer struct {
	Device identity.DeviceID
	Epoch  uint64
}

// Known is what a holder knows about one message of one request. Its zero value
// refuses: whoever fills it states every reason to answer.
type Known struct {
	// KeyPinned: the requester's list is signed by the account key that the
	// holder pinned, or one reached from it by signed rotations. After a reset it
	// is false until the user agreed to the new key.
	KeyPinned bool
	// NotBlocked: the requester's account is not blocked.
	NotBlocked bool
	// Listed: the requesting device is in the newest list known.
	Listed bool
	// Signed: that device's key signed the request.
	Signed bool
	// Certified: the certificate that the request names is that device's, signed
	// by its key, within its dates, and not of an epoch below one already seen.
	Certified bool
	// Addressed: the request is to the holder's account or comes from it.
	Addressed bool
	// Recorded: the holder's own record says that this message went to, or came
	// from, the requester's account.
	Recorded bool
	// Pending: no end is recorded, and by the holder's own clock it has not
	// expired.
	Pending bool
	// KeyHeld: the holder has the content key.
	KeyHeld bool
	// DigestOriginal: the digest that it would wrap is that of its own record.
	DigestOriginal bool

	// Requester is the device and epoch that asks.
	Requester Answer
	// Answers are all that this holder made for the message so far.
	Answers []Answer
	// Open is how many other requests for the message it has not settled.
	Open int
}

// Verdict is what a holder does about one message of a request.
type Verdict uint8

const (
	// Refuse: say nothing.
	Refuse Verdict = iota
	// Repeat: send the stored answer for this device and epoch once more, the
	// same bytes. It gives out nothing new, so caps do not count it.
	Repeat
	// Make: make a wrap, store it, then send it.
	Make
)

// Reason says why a verdict is what it is. It never leaves the device.
type Reason uint8

// The reasons, in the order in which they are looked for.
const (
	OK Reason = iota
	KeyNotPinned
	Blocked
	NotListed
	NotSigned
	NotCertified
	NotAddressed
	NotRecorded
	NotPending
	NoKey
	OtherDigest
	TooManyOpen
	TooManyDevices
	TooManyWraps
)

var reasons = [...]string{
	"ok", "account key not pinned", "contact blocked", "device not in list", "bad signature", "bad certificate",
	"not addressed", "message not of this account", "message not pending", "key not held", "digest differs",
	"too many open requests", "too many devices", "too many wraps",
}

// String is a short text for logs and tests.
func (r Reason) String() string {
	if int(r) < len(reasons) {
		return reasons[r]
	}
	return "unknown"
}

// Decide says whether a holder answers. All conditions of spec/retry.md, section
// 4, must hold; the reason is [OK] exactly when the verdict is not [Refuse].
func Decide(k Known) (Verdict, Reason) {
	conditions := [...]struct {
		holds  bool
		reason Reason
	}{
		{k.KeyPinned, KeyNotPinned},
		{k.NotBlocked, Blocked},
		{k.Listed, NotListed},
		{k.Signed, NotSigned},
		{k.Certified, NotCertified},
		{k.Addressed, NotAddressed},
		{k.Recorded, NotRecorded},
		{k.Pending, NotPending},
		{k.KeyHeld, NoKey},
		{k.DigestOriginal, OtherDigest},
	}
	for _, c := range conditions {
		if !c.holds {
			return Refuse, c.reason
		}
	}
	return decideCaps(k)
}

func decideCaps(k Known) (Verdict, Reason) {
	devices := make(map[identity.DeviceID]int)
	for _, a := range k.Answers {
		if a == k.Requester {
			return Repeat, OK
		}
		devices[a.Device]++
	}
	wraps := devices[k.Requester.Device]
	switch {
	case k.Open >= MaxOpenPerMessage:
		return Refuse, TooManyOpen
	case wraps == 0 && len(devices) >= MaxDevicesPerMessage:
		return Refuse, TooManyDevices
	case wraps >= MaxWrapsPerDevice:
		return Refuse, TooManyWraps
	}
	return Make, OK
}
