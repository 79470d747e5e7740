package identity

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// Times of the epoch rules.
const (
	// CertificateLife is how long an epoch certificate is good: 90 days.
	CertificateLife = 90 * 24 * time.Hour
	// EpochAge is the age from which a device publishes a new epoch before it
	// sends or answers.
	EpochAge = 7 * 24 * time.Hour
	// StaleAfter is how long after its successor was published an epoch may
	// still be wrapped to.
	StaleAfter = 6 * 24 * time.Hour
	// EraseAfter is how long after its successor was published a private half
	// is kept at the least. The day over StaleAfter is for clocks that differ
	// and wraps that are on their way.
	EraseAfter = 7 * 24 * time.Hour
	// EraseAlways is how long after its successor was published a private half
	// may be kept for what waits to be opened: EraseAfter, and the 30 days that
	// a message lives.
	EraseAlways = EraseAfter + 30*24*time.Hour
	// ClockSkew is how far a clock may be off: the server refuses more.
	ClockSkew = time.Hour
)

// CertificateSize is the size of a signed certificate in bytes.
const CertificateSize = certificateBody + 64

const certificateBody = 1308

const (
	nameCertificate     = "epoch certificate"
	nameCertificateHash = "epoch certificate hash"
)

// CertHash names one epoch certificate: SHA-256 of the label
// "reseal/1 epoch certificate hash", a zero byte, and the certificate without
// its signature.
type CertHash [32]byte

// Certificate is what a device key signs for an epoch.
type Certificate struct {
	Account    AccountID
	Device     DeviceID
	Epoch      uint64          // 1 at first, higher at every new one
	Key        EpochPublic     // EK
	Auth       EpochAuthPublic // XA
	MaxVersion uint16          // highest record version that the device reads; never falls
	NotBefore  Time
	NotAfter   Time // NotBefore + CertificateLife
}

// SignedCertificate is an epoch certificate and the bytes it came in. Its
// signature is unverified until Verify or VerifyIn returned nil. It is
// immutable: Certificate must not be changed.
type SignedCertificate struct {
	Certificate Certificate
	raw         []byte
	hash        CertHash
}

// SignCertificate signs c. ErrMalformed when a rule of spec/identity.md is
// broken, ErrKey when one of its two keys is unusable.
func SignCertificate(c Certificate, k DeviceKey) (*SignedCertificate, error) {
	if k.priv == nil {
		return nil, ErrKey
	}
	if !c.wellFormed() {
		return nil, ErrMalformed
	}
	if c.Key.Check() != nil || c.Auth.Check() != nil {
		return nil, ErrKey
	}
	body, err := c.encode()
	if err != nil {
		return nil, err
	}
	sig := k.Sign(nameCertificate, body)
	return ParseCertificate(append(body, sig[:]...))
}

// ParseCertificate reads a certificate without verifying it: neither signature
// nor keys are checked, because that takes the device's entry in a list (see
// VerifyIn). The input is copied. Errors: ErrMalformed, ErrVersion.
func ParseCertificate(b []byte) (*SignedCertificate, error) {
	s := cryptobyte.String(b)
	var version uint16
	if !s.ReadUint16(&version) || version == 0 {
		return nil, ErrMalformed
	}
	if version != recordVersion1 {
		return nil, ErrVersion
	}
	var c Certificate
	if len(b) != CertificateSize ||
		!s.CopyBytes(c.Account[:]) ||
		!s.CopyBytes(c.Device[:]) ||
		!s.ReadUint64(&c.Epoch) ||
		!s.CopyBytes(c.Key[:]) ||
		!s.CopyBytes(c.Auth[:]) ||
		!s.ReadUint16(&c.MaxVersion) ||
		!s.ReadUint64((*uint64)(&c.NotBefore)) ||
		!s.ReadUint64((*uint64)(&c.NotAfter)) ||
		!c.wellFormed() {
		return nil, ErrMalformed
	}
	hash := CertHash(sha256.Sum256(SignedInput(nameCertificateHash, b[:certificateBody])))
	return &SignedCertificate{Certificate: c, raw: bytes.Clone(b), hash: hash}, nil
}

// Verify checks that d signed the certificate and that its two keys are
// usable. Errors: ErrSignature (another device's certificate too), ErrKey.
func (s *SignedCertificate) Verify(d Device) error {
	if d.ID != s.Certificate.Device {
		return ErrSignature
	}
	sig := Signature(s.raw[certificateBody:])
	if err := d.Key.Verify(nameCertificate, s.raw[:certificateBody], sig); err != nil {
		return err
	}
	if s.Certificate.Key.Check() != nil || s.Certificate.Auth.Check() != nil {
		return ErrKey
	}
	return nil
}

// VerifyIn checks the certificate against the account's list: its device is in
// it and signed it. Errors: ErrOtherAccount, ErrSignature, ErrKey.
func (s *SignedCertificate) VerifyIn(l *SignedList) error {
	if s.Certificate.Account != l.List.Account {
		return ErrOtherAccount
	}
	d, ok := l.Find(s.Certificate.Device)
	if !ok {
		return ErrSignature
	}
	return s.Verify(d)
}

// Bytes is the certificate as received, CertificateSize bytes. The caller must
// not change it.
func (s *SignedCertificate) Bytes() []byte { return s.raw }

// Hash names this certificate.
func (s *SignedCertificate) Hash() CertHash { return s.hash }

// String is 64 hexadecimal digits.
func (h CertHash) String() string { return hex.EncodeToString(h[:]) }

func (c Certificate) wellFormed() bool {
	return !c.Account.IsZero() && !c.Device.IsZero() &&
		c.Epoch > 0 && c.MaxVersion > 0 &&
		c.NotBefore <= MaxTime && c.NotAfter <= MaxTime &&
		c.NotAfter == c.NotBefore.Add(CertificateLife)
}

// encode is what the device key signs.
func (c Certificate) encode() ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, CertificateSize))
	b.AddUint16(recordVersion1)
	b.AddBytes(c.Account[:])
	b.AddBytes(c.Device[:])
	b.AddUint64(c.Epoch)
	b.AddBytes(c.Key[:])
	b.AddBytes(c.Auth[:])
	b.AddUint16(c.MaxVersion)
	b.AddUint64(uint64(c.NotBefore))
	b.AddUint64(uint64(c.NotAfter))
	return b.Bytes()
}
