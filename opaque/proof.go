package opaque

import (
	"crypto/subtle"
	"encoding/hex"
	"io"

	"github.com/bytemare/ecc"
)

// Sizes of a proof of a server's key, bytes (spec/login.md, "Which server
// answers").
const (
	ChallengeSize = 32
	ProofSize     = 32
	// AnswerSize is the key and the proof.
	AnswerSize = 32 + ProofSize
)

// ServerKey is a server's public AKE key, 32 bytes: which server it is. It is
// the same as long as the key file is. The zero value is no key.
type ServerKey [32]byte

// IsZero reports whether there is no key.
func (k ServerKey) IsZero() bool { return k == ServerKey{} }

// String is 64 lower-case hexadecimal digits.
func (k ServerKey) String() string { return hex.EncodeToString(k[:]) }

// Key is the server's own, zero for one that was not made from a [Setup].
func (v *Server) Key() ServerKey { return v.public }

// Answer proves to who drew the challenge, ChallengeSize bytes, that this
// server has the private half of its key: AnswerSize bytes, the key and the
// proof. It takes one multiplication. Errors: [ErrMessage] for what is no
// challenge, [ErrSetup] without a key.
func (v *Server) Answer(challenge []byte) ([]byte, error) {
	if v.private == nil {
		return nil, ErrSetup
	}
	e, err := element(challenge)
	if err != nil {
		return nil, ErrMessage
	}
	return append(v.public[:], proof(e.Multiply(v.private), v.public, challenge)...), nil
}

// Challenge is a question to a server for its key: a secret for one answer.
type Challenge struct {
	redacted
	secret *ecc.Scalar
	public []byte
}

// NewChallenge draws a challenge from rand.
func NewChallenge(rand io.Reader) (*Challenge, error) {
	var uniform [64]byte
	if _, err := io.ReadFull(rand, uniform[:]); err != nil {
		return nil, err
	}
	s := scalar(uniform[:], "reseal/1 server challenge")
	return &Challenge{secret: s, public: production.conf.AKE.Group().Base().Multiply(s).Encode()}, nil
}

// Bytes go to the server, ChallengeSize of them.
func (c *Challenge) Bytes() []byte { return c.public }

// Check returns the key that an answer proves. Errors: [ErrMessage] for one
// that proves none.
func (c *Challenge) Check(answer []byte) (ServerKey, error) {
	if len(answer) != AnswerSize {
		return ServerKey{}, ErrMessage
	}
	k := ServerKey(answer[:32])
	e, err := element(k[:])
	if err != nil {
		return ServerKey{}, ErrMessage
	}
	if subtle.ConstantTimeCompare(answer[32:], proof(e.Multiply(c.secret), k, c.public)) != 1 {
		return ServerKey{}, ErrMessage
	}
	return k, nil
}

func proof(shared *ecc.Element, k ServerKey, challenge []byte) []byte {
	return derive(shared.Encode(), "server proof\x00"+string(k[:])+string(challenge), ProofSize)
}

// element reads one that is canonically encoded and not the identity.
func element(b []byte) (*ecc.Element, error) {
	e := production.conf.AKE.Group().NewElement()
	if len(b) != 32 {
		return nil, ErrMessage
	}
	if err := e.Decode(b); err != nil || e.IsIdentity() {
		return nil, ErrMessage
	}
	return e, nil
}
