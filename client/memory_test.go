package client_test

import (
	"bytes"
	"crypto/rand"
	"testing"
	"time"

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
	m := client.NewMemory()
	for range 2 {
		if !m.IsCertified(good, c.device) {
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
		if err == nil && m.IsCertified(altered, c.device) {
			t.Fatalf("a certificate with byte %d altered passes after the good one", i)
		}
	}
	for range 2 {
		if m.IsCertified(good, otherKey) || m.IsCertified(good, otherID) {
			t.Fatal("another device passes as the signer of a certificate that was verified")
		}
		if m.IsCertified(stranger.sign(t, 1), c.device) {
			t.Fatal("a certificate that another device signed passes")
		}
	}
	if !m.IsCertified(good, c.device) || m.Certified() != 1 {
		t.Fatalf("%d certificates are remembered, want the good one", m.Certified())
	}
}

// What is remembered is bounded, whatever a server serves, and what was dropped
// is verified again.
func TestCertifiedIsBounded(t *testing.T) {
	c := newCertified(t)
	m := client.NewMemory()
	for n := range uint64(client.MaxRemembered) {
		if !m.IsCertified(c.sign(t, n+1), c.device) {
			t.Fatal("a good certificate is refused")
		}
	}
	if m.Certified() < client.MaxRemembered/2 {
		t.Fatalf("%d are remembered, want %d at least", m.Certified(), client.MaxRemembered/2)
	}
	for _, epoch := range []uint64{client.MaxRemembered + 1, 1} {
		if !m.IsCertified(c.sign(t, epoch), c.device) {
			t.Fatal("a good certificate is refused")
		}
	}
	if m.Certified() > client.MaxRemembered {
		t.Fatalf("%d are remembered, at most %d may be", m.Certified(), client.MaxRemembered)
	}
}

// A list is read once for the same bytes, one that was altered is refused after
// it, and no more are kept than the bound says.
func TestListsAreRemembered(t *testing.T) {
	key, err := identity.NewAccountKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	next, err := identity.NewAccountKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := newCertified(t)
	const at = identity.Time(1_800_000_000_000)
	c.device.AddedAt, c.device.Class, c.device.How = at, identity.Native, identity.ByPassword
	signed := func(added identity.Time) []byte {
		l, err := identity.SignList(identity.DeviceList{
			Account: identity.AccountID{2}, Key: key.Public(), Next: next.Public().Next(), Version: 1,
			IssuedAt: at.Add(time.Duration(added) * time.Second), Devices: []identity.Device{c.device},
		}, key)
		if err != nil {
			t.Fatal(err)
		}
		return l.Bytes()
	}
	m, b := client.NewMemory(), signed(1)
	first, err := m.List(b)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := m.List(bytes.Clone(b)); err != nil || again != first {
		t.Errorf("the same bytes were read anew: %v", err)
	}
	for i := range b {
		altered := bytes.Clone(b)
		altered[i] ^= 1
		if _, err := m.List(altered); err == nil {
			t.Fatalf("a list with byte %d altered passes", i)
		}
	}
	if m.Lists() != 1 {
		t.Errorf("%d lists are remembered, want 1", m.Lists())
	}
	for i := range identity.Time(client.MaxRemembered) {
		if _, err := m.List(signed(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := m.Lists(); n > client.MaxRemembered || n < client.MaxRemembered/2 {
		t.Errorf("%d lists are remembered", n)
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
		m := client.NewMemory()
		b.ReportAllocs()
		for b.Loop() {
			if !m.IsCertified(good, c.device) {
				b.Fatal("a good certificate is refused")
			}
		}
	})
}
