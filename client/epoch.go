package client

import (
	"fmt"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// MaxVersion is the highest record version that this engine reads.
const MaxVersion = 1

// NewEpoch makes an epoch's keys and certificate and the record that the
// engine keeps of them; login flows publish the first one with the list.
func NewEpoch(e *EpochKeys) ([]byte, error) {
	r := &state.Epoch{
		Number: e.Number, KeySeed: e.Key.Seed(), AuthSeed: e.Auth.Seed(),
		Certificate: e.Certificate.Bytes(), Published: e.Published,
	}
	return marshal(r)
}

// EpochKeys is one epoch of a device, with both private halves.
type EpochKeys struct {
	Number      uint64
	Key         identity.EpochKey
	Auth        identity.EpochAuthKey
	Certificate *identity.SignedCertificate
	Published   bool
}

// ownEpoch is a stored epoch of this device. Its private halves are made from
// their seeds when they are asked for, which takes 120 us; most steps look at the
// certificate alone.
type ownEpoch struct {
	*state.Epoch
	certificate *identity.SignedCertificate
	auth        *identity.EpochAuthKey
}

// epoch returns a stored epoch, nil where there is none (any more).
func (s *step) epoch(n uint64) *ownEpoch {
	r := load[state.Epoch](&s.tx, epochName(n))
	if r == nil {
		return nil
	}
	c, err := s.e.memory.certificate(r.Certificate)
	if err != nil || len(r.KeySeed) != identity.SeedSize || len(r.AuthSeed) != identity.SeedSize {
		s.tx.err = fmt.Errorf("%w: epoch", ErrState)
		return nil
	}
	return &ownEpoch{Epoch: r, certificate: c}
}

func (k *ownEpoch) keyPair() (identity.EpochKey, error) { return identity.EpochKeyFromSeed(k.KeySeed) }

func (k *ownEpoch) authKey() (identity.EpochAuthKey, error) {
	if k.auth == nil {
		auth, err := identity.EpochAuthKeyFromSeed(k.AuthSeed)
		if err != nil {
			return auth, err
		}
		k.auth = &auth
	}
	return *k.auth, nil
}

// current is the newest published epoch; a newer one that is still on its way
// comes second.
func (s *step) current() (published, pending *ownEpoch) {
	var newest, open uint64
	for _, name := range s.tx.names(prefixEpoch) {
		switch r := load[state.Epoch](&s.tx, name); {
		case r == nil:
		case r.Published:
			newest, open = r.Number, 0
		default:
			open = r.Number
		}
	}
	if newest != 0 {
		published = s.epoch(newest)
	}
	if open != 0 {
		pending = s.epoch(open)
	}
	return published, pending
}

// freshEpoch returns the epoch to send and answer with. Where it is older than
// a week, or there is none, a new one is made and published first: it returns
// nil, and what wanted it is looked at again once it is published.
func (s *step) freshEpoch() *ownEpoch {
	cur, pending := s.current()
	if pending != nil {
		s.publish(pending.Number, pending.certificate)
		return nil
	}
	if cur != nil && !identity.NeedsNewEpoch(cur.certificate.Certificate, s.now) {
		return cur
	}
	if s.e.removed(s.me()) || !s.clockAgrees() || !s.mayCall(prefixEpoch) {
		return nil
	}
	var number uint64 = 1
	if cur != nil {
		number = cur.Number + 1
	}
	k, err := MakeEpoch(s.e, number, s.now)
	if err != nil {
		s.tx.err = err
		return nil
	}
	b, err := NewEpoch(k)
	if err != nil {
		s.tx.err = err
		return nil
	}
	s.tx.put(epochName(number), b)
	s.publish(k.Number, k.Certificate)
	return nil
}

// clockAgrees tells whether the server would take a time of now, as far as is
// known.
func (s *step) clockAgrees() bool {
	return s.clock.Server == 0 || s.now.Sub(s.clock.Server).Abs() < identity.ClockSkew
}

// removed tells whether this device has left its account's list.
func (e *Engine) removed(self *state.Self) bool {
	l, err := e.list(self.List)
	if err != nil {
		return true
	}
	_, here := l.Find(e.id.device)
	return !here
}

// MakeEpoch makes fresh epoch keys and signs their certificate.
func MakeEpoch(e *Engine, number uint64, now identity.Time) (*EpochKeys, error) {
	return FirstEpoch(e.id.account, e.id.device, e.id.key, number, now, e.rand)
}

// publish asks the server for a challenge; the answer to it publishes.
func (s *step) publish(number uint64, c *identity.SignedCertificate) {
	s.do(Call{fmt.Sprintf("epoch/%d", number), &resealv1.ChallengeEpochRequest{Certificate: c.Bytes()}})
}

// challenged answers the server's challenge with the certificate.
func (s *step) challenged(req *resealv1.ChallengeEpochRequest, resp *resealv1.ChallengeEpochResponse) {
	_, k := s.current()
	if k == nil || string(k.certificate.Bytes()) != string(req.Certificate) {
		return
	}
	if len(resp.GetEnc()) != identity.EncSize {
		s.count.BadKeys++
		return
	}
	key, err := k.keyPair()
	if err != nil {
		s.tx.err = fmt.Errorf("%w: epoch", ErrState)
		return
	}
	answer, err := identity.Answer(key, [identity.EncSize]byte(resp.Enc), k.certificate.Hash())
	if err != nil {
		s.count.BadKeys++
		return
	}
	s.do(Call{fmt.Sprintf("publish/%d", k.Number), &resealv1.PublishEpochRequest{Certified: &resealv1.Certified{
		Certificate: k.certificate.Bytes(), ChallengeState: resp.State, ChallengeAnswer: answer[:],
	}}})
}

// epochPublished marks the new epoch, and lets what waited for it go on.
func (s *step) epochPublished(req *resealv1.PublishEpochRequest) {
	cur, k := s.current()
	if k == nil || string(k.certificate.Bytes()) != string(req.Certified.GetCertificate()) {
		return
	}
	if cur != nil {
		cur.SupersededAt = uint64(s.now)
		s.tx.save(epochName(cur.Number), cur.Epoch)
	}
	k.Published = true
	s.tx.save(epochName(k.Number), k.Epoch)
	s.keepOwnCertificate(k.certificate)
	s.renewAsks()
	s.lacking()
	s.reconsider(s.e.id.account)
	s.askedBefore()
}

// keepOwnCertificate puts this device's own newest certificate among the own
// account's.
func (s *step) keepOwnCertificate(c *identity.SignedCertificate) {
	l, err := s.e.list(s.me().List)
	if err != nil {
		s.tx.err = fmt.Errorf("%w: own list", ErrState)
		return
	}
	certs, changed := s.followCertificates(l, s.me().Certificates, [][]byte{c.Bytes()})
	if changed {
		s.edit(func(self *state.Self) { self.Certificates = certs })
	}
}

// epochRefused takes a definite refusal: the server does not have this
// certificate.
func (s *step) epochRefused(req *resealv1.PublishEpochRequest, why *Refusal) {
	cur, k := s.current()
	if k == nil || string(k.certificate.Bytes()) != string(req.GetCertified().GetCertificate()) {
		return
	}
	number := k.Number
	switch why.Reason {
	case resealv1.Reason_REASON_CLOCK:
		// It was made long ago and never arrived, or while the clock was
		// wrong. Where the clocks agree by now, another one is made at the next
		// tick.
		s.tx.delete(epochName(number))
		return
	case resealv1.Reason_REASON_CONFLICT:
		// The number was taken, by a copy of this device most likely (a
		// restored backup): the next one is tried.
	default:
		return // a tick asks for a new challenge
	}
	s.tx.delete(epochName(number))
	if cur == nil || number > cur.Number+16 || !s.mayCall(prefixEpoch) {
		s.count.BadKeys++
		return
	}
	next, err := MakeEpoch(s.e, number+1, s.now)
	if err != nil {
		s.tx.err = err
		return
	}
	if b, err := NewEpoch(next); err == nil {
		s.tx.put(epochName(next.Number), b)
		s.publish(next.Number, next.Certificate)
	}
}

// namedEpochs are the certificates of this device that the kept wraps of
// messages name which wait here and have not expired.
func (s *step) namedEpochs() map[identity.CertHash]bool {
	named := map[identity.CertHash]bool{}
	for _, name := range s.tx.names(prefixWait) {
		id, err := message.ParseID(name[len(prefixWait):])
		if err != nil {
			continue
		}
		in := s.in(id)
		if in == nil || in.State != inWaiting {
			continue
		}
		h, err := message.ParseHeader(in.Header)
		if err != nil || h.Expired(s.now) {
			continue
		}
		for _, raw := range in.Wraps {
			w, err := message.ParseWrap(raw)
			if err == nil && w.Context.Fits(h) == nil && w.Context.To.Account == s.e.id.account && w.Context.To.Device == s.e.id.device {
				named[w.Context.To.Cert] = true
			}
		}
	}
	return named
}

// dropOldEpochs forgets private halves, at a complete sync that began long
// enough after their successor was published, and other devices' certificates
// that no pending message names any more. What waits was looked at again
// before: a wrap that is still kept may open later, with the epoch that it
// names.
func (s *step) dropOldEpochs() {
	named := s.namedEpochs()
	for _, name := range s.tx.names(prefixEpoch) {
		r := load[state.Epoch](&s.tx, name)
		if r == nil || r.SupersededAt == 0 || !identity.MayErase(identity.Time(r.SupersededAt), s.e.connectedAt) {
			continue
		}
		c, err := s.e.memory.certificate(r.Certificate)
		if err != nil || !named[c.Hash()] || identity.MustErase(identity.Time(r.SupersededAt), s.now) {
			s.tx.delete(name)
		}
	}
	for _, name := range s.tx.names(prefixCert) {
		b, _ := s.tx.get(name)
		c, err := s.e.memory.certificate(b)
		if err != nil || s.now.Sub(c.Certificate.NotAfter) > message.MaxLife+message.EndKept {
			s.tx.delete(name)
		}
	}
}
