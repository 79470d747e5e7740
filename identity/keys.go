package identity

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"filippo.io/edwards25519"
)

// SeedSize is the size of every private key in bytes: all of them are stored
// and carried as 32-byte seeds.
const SeedSize = 32

// AccountPublic is an account's Ed25519 public key (AK), 32 bytes.
type AccountPublic [32]byte

// DevicePublic is a device's Ed25519 public key (DSK), 32 bytes.
type DevicePublic [32]byte

// Signature is an Ed25519 signature (RFC 8032), 64 bytes.
type Signature [64]byte

// NextHash commits to the next account key: SHA-256 of its public key.
type NextHash [32]byte

// AccountKey is the private half of an account key. It signs device lists and
// nothing else, and is in memory only while it does.
type AccountKey struct {
	redacted
	priv ed25519.PrivateKey
}

// DeviceKey is the private half of a device key. It signs epoch certificates
// and requests of its device.
type DeviceKey struct {
	redacted
	priv ed25519.PrivateKey
}

// NewAccountKey makes an account key from 32 bytes of rand.
func NewAccountKey(rand io.Reader) (AccountKey, error) {
	seed, err := newSeed(rand)
	if err != nil {
		return AccountKey{}, err
	}
	return AccountKeyFromSeed(seed[:])
}

// AccountKeyFromSeed is the account key of a 32-byte seed; ErrKey for any other
// length.
func AccountKeyFromSeed(seed []byte) (AccountKey, error) {
	if len(seed) != SeedSize {
		return AccountKey{}, ErrKey
	}
	return AccountKey{priv: ed25519.NewKeyFromSeed(seed)}, nil
}

// NextAccountKey is the account key that a recovery code stands for
// (spec/identity.md, "Next account key"). The code needs its full 128 bits of
// entropy: anybody can try codes against the committed hash.
func NextAccountKey(code [16]byte) AccountKey {
	seed, err := hkdf.Key(sha256.New, code[:], nil, "reseal/1 next", SeedSize)
	if err != nil {
		panic("identity: internal error: " + err.Error())
	}
	return AccountKey{priv: ed25519.NewKeyFromSeed(seed)}
}

// NewDeviceKey makes a device key from 32 bytes of rand.
func NewDeviceKey(rand io.Reader) (DeviceKey, error) {
	seed, err := newSeed(rand)
	if err != nil {
		return DeviceKey{}, err
	}
	return DeviceKeyFromSeed(seed[:])
}

// DeviceKeyFromSeed is the device key of a 32-byte seed; ErrKey for any other
// length.
func DeviceKeyFromSeed(seed []byte) (DeviceKey, error) {
	if len(seed) != SeedSize {
		return DeviceKey{}, ErrKey
	}
	return DeviceKey{priv: ed25519.NewKeyFromSeed(seed)}, nil
}

// Seed is a copy of the 32-byte seed.
func (k AccountKey) Seed() []byte { return append([]byte(nil), k.priv.Seed()...) }

// Seed is a copy of the 32-byte seed.
func (k DeviceKey) Seed() []byte { return append([]byte(nil), k.priv.Seed()...) }

// Public is the public half.
func (k AccountKey) Public() AccountPublic { return AccountPublic(k.priv.Public().(ed25519.PublicKey)) }

// Public is the public half.
func (k DeviceKey) Public() DevicePublic { return DevicePublic(k.priv.Public().(ed25519.PublicKey)) }

// Sign signs body as the record called name: the signed input is
// SignedInput(name, body). Deterministic (RFC 8032, 5.1.6).
func (k AccountKey) Sign(name string, body []byte) Signature {
	return Signature(ed25519.Sign(k.priv, SignedInput(name, body)))
}

// Sign signs body as the record called name: the signed input is
// SignedInput(name, body). Deterministic (RFC 8032, 5.1.6).
func (k DeviceKey) Sign(name string, body []byte) Signature {
	return Signature(ed25519.Sign(k.priv, SignedInput(name, body)))
}

// SignedInput is what every Ed25519 signature of Reseal covers: "reseal/1 ",
// the record's name, a zero byte, and the body as it travels
// (spec/encoding.md, "Signatures"). No name holds a zero byte, so no two
// records share an input.
func SignedInput(name string, body []byte) []byte {
	b := make([]byte, 0, len(label)+len(name)+1+len(body))
	b = append(b, label...)
	b = append(b, name...)
	b = append(b, 0)
	return append(b, body...)
}

const label = "reseal/1 "

// Verify checks a signature of the record called name over body as received.
// Every failure, an unusable key too, is ErrSignature.
func (p AccountPublic) Verify(name string, body []byte, sig Signature) error {
	return verify(p, name, body, sig)
}

// Verify checks a signature of the record called name over body as received.
// Every failure, an unusable key too, is ErrSignature.
func (p DevicePublic) Verify(name string, body []byte, sig Signature) error {
	return verify(p, name, body, sig)
}

// Check returns ErrKey for a key of small order or one that is not canonically
// encoded. Verify and the parsers of this package call it themselves.
func (p AccountPublic) Check() error { return checkEd25519(p) }

// Check returns ErrKey for a key of small order or one that is not canonically
// encoded. Verify and the parsers of this package call it themselves.
func (p DevicePublic) Check() error { return checkEd25519(p) }

// Next is the commitment of a list to this key as its successor.
func (p AccountPublic) Next() NextHash { return sha256.Sum256(p[:]) }

func verify(p [32]byte, name string, body []byte, sig Signature) error {
	return verifyInput(p, SignedInput(name, body), sig)
}

// verifyInput accepts what RFC 8032, 5.1.7, accepts without the cofactor, under
// a usable key. crypto/ed25519 refuses S >= L, and R that is not canonical,
// because it compares R byte by byte with its own encoding; but it takes any
// key that decodes. Under a key of small order one signature fits many
// messages, hence the check.
func verifyInput(p [32]byte, input []byte, sig Signature) error {
	if checkEd25519(p) != nil || !ed25519.Verify(p[:], input, sig[:]) {
		return ErrSignature
	}
	return nil
}

// checkEd25519 runs in variable time; its input is public.
func checkEd25519(p [32]byte) error {
	a, err := new(edwards25519.Point).SetBytes(p[:])
	if err != nil {
		return ErrKey
	}
	// SetBytes takes y >= p and the "negative zero" x, so that one key had
	// several encodings and a comparison of pinned bytes missed it.
	if [32]byte(a.Bytes()) != p {
		return ErrKey
	}
	if a.MultByCofactor(a).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return ErrKey
	}
	return nil
}

func newSeed(rand io.Reader) (seed [SeedSize]byte, err error) {
	_, err = io.ReadFull(rand, seed[:])
	return seed, err
}

// String is "ak:" and 64 hexadecimal digits.
func (p AccountPublic) String() string { return "ak:" + hex.EncodeToString(p[:]) }

// String is "dsk:" and 64 hexadecimal digits.
func (p DevicePublic) String() string { return "dsk:" + hex.EncodeToString(p[:]) }

// String is 64 hexadecimal digits.
func (h NextHash) String() string { return hex.EncodeToString(h[:]) }
