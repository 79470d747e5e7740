package identity

import (
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"slices"
)

// Sizes of the epoch KEM in bytes: ML-KEM-768 and X25519 together, which HPKE
// calls MLKEM768-X25519 (0x647a) and others X-Wing.
const (
	EpochPublicSize = 1216
	EncSize         = 1120
)

// EpochPublic is the public half of an epoch key: 1184 bytes of ML-KEM-768 and
// 32 bytes of X25519.
type EpochPublic [EpochPublicSize]byte

// EpochAuthPublic is an X25519 public key (XA), 32 bytes.
type EpochAuthPublic [32]byte

// EpochKey is the private half of an epoch key (EK), kept as its 32-byte seed.
// Content keys are wrapped to its public half.
type EpochKey struct {
	redacted
	seed [SeedSize]byte
	priv hpke.PrivateKey
}

// EpochAuthKey is the private half of an epoch auth key (XA). It is never the
// KEM's own X25519 half: that one decapsulates for anybody who asks.
type EpochAuthKey struct {
	redacted
	priv *ecdh.PrivateKey
}

// NewEpochKey makes an epoch key from 32 bytes of rand.
func NewEpochKey(rand io.Reader) (EpochKey, error) {
	seed, err := newSeed(rand)
	if err != nil {
		return EpochKey{}, err
	}
	return EpochKeyFromSeed(seed[:])
}

// EpochKeyFromSeed is the epoch key of a 32-byte seed; ErrKey for any other
// length. The seed is the X-Wing decapsulation key itself; HPKE's DeriveKeyPair
// is not used, because implementations differ in it.
func EpochKeyFromSeed(seed []byte) (EpochKey, error) {
	if len(seed) != SeedSize {
		return EpochKey{}, ErrKey
	}
	priv, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
	if err != nil {
		return EpochKey{}, ErrKey
	}
	return EpochKey{seed: [SeedSize]byte(seed), priv: priv}, nil
}

// Seed is a copy of the 32-byte seed.
func (k EpochKey) Seed() []byte { return append([]byte(nil), k.seed[:]...) }

// Public is the public half.
func (k EpochKey) Public() EpochPublic { return EpochPublic(k.priv.PublicKey().Bytes()) }

// HPKE is the key as crypto/hpke takes it. Safe for concurrent use.
func (k EpochKey) HPKE() hpke.PrivateKey { return k.priv }

// HPKE is the key as crypto/hpke takes it. ErrKey when the ML-KEM half is no
// encapsulation key (FIPS 203, 7.2) or the X25519 half is not canonical. One of
// low order is found by the first encapsulation, which fails, or by Check.
func (p EpochPublic) HPKE() (hpke.PublicKey, error) {
	if !canonicalX25519([32]byte(p[EpochPublicSize-32:])) {
		return nil, ErrKey
	}
	pub, err := hpke.MLKEM768X25519().NewPublicKey(p[:])
	if err != nil {
		return nil, ErrKey
	}
	return pub, nil
}

// Check returns ErrKey for a key that HPKE refuses or whose X25519 half is of
// low order.
func (p EpochPublic) Check() error {
	if _, err := p.HPKE(); err != nil {
		return err
	}
	return checkX25519([32]byte(p[EpochPublicSize-32:]))
}

// NewEpochAuthKey makes an epoch auth key from 32 bytes of rand.
func NewEpochAuthKey(rand io.Reader) (EpochAuthKey, error) {
	seed, err := newSeed(rand)
	if err != nil {
		return EpochAuthKey{}, err
	}
	return EpochAuthKeyFromSeed(seed[:])
}

// EpochAuthKeyFromSeed is the X25519 key of 32 bytes, which are clamped where
// they are used (RFC 7748, 5); ErrKey for any other length.
func EpochAuthKeyFromSeed(seed []byte) (EpochAuthKey, error) {
	priv, err := ecdh.X25519().NewPrivateKey(seed)
	if err != nil {
		return EpochAuthKey{}, ErrKey
	}
	return EpochAuthKey{priv: priv}, nil
}

// Seed is a copy of the 32 bytes that the key was made from.
func (k EpochAuthKey) Seed() []byte { return k.priv.Bytes() }

