package auth

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"io"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
)

// A certificate is taken only with the proof that its epoch key is held by who
// publishes it. The challenge is not stored: its answer travels sealed through
// the client and back, bound to the certificate and for five minutes.

// ChallengeEpoch challenges the epoch key of a certificate.
func (s *Service) ChallengeEpoch(ctx context.Context, req *resealv1.ChallengeEpochRequest) (*resealv1.ChallengeEpochResponse, error) {
	if err := s.Limiter.Allow("challenge", peer(ctx)); err != nil {
		return nil, err
	}
	c, err := identity.ParseCertificate(req.Certificate)
	if err != nil {
		return nil, refusal.Malformed("certificate")
	}
	enc, proof, err := identity.Challenge(c.Certificate.Key, c.Hash())
	if err != nil {
		return nil, refusal.Malformed("certificate")
	}
	state, err := s.sealChallenge(c.Hash(), proof)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &resealv1.ChallengeEpochResponse{Enc: enc[:], State: state}, nil
}

func (s *Service) challengeCipher() cipher.AEAD {
	b, err := aes.NewCipher(s.ChallengeKey[:])
	if err != nil {
		panic("auth: internal error: " + err.Error())
	}
	g, err := cipher.NewGCM(b)
	if err != nil {
		panic("auth: internal error: " + err.Error())
	}
	return g
}

func (s *Service) sealChallenge(cert identity.CertHash, proof identity.Proof) ([]byte, error) {
	g := s.challengeCipher()
	nonce := make([]byte, g.NonceSize())
	if _, err := io.ReadFull(s.Rand, nonce); err != nil {
		return nil, err
	}
	plain := binary.BigEndian.AppendUint64(nil, uint64(s.now().Add(ChallengeLife)))
	return g.Seal(nonce, nonce, append(plain, proof[:]...), cert[:]), nil
}

// certified checks a certificate and its proof: of this account and device,
// signed by the device's key, in date, its key held.
func (s *Service) certified(c *resealv1.Certified, l *identity.SignedList, device identity.DeviceID) (*identity.SignedCertificate, error) {
	cert, err := identity.ParseCertificate(c.GetCertificate())
	if err != nil {
		return nil, refusal.Malformed("certificate")
	}
	if cert.Certificate.Device != device || cert.VerifyIn(l) != nil {
		return nil, refusal.New(resealv1.Reason_REASON_PROOF)
	}
	if err := s.near(cert.Certificate.NotBefore); err != nil {
		return nil, err
	}
	if !s.answered(c, cert.Hash()) {
		return nil, refusal.New(resealv1.Reason_REASON_PROOF)
	}
	return cert, nil
}

func (s *Service) answered(c *resealv1.Certified, cert identity.CertHash) bool {
	g := s.challengeCipher()
	if len(c.ChallengeState) < g.NonceSize() || !isLen(c.ChallengeAnswer, len(identity.Proof{})) {
		return false
	}
	plain, err := g.Open(nil, c.ChallengeState[:g.NonceSize()], c.ChallengeState[g.NonceSize():], cert[:])
	if err != nil || len(plain) != 8+len(identity.Proof{}) {
		return false
	}
	return identity.Time(binary.BigEndian.Uint64(plain)) >= s.now() &&
		identity.Proof(plain[8:]).Equal(identity.Proof(c.ChallengeAnswer))
}
