package client

import (
	"errors"

	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/wrap"
)

// verdict is what the opening checks say of one wrap. Outwardly there is one
// failure only; the engine tells apart what can still become good.
type verdict uint8

const (
	// bad counts as no wrap at all.
	bad verdict = iota
	// good: the wrap opened.
	good
	// newer: a record version that this engine does not read. The message
	// waits for an update, without a retry.
	newer
	// unknown: the keys of the wrapping account are not known as far as the
	// wrap names them; they are asked for, and the wrap is looked at again.
	unknown
	// held: the user has to decide first (alarm, or a blocked account), or the
	// clock says that it is over.
	held
)

// check runs the opening checks of spec/message.md on one wrap, in the order
// of the spec, and opens it. It changes nothing but counters and what is asked
// for; TestOpeningChecks has a case for every line.
func (s *step) check(h message.Header, raw []byte) (wrap.Secret, verdict) {
	// 1. Sizes and version.
	w, err := message.ParseWrap(raw)
	if errors.Is(err, message.ErrVersion) {
		return wrap.Secret{}, newer
	}
	if err != nil || w.Context.Fits(h) != nil {
		return wrap.Secret{}, bad
	}
	from, to := w.Context.From, w.Context.To
	// 2. The header's recipient is this account (inbox), or its sender is
	// (holder copy, never shown).
	if _, err := h.RoleOf(s.e.id.account); err != nil || to.Account != s.e.id.account || to.Device != s.e.id.device {
		return wrap.Secret{}, bad
	}
	// 3. The wrapping device belongs to the header's sender or to this account.
	if from.Account != h.Sender && from.Account != s.e.id.account {
		return wrap.Secret{}, bad
	}
	// 4. Its account key is pinned, or reached by signed rotation; the account
	// is not blocked and raised no alarm.
	p := s.peer(from.Account)
	if p.blocked || p.alarm {
		return wrap.Secret{}, held
	}
	if !p.known {
		s.wantAccount(from.Account)
		return wrap.Secret{}, unknown
	}
	// 5. A higher list version than the one known is fetched and verified first.
	if from.ListVersion > p.list.List.Version {
		s.wantAccount(from.Account)
		return wrap.Secret{}, unknown
	}
	if from.Key != p.list.List.Key {
		return wrap.Secret{}, bad
	}
	// 6. The wrapping device is in the newest list known.
	d, ok := p.list.Find(from.Device)
	if !ok || d.Key != from.DeviceKey {
		return wrap.Secret{}, bad
	}
	// 7. Its certificate is signed by its device key, and the wrap was made
	// within the certificate's dates.
	cert := s.certificate(p, from.Account, from.Device, from.Epoch)
	if cert == nil && s.e.noCert[certName(from.Account, from.Device, from.Epoch)] {
		return wrap.Secret{}, bad
	}
	if cert == nil {
		s.wantCertificate(from.Account, from.Device, from.Epoch)
		return wrap.Secret{}, unknown
	}
	if cert.Hash() != from.Cert || !s.e.memory.isCertified(cert, d) || cert.Certificate.Auth != from.Auth || !cert.Certificate.ValidAt(from.At) {
		return wrap.Secret{}, bad
	}
	// 8. There is no end mark, and the message has not expired. By a wrong
	// clock it may only seem so: then it is looked at again.
	if _, ended := s.tx.get(endName(h.ID)); ended {
		return wrap.Secret{}, bad
	}
	if h.Expired(s.now) {
		return wrap.Secret{}, held
	}
	// 9. Decapsulate, open, digests equal. The wrap names the recipient's
	// device, epoch and lists in the very bytes that the key depends on.
	k := s.epoch(to.Epoch)
	if k == nil || k.certificate.Hash() != to.Cert || to.DeviceKey != s.e.id.key.Public() {
		return wrap.Secret{}, bad
	}
	key, err1 := k.keyPair()
	auth, err2 := k.authKey()
	if err1 != nil || err2 != nil {
		s.tx.err = ErrState // their lengths were looked at
		return wrap.Secret{}, bad
	}
	secret, err := wrap.Open(*w, key, auth, cert.Certificate.Auth, h)
	if err != nil {
		return wrap.Secret{}, bad
	}
	// 10. The known list version with another hash is an alarm: it is the
	// wrapping device's own word only now. Before, anybody could have held an
	// account back by writing into the context of a wrap.
	if from.ListVersion == p.list.List.Version && from.ListHash != p.list.Hash() {
		s.forked(from.Account)
		return wrap.Secret{}, bad
	}
	return secret, good
}

// forked: two lists with one version. The server, or whoever holds the account
// key, shows different devices to different people.
func (s *step) forked(id identity.AccountID) {
	s.count.Alarms++
	c := s.contact(id)
	if c == nil {
		s.show(Alarm{id, identity.ErrFork.Error()})
		return
	}
	// A key that was agreed to meanwhile must not be taken for the way out.
	c.AlarmList = nil
	if c.Alarm == "" {
		s.show(Alarm{id, identity.ErrFork.Error()})
		c.Alarm = identity.ErrFork.Error()
		s.saveContact(c)
	}
}

// certificate finds a device's certificate of one epoch: the newest, or one
// that a newer epoch has superseded.
func (s *step) certificate(p peer, a identity.AccountID, d identity.DeviceID, epoch uint64) *identity.SignedCertificate {
	if c := p.certs[d]; c != nil && c.Certificate.Epoch == epoch {
		return c
	}
	b, ok := s.tx.get(certName(a, d, epoch))
	if !ok {
		return nil
	}
	c, err := s.e.memory.certificate(b)
	if err != nil {
		return nil
	}
	return c
}

// tryWraps goes through the wraps of one message and says what they come to.
// What can never become good is dropped; so are all once one has opened.
func (s *step) tryWraps(h message.Header, in *state.In) (wrap.Secret, *message.WrapFrom, verdict) {
	best, keep := bad, in.Wraps[:0:0]
	for _, raw := range in.Wraps {
		secret, v := s.check(h, raw)
		switch v {
		case good:
			w, err := message.ParseWrap(raw)
			if err != nil {
				continue
			}
			in.Wraps = nil
			return secret, &w.Context.From, good
		case bad:
			s.count.BadWraps++
			continue
		}
		keep = append(keep, raw)
		best = max(best, v)
	}
	in.Wraps = keep
	return wrap.Secret{}, nil, best
}
