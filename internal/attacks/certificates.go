package attacks

import (
	"crypto/ecdh"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

const (
	epochSwap = "a prekey of the server's own (why X3DH signs its prekeys)"
	keepsCert = "ana wraps for the epoch that she knows"
)

var certificates = Group{"Epoch certificates", []Attack{
	{"certificate-by-another-device", epochSwap, keepsCert, ignored(func(s *stage, k *resealv1.AccountKeys) {
		e, err := client.FirstEpoch(s.bob.ID, s.b2.ID, s.b1.Key, 2, s.Time(), s.Rand())
		if err != nil {
			s.t.Fatal(err)
		}
		k.Certificates = append(k.Certificates, e.Certificate.Bytes())
	}), ""},
	{"certificate-by-the-server", epochSwap, keepsCert, ignored(func(s *stage, k *resealv1.AccountKeys) {
		e, err := client.FirstEpoch(s.bob.ID, s.b1.ID, s.m.Key, 2, s.Time(), s.Rand())
		if err != nil {
			s.t.Fatal(err)
		}
		k.Certificates = [][]byte{e.Certificate.Bytes()}
	}), ""},
	{"certificate-of-a-ghost", ghostDevices, keepsCert, ignored(func(s *stage, k *resealv1.AccountKeys) {
		ghost := s.mallory.NewDevice()
		s.mallory.Devices = s.mallory.Devices[:1]
		k.Certificates = append(k.Certificates, ghost.First.Certificate.Bytes())
	}), ""},
	{"certificate-of-another-account", "cross-account confusion", keepsCert, ignored(func(s *stage, k *resealv1.AccountKeys) {
		k.Certificates = keysOf(s.mallory, s.mallory.List()).Certificates
	}), ""},
	{"certificate-bits", malleable, keepsCert + ", whatever bit is changed", func(s *stage) {
		before := s.contact(s.a, s.bob)
		good := s.b1.First.Certificate.Bytes()
		for i := 2; i < len(good); i += 3 {
			k := keysOf(s.bob, s.bob.List())
			k.Certificates = [][]byte{flipped(good, i)}
			s.learn(s.a, k)
		}
		s.unchanged(before)
	}, ""},
	{"certificate-cut", malleable, keepsCert, ignored(certs(func(b []byte) []byte { return b[:len(b)-1] })), ""},
	{"certificate-extended", malleable, keepsCert, ignored(certs(func(b []byte) []byte { return append(b, 0) })), ""},
	{"certificate-of-a-newer-format", "downgrade and confusion of formats", keepsCert, ignored(certs(func(b []byte) []byte {
		b[1]++
		return b
	})), ""},
	{"certificates-exchanged", "two devices' certificates under each other's name", keepsCert, ignored(func(_ *stage, k *resealv1.AccountKeys) {
		c := k.Certificates
		for i, b := range c {
			other := c[(i+1)%len(c)]
			k.Certificates[i] = append(append([]byte(nil), b[:40]...), other[40:]...)
		}
	}), ""},
	{"certificates-withheld", "suppression", "known epochs serve on; a device without one gets the key by retry", func(s *stage) {
		none := aboutKeys(s.a, s.bob, func(k *resealv1.AccountKeys) { k.Certificates = nil })
		s.tell(none)
		b3 := s.bob.Device()
		m := s.send(message.Keep)
		s.Advance(time.Minute)
		s.Readable(m, s.b1, s.b2, b3)
	}, ""},
	{"certificates-without-end", "exhaustion", keepsCert, ignored(func(_ *stage, k *resealv1.AccountKeys) {
		for range 4000 {
			k.Certificates = append(k.Certificates, k.Certificates[0], make([]byte, 300))
		}
	}), ""},
	{"certificate-rolled-back", "the server brings back an epoch whose key may be stolen by now", "the newest epoch that was seen is wrapped for", func(s *stage) {
		s.Advance(40 * 24 * time.Hour)
		wrapped := s.wrapsFor(func() { s.send(message.Keep) })
		epoch := wrapped[s.b1.ID]
		if epoch < 2 {
			s.t.Fatalf("the epoch is still %d", epoch)
		}
		old := func(k *resealv1.AccountKeys) { k.Certificates = keysOf(s.bob, s.bob.List()).Certificates }
		s.tell(aboutKeys(s.a, s.bob, old))
		s.learn(s.a, keysOf(s.bob, s.bob.List()))
		if wrapped = s.wrapsFor(func() { s.send(message.Keep) }); wrapped[s.b1.ID] != epoch {
			s.t.Fatalf("wrapped for epoch %d after %d", wrapped[s.b1.ID], epoch)
		}
	}, ""},
	{"certificate-expired", "the only certificate served is long past its date", "no wrap for that epoch", func(s *stage) {
		past := s.Time().Add(-200 * 24 * time.Hour)
		e, err := client.FirstEpoch(s.bob.ID, s.b1.ID, s.b1.Key, 7, past, s.Rand())
		if err != nil {
			s.t.Fatal(err)
		}
		k := keysOf(s.bob, s.bob.List())
		k.Certificates = [][]byte{e.Certificate.Bytes()}
		s.learn(s.a, k)
		if wrapped := s.wrapsFor(func() { s.send(message.Keep) }); wrapped[s.b1.ID] == 7 {
			s.t.Fatal("wrapped for an expired epoch")
		}
	}, ""},
	{"certificate-of-the-future", "a certificate that is not valid yet, by a device whose clock is wrong", "no wrap for that epoch before its time", func(s *stage) {
		e, err := client.FirstEpoch(s.bob.ID, s.b1.ID, s.b1.Key, 7, s.Time().Add(20*24*time.Hour), s.Rand())
		if err != nil {
			s.t.Fatal(err)
		}
		k := keysOf(s.bob, s.bob.List())
		k.Certificates = append(k.Certificates, e.Certificate.Bytes())
		s.learn(s.a, k)
		if wrapped := s.wrapsFor(func() { s.send(message.Keep) }); wrapped[s.b1.ID] == 7 {
			s.t.Fatal("wrapped for an epoch of the future")
		}
	}, ""},
	{"certificate-with-a-low-order-point", "a device that makes the static secret known to all (small subgroups)", "the certificate is refused", func(s *stage) {
		c := s.b1.First.Certificate.Certificate
		c.Epoch, c.Auth = 7, identity.EpochAuthPublic{1}
		if c.Auth.Check() == nil {
			if _, err := ecdh.X25519().NewPublicKey(c.Auth[:]); err == nil {
				s.t.Fatal("the point is good")
			}
		}
		signed, err := identity.SignCertificate(c, s.b1.Key)
		if err == nil {
			s.t.Fatal("such a certificate can be made")
		}
		_ = signed
		// What SignCertificate does not make, the server makes of a good one; it
		// has no signature then.
		k := keysOf(s.bob, s.bob.List())
		b := append([]byte(nil), k.Certificates[0]...)
		good := s.b1.First.Certificate.Certificate.Auth
		k.Certificates[0] = replaced(b, good[:], make([]byte, 32))
		s.learn(s.a, k)
		s.send(message.Keep)
	}, ""},
}}

// certs applies f to every certificate.
func certs(f func(b []byte) []byte) func(*stage, *resealv1.AccountKeys) {
	return func(_ *stage, k *resealv1.AccountKeys) {
		k.Certificates = each(func(b []byte) []byte { return f(append([]byte(nil), b...)) })(k.Certificates)
	}
}
