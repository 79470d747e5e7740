package identity

import "errors"

// What a caller can tell apart. Everything else about a bad record is
// deliberately not said: one error for each kind of failure.
var (
	// ErrMalformed is returned for bytes that are no record of this format.
	ErrMalformed = errors.New("identity: malformed record")
	// ErrVersion is returned for a record of a version that this code does not
	// read. The record may be good: keep it and ask the user to update.
	ErrVersion = errors.New("identity: record of a newer version")
	// ErrKey is returned for a public key that must not be used: of small
	// order, not canonically encoded, or not a key at all.
	ErrKey = errors.New("identity: unusable public key")
	// ErrSignature is returned whenever a signature does not verify, whatever
	// the reason.
	ErrSignature = errors.New("identity: signature does not verify")
	// ErrPossession is returned when an epoch possession challenge cannot be
	// made or answered.
	ErrPossession = errors.New("identity: possession challenge failed")
)

// What following a device list or a certificate from one state to the next can
// find. Alarm sorts out those that no honest account causes.
var (
	// ErrOtherAccount is returned when a record speaks for another account.
	ErrOtherAccount = errors.New("identity: record of another account")
	// ErrOlder is returned for a list or certificate below the one known: a
	// server that is behind, or one that hides the newest.
	ErrOlder = errors.New("identity: older than the one known")
	// ErrFork is returned when two lists claim the same place in the chain, or
	// two certificates the same epoch.
	ErrFork = errors.New("identity: two records claim the same place")
	// ErrKeyChanged is returned for a list under another account key that the
	// pinned one did not hand over to. Either rotations in between are missing
	// (fetch them, then FollowAll) or the account was reset: hold back until
	// the user agrees to that very key (Pin.Agree).
	ErrKeyChanged = errors.New("identity: account key changed without succession")
	// ErrNextChanged is returned when a list commits to another next account
	// key than the pinned one, without a rotation.
	ErrNextChanged = errors.New("identity: committed next key changed")
	// ErrSecondSuccession is returned for a rotation to a key that the pinned
	// list did not commit to, or a second rotation to the pinned key.
	ErrSecondSuccession = errors.New("identity: second succession of an account key")
	// ErrVersionFell is returned for a certificate that names a lower highest
	// record version than an earlier one of the same device key.
	ErrVersionFell = errors.New("identity: highest record version fell")
)

// What changing a device list can be refused for.
var (
	// ErrNoChange is returned when the newest list already says what was
	// asked for: the intent is done.
	ErrNoChange = errors.New("identity: list already says so")
	// ErrFull is returned when a device is added to a list of MaxDevices.
	ErrFull = errors.New("identity: device list is full")
	// ErrLastDevice is returned when the only device would be removed.
	ErrLastDevice = errors.New("identity: last device cannot be removed")
	// ErrDeviceTaken is returned when the id or the key of a new device is in
	// the list already under another key or id.
	ErrDeviceTaken = errors.New("identity: device id or key already in the list")
	// ErrNotCommitted is returned when a rotation is made to a key that the
	// list does not commit to: a wrong recovery code.
	ErrNotCommitted = errors.New("identity: not the committed next key")
)

// Alarm reports whether err shows a lie or a stolen account key: everything to
// and from the account is held back and the user is told.
func Alarm(err error) bool {
	return errors.Is(err, ErrFork) || errors.Is(err, ErrNextChanged) || errors.Is(err, ErrSecondSuccession)
}
