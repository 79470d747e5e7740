package client_test

import (
	"crypto/rand"
	"testing"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
)

// certified is a device and certificates that it signed.
type certified struct {
	device identity.Device
	key    identity.DeviceKey
	cert   identity.Certificate
}

func newCertified(t testing.TB) certified {
	t.Helper()
	dk, err := identity.NewDeviceKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ek, err := identity.NewEpochKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	xa, err := identity.NewEpochAuthKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const at = identity.Time(1_800_000_000_000)
	c := certified{device: identity.Device{ID: identity.DeviceID{1}, Key: dk.Public()}, key: dk}
	c.cert = identity.Certificate{
		Account: identity.AccountID{2}, Device: c.device.ID, Epoch: 1, Key: ek.Public(), Auth: xa.Public(),
		MaxVersion: 1, NotBefore: at, NotAfter: at.Add(identity.CertificateLife),
	}
	return c
}

func (c certified) sign(t testing.TB, epoch uint64) *identity.SignedCertificate {
	t.Helper()
	c.cert.Epoch = epoch
	s, err := identity.SignCertificate(c.cert, c.key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What is remembered of a certificate holds for those very bytes and that very
// device, and never makes another one good.
func TestCertifiedForTheSameBytesAndDevice(t *testing.T) {
	c := newCertified(t)
	good := c.sign(t, 1)
	var e client.Engine
	for range 2 {
		if !e.IsCertified(good, c.device) {
			t.Fatal("a good certificate is refused")
		}
	}
	stranger := newCertified(t)
	otherKey, otherID := c.device, c.device
	otherKey.Key = stranger.device.Key
	otherID.ID = identity.DeviceID{9}
	for i := range good.Bytes() {
		b := append([]byte(nil), good.Bytes()...)
		b[i] ^= 1
		altered, err := identity.ParseCertificate(b)
		if err == nil && e.IsCertified(altered, c.device) {
			t.Fatalf("a certificate with byte %d altered passes after the good one", i)
		}
	}
	for range 2 {
		if e.IsCertified(good, otherKey) || e.IsCertified(good, otherID) {
			t.Fatal("another device passes as the signer of a certificate that was verified")
		}
		if e.IsCertified(stranger.sign(t, 1), c.device) {
			t.Fatal("a certificate that another device signed passes")
		}
	}
	if !e.IsCertified(good, c.device) || e.Certified() != 1 {
		t.Fatalf("%d certificates are remembered, want the good one", e.Certified())
	}
}

// What is remembered is bounded, whatever a server serves, and what was dropped
// is verified again.
func TestCertifiedIsBounded(t *testing.T) {
	c := newCertified(t)
	var e client.Engine
	for n := range uint64(client.MaxCertified) {
		if !e.IsCertified(c.sign(t, n+1), c.device) {
			t.Fatal("a good certificate is refused")
		}
	}
	if e.Certified() != client.MaxCertified {
		t.Fatalf("%d are remembered, want %d", e.Certified(), client.MaxCertified)
	}
	for _, epoch := range []uint64{client.MaxCertified + 1, 1} {
		if !e.IsCertified(c.sign(t, epoch), c.device) {
			t.Fatal("a good certificate is refused")
		}
	}
	if e.Certified() > client.MaxCertified {
		t.Fatalf("%d are remembered, at most %d may be", e.Certified(), client.MaxCertified)
	}
}

// What a fork verifies it remembers for itself.
func TestForkRemembersForItself(t *testing.T) {
	c := newCertified(t)
	var e client.Engine
	e.IsCertified(c.sign(t, 1), c.device)
	f := e.Fork(nil, nil)
	if f.Certified() != 1 {
		t.Errorf("a fork remembers %d certificates, want what was remembered before", f.Certified())
	}
	f.IsCertified(c.sign(t, 2), c.device)
	e.IsCertified(c.sign(t, 3), c.device)
	e.IsCertified(c.sign(t, 4), c.device)
	if e.Certified() != 3 || f.Certified() != 2 {
		t.Errorf("%d and %d certificates are remembered, want 3 and 2", e.Certified(), f.Certified())
	}
}

// The price of looking at a sender's certificate: once, and for every message
// after.
func BenchmarkCertified(b *testing.B) {
	c := newCertified(b)
	good := c.sign(b, 1)
	b.Run("verified", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if good.Verify(c.device) != nil {
				b.Fatal("a good certificate is refused")
			}
		}
	})
	b.Run("remembered", func(b *testing.B) {
		var e client.Engine
		b.ReportAllocs()
		for b.Loop() {
			if !e.IsCertified(good, c.device) {
				b.Fatal("a good certificate is refused")
			}
		}
	})
}
