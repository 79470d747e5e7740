package opaque

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"io"

	"github.com/bytemare/ecc"
	"golang.org/x/crypto/cryptobyte"
)

// SetupSize is the size of an encoded [Setup], bytes.
const SetupSize = 2 + seedSize + 32 + sha256.Size

const (
	setupVersion = 1
	seedSize     = sha512.Size
)

// Setup is what a server must keep to answer its accounts, and the same on each
// of its nodes: the OPRF seed and the private AKE key of RFC 9807, section 5.
// Whoever has it and the records can guess passwords offline; without it, the
// records alone say nothing. So it lies in a key file of its own, never in the
// store nor in the store's backups. Losing it locks every account out.
type Setup struct {
	redacted
	seed    [seedSize]byte
	private [32]byte
}

// NewSetup makes a setup from rand.
func NewSetup(rand io.Reader) (s Setup, err error) {
	var uniform [64]byte
	if _, err := io.ReadFull(rand, s.seed[:]); err != nil {
		return Setup{}, err
	}
	if _, err := io.ReadFull(rand, uniform[:]); err != nil {
		return Setup{}, err
	}
	s.private = [32]byte(scalar(uniform[:], "reseal/1 opaque server key").Encode())
	return s, nil
}

// Encode is the key file, SetupSize bytes (spec/login.md, "Server setup").
func (s Setup) Encode() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, SetupSize))
	b.AddUint16(setupVersion)
	b.AddBytes(s.seed[:])
	b.AddBytes(s.private[:])
	sum := setupSum(b.BytesOrPanic())
	return append(b.BytesOrPanic(), sum[:]...)
}

// ParseSetup reads a key file. The checksum tells a damaged file from good
// bytes before every account is told that its password is wrong. Errors:
// [ErrSetup].
func ParseSetup(b []byte) (s Setup, err error) {
	in := cryptobyte.String(b)
	var version uint16
	var sum [sha256.Size]byte
	if len(b) != SetupSize || !in.ReadUint16(&version) || version != setupVersion ||
		!in.CopyBytes(s.seed[:]) || !in.CopyBytes(s.private[:]) || !in.CopyBytes(sum[:]) {
		return Setup{}, ErrSetup
	}
	want := setupSum(b[:SetupSize-sha256.Size])
	if subtle.ConstantTimeCompare(sum[:], want[:]) != 1 {
		return Setup{}, ErrSetup
	}
	if _, err := s.key(); err != nil {
		return Setup{}, ErrSetup
	}
	return s, nil
}

// Key derives a key for something else that the server seals for itself, one
// for each purpose. It does not change as long as the setup does not.
func (s Setup) Key(purpose string) [32]byte {
	return [32]byte(derive(s.private[:], "server "+purpose, 32))
}

func (s Setup) key() (*ecc.Scalar, error) {
	k := production.conf.AKE.Group().NewScalar()
	if err := k.Decode(s.private[:]); err != nil {
		return nil, err
	}
	if k.IsZero() {
		return nil, ErrSetup
	}
	return k, nil
}

// fakeRecord is what stands for the record of every unknown handle (RFC 9807,
// section 10.9). It is derived, so that all nodes have the same one and the
// answers do not change with a restart. Its private key is forgotten.
func (s Setup) fakeRecord() []byte {
	material, err := hkdf.Key(sha512.New, s.seed[:], nil, "reseal/1 opaque fake record", 128)
	if err != nil {
		panic("opaque: internal error: " + err.Error())
	}
	g := production.conf.AKE.Group()
	public := g.Base().Multiply(scalar(material[:64], "reseal/1 opaque fake record"))
	record := append(public.Encode(), material[64:]...)
	return append(record, make([]byte, RecordSize-len(record))...)
}

func setupSum(b []byte) [sha256.Size]byte {
	return sha256.Sum256(append([]byte("reseal/1 opaque setup\x00"), b...))
}