// Public is the public half.
func (k EpochAuthKey) Public() EpochAuthPublic { return EpochAuthPublic(k.priv.PublicKey().Bytes()) }

// DH is X25519 of k and p: 32 bytes that only the two key holders can compute.
// ErrKey when p is of low order or not canonical, so the result is never zero.
func (k EpochAuthKey) DH(p EpochAuthPublic) ([32]byte, error) {
	if !canonicalX25519(p) {
		return [32]byte{}, ErrKey
	}
	pub, err := ecdh.X25519().NewPublicKey(p[:])
	if err != nil {
		return [32]byte{}, ErrKey
	}
	z, err := k.priv.ECDH(pub) // refuses the all-zero result
	if err != nil {
		return [32]byte{}, ErrKey
	}
	return [32]byte(z), nil
}

// Check returns ErrKey for a key of low order or one that is not canonically
// encoded.
func (p EpochAuthPublic) Check() error { return checkX25519(p) }

// fieldPrime is 2^255-19, little-endian.
var fieldPrime = [32]byte{
	0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
}

// canonicalX25519 reports whether u is below 2^255-19. X25519 itself reduces,
// so that one point had several encodings.
func canonicalX25519(u [32]byte) bool {
	for i := len(u) - 1; i >= 0; i-- {
		if u[i] != fieldPrime[i] {
			return u[i] < fieldPrime[i]
		}
	}
	return false
}

// lowOrder are the u-coordinates below 2^255-19 of the points of order 1, 2, 4 and
// 8 of Curve25519 and its twist, little-endian: X25519 of any of them is zero,
// whatever the scalar (RFC 7748, section 7: small order).
var lowOrder = [...][32]byte{
	{},
	{1},
	{
		0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
		0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
	},
	{
		0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
		0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
	},
	{
		0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
	},
}

// checkX25519 returns ErrKey for what is not canonical or of low order. Its input
// is public.
func checkX25519(u [32]byte) error {
	if !canonicalX25519(u) || slices.Contains(lowOrder[:], u) {
		return ErrKey
	}
	return nil
}

// possession labels both the HPKE info and the export of a challenge.
const possession = "reseal/1 epoch possession"

// Proof is the answer to a possession challenge, 32 bytes.
type Proof [32]byte

// Equal compares in constant time.
func (p Proof) Equal(q Proof) bool { return subtle.ConstantTimeCompare(p[:], q[:]) == 1 }

// Challenge makes a challenge that only the holder of pub's private half can
// answer, for the certificate with this hash: enc is sent, proof is kept and
// compared with Proof.Equal. ErrPossession when pub is unusable. crypto/hpke
// draws the encapsulation from the system's randomness.
func Challenge(pub EpochPublic, cert CertHash) (enc [EncSize]byte, proof Proof, err error) {
	p, err := pub.HPKE()
	if err != nil {
		return enc, proof, ErrPossession
	}
	b, s, err := hpke.NewSender(p, hpke.HKDFSHA256(), hpke.ExportOnly(), SignedInput("epoch possession", cert[:]))
	if err != nil {
		return enc, proof, ErrPossession
	}
	out, err := s.Export(possession, len(proof))
	if err != nil {
		return enc, proof, ErrPossession
	}
	return [EncSize]byte(b), Proof(out), nil
}

// Answer answers a challenge for the certificate with this hash, which the
// device knows to be its own. A wrap's enc answered here gives away nothing:
// info and export context differ (spec/identity.md, "Possession").
func Answer(k EpochKey, enc [EncSize]byte, cert CertHash) (Proof, error) {
	r, err := hpke.NewRecipient(enc[:], k.priv, hpke.HKDFSHA256(), hpke.ExportOnly(), SignedInput("epoch possession", cert[:]))
	if err != nil {
		return Proof{}, ErrPossession
	}
	out, err := r.Export(possession, len(Proof{}))
	if err != nil {
		return Proof{}, ErrPossession
	}
	return Proof(out), nil
}

// String is "ek:" and 64 hexadecimal digits of the key's SHA-256.
func (p EpochPublic) String() string {
	h := sha256.Sum256(p[:])
	return "ek:" + hex.EncodeToString(h[:])
}

// String is "xa:" and 64 hexadecimal digits.
func (p EpochAuthPublic) String() string { return "xa:" + hex.EncodeToString(p[:]) }
