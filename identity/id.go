package identity

import (
	"encoding/hex"
	"errors"
	"io"
	"time"
)

// ErrID is returned for text that is no id.
var ErrID = errors.New("identity: malformed id")

// AccountID is an account's random 16-byte id. It never changes and is shown
// to people only where a handle would be ambiguous.
type AccountID [16]byte

// DeviceID is a device's random 16-byte id: one account on one installation.
type DeviceID [16]byte

// NewAccountID reads a fresh id from rand.
func NewAccountID(rand io.Reader) (id AccountID, err error) {
	_, err = io.ReadFull(rand, id[:])
	return id, err
}

// NewDeviceID reads a fresh id from rand.
func NewDeviceID(rand io.Reader) (id DeviceID, err error) {
	_, err = io.ReadFull(rand, id[:])
	return id, err
}

// ParseAccountID reads 32 lower-case hexadecimal digits.
func ParseAccountID(s string) (id AccountID, err error) {
	err = parseHex(id[:], s)
	return id, err
}

// ParseDeviceID reads 32 lower-case hexadecimal digits.
func ParseDeviceID(s string) (id DeviceID, err error) {
	err = parseHex(id[:], s)
	return id, err
}

func parseHex(dst []byte, s string) error {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(dst) || hex.EncodeToString(b) != s {
		return ErrID
	}
	copy(dst, b)
	return nil
}

// String is 32 lower-case hexadecimal digits.
func (id AccountID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether no id was set.
func (id AccountID) IsZero() bool { return id == AccountID{} }

// String is 32 lower-case hexadecimal digits.
func (id DeviceID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether no id was set.
func (id DeviceID) IsZero() bool { return id == DeviceID{} }

// Time is a point in time as every format carries it: milliseconds since the
// Unix epoch, 8 bytes big-endian.
type Time uint64

// TimeOf rounds t down to the millisecond. Times before 1970 become 0.
func TimeOf(t time.Time) Time {
	if ms := t.UnixMilli(); ms > 0 {
		return Time(ms)
	}
	return 0
}

// Time is t in UTC.
func (t Time) Time() time.Time { return time.UnixMilli(int64(t)).UTC() }

// Add is t moved by d, which may be negative; it does not go below 0.
func (t Time) Add(d time.Duration) Time {
	ms := int64(t) + d.Milliseconds()
	if ms < 0 {
		return 0
	}
	return Time(ms)
}

// Sub is the time from u to t.
func (t Time) Sub(u Time) time.Duration {
	return time.Duration(int64(t)-int64(u)) * time.Millisecond
}

// Day is the number of whole days since the Unix epoch, as message ids and
// partitions use it.
func (t Time) Day() uint32 { return uint32(t / (24 * 60 * 60 * 1000)) }
