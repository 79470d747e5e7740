package identity

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"golang.org/x/crypto/cryptobyte"
)

// MaxDevices is the most devices an account has. A login past it drops the one
// that OldestDevice names.
const MaxDevices = 10

// Sizes of a signed list in bytes.
const (
	listFixedSize  = 173 // without devices
	deviceSize     = 58
	rotationSize   = 32 // the old key in the body
	MaxSignedList  = listFixedSize + MaxDevices*deviceSize + rotationSize + 2*64
	recordVersion1 = 1
)

// Record names of the two signatures.
const (
	nameList       = "device list"
	nameSuccession = "device list succession"
	nameListHash   = "device list hash"
)

// MaxTime is the latest time that a record may carry: the last millisecond of
// the year 9999. It keeps every difference of two times inside an int64, and
// every time inside what common date formats write.
const MaxTime Time = 253402300799999

// Class says what kind of client a device is.
type Class uint8

// The classes of devices.
const (
	Native  Class = 1 // a program with a data folder
	Web     Class = 2 // a browser profile
	Service Class = 3 // an account without a person
)

// How says by what authority a device came into the list.
type How uint8

// The ways into a list.
const (
	ByPassword How = 1 // password login
	Approved   How = 2 // approved on another device
	ByRecovery How = 3 // recovery code
)

// ListHash names one version of one list: SHA-256 of the label
// "reseal/1 device list hash", a zero byte, and the list without signatures.
type ListHash [32]byte

// Device is one entry of a device list.
type Device struct {
	ID      DeviceID
	Key     DevicePublic
	AddedAt Time
	Class   Class
	How     How
}

// DeviceList is what an account key signs: which devices the account has.
type DeviceList struct {
	Account     AccountID
	Key         AccountPublic // the account key that signs this list
	Next        NextHash      // commits to the next account key
	Version     uint64        // 1 at sign-up, one more at every change
	Prev        ListHash      // hash of the list before; zero at version 1
	IssuedAt    Time
	BookVersion uint64   // head of the account book: the floor against rollback
	BookHash    [32]byte // its hash; zero while BookVersion is 0
	Devices     []Device // 1 to MaxDevices, ascending by ID, ids and keys unique
}

// SignedList is a device list with verified signatures, and the bytes that they
// cover. It is immutable: List must not be changed.
type SignedList struct {
	List DeviceList
	from AccountPublic // of a rotation: the key that handed over
	raw  []byte
	hash ListHash
}

const (
	formPlain    = 1
	formRotation = 2
)

// SignList signs l under k, which must be the private half of l.Key. Devices
// may come in any order; the list signed has them sorted. ErrMalformed when a
// rule of spec/identity.md is broken, ErrKey when k is not l.Key's.
func SignList(l DeviceList, k AccountKey) (*SignedList, error) {
	if k.priv == nil || k.Public() != l.Key {
		return nil, ErrKey
	}
	body, err := encodeList(l, nil)
	if err != nil {
		return nil, err
	}
	sig := k.Sign(nameList, body)
	return ParseSignedList(append(body, sig[:]...))
}

// SignRotation signs l, whose Key is the public half of to, as the succession
// from one account key to the next: both sign. Errors as SignList. That to is
// the committed next key is checked by Rotate before and by Pin.Follow after.
func SignRotation(l DeviceList, from, to AccountKey) (*SignedList, error) {
	if from.priv == nil || to.priv == nil || to.Public() != l.Key {
		return nil, ErrKey
	}
	old := from.Public()
	body, err := encodeList(l, &old)
	if err != nil {
		return nil, err
	}
	sig, succession := to.Sign(nameList, body), from.Sign(nameSuccession, body)
	return ParseSignedList(append(append(body, sig[:]...), succession[:]...))
}

// ParseSignedList reads a signed list and verifies its own signatures: that of
// the key that it names and, of a rotation, that of the key before. Whether the
// key is the right one for the account only Pin.Follow can say. The input is
// copied. Errors: ErrMalformed, ErrVersion, ErrKey, ErrSignature.
func ParseSignedList(b []byte) (*SignedList, error) {
	l, from, rest, err := decodeList(b)
	if err != nil {
		return nil, err
	}
	body := b[:len(b)-len(rest)]
	n := 64
	if from != nil {
		n = 128
	}
	if len(rest) != n {
		return nil, ErrMalformed
	}
	if err := l.checkKeys(); err != nil {
		return nil, err
	}
	if err := l.Key.Verify(nameList, body, Signature(rest[:64])); err != nil {
		return nil, err
	}
	s := &SignedList{List: l, raw: bytes.Clone(b), hash: hashList(body)}
	if from != nil {
		if err := from.Verify(nameSuccession, body, Signature(rest[64:])); err != nil {
			return nil, err
		}
		s.from = *from
	}
	return s, nil
}

// Bytes is the signed list as received. The caller must not change it.
func (s *SignedList) Bytes() []byte { return s.raw }

// Hash names this version of this list.
func (s *SignedList) Hash() ListHash { return s.hash }

// Rotation reports whether this list hands the account over from one key to
// the next.
func (s *SignedList) Rotation() bool { return s.from != AccountPublic{} }

// From is the key that a rotation hands over from; zero for any other list.
func (s *SignedList) From() AccountPublic { return s.from }

// Find is the device with this id.
func (s *SignedList) Find(id DeviceID) (Device, bool) {
	for _, d := range s.List.Devices {
		if d.ID == id {
			return d, true
		}
	}
	return Device{}, false
}

// String is 64 hexadecimal digits.
func (h ListHash) String() string { return hex.EncodeToString(h[:]) }

func hashList(body []byte) ListHash { return sha256.Sum256(SignedInput(nameListHash, body)) }

func (l DeviceList) checkKeys() error {
	if err := l.Key.Check(); err != nil {
		return err
	}
	for _, d := range l.Devices {
		if err := d.Key.Check(); err != nil {
			return err
		}
	}
	return nil
}

func encodeList(l DeviceList, from *AccountPublic) ([]byte, error) {
	l.Devices = sortedDevices(l.Devices)
	if !l.wellFormed(from) {
		return nil, ErrMalformed
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, MaxSignedList))
	b.AddUint16(recordVersion1)
	if from == nil {
		b.AddUint8(formPlain)
	} else {
		b.AddUint8(formRotation)
	}
	b.AddBytes(l.Account[:])
	b.AddBytes(l.Key[:])
	b.AddBytes(l.Next[:])
	b.AddUint64(l.Version)
	b.AddBytes(l.Prev[:])
	b.AddUint64(uint64(l.IssuedAt))
	b.AddUint64(l.BookVersion)
	b.AddBytes(l.BookHash[:])
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, d := range l.Devices {
			b.AddBytes(d.ID[:])
			b.AddBytes(d.Key[:])
			b.AddUint64(uint64(d.AddedAt))
			b.AddUint8(uint8(d.Class))
			b.AddUint8(uint8(d.How))
		}
	})
	if from != nil {
		b.AddBytes(from[:])
	}
	return b.Bytes()
}
