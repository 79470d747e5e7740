package certs_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reseal/reseal/internal/acmetest"
	"github.com/reseal/reseal/server/certs"
)

const domain = "chat.example.org"

func newACME(t *testing.T, a *acmetest.Authority, folder string, log *bytes.Buffer) *certs.ACME {
	t.Helper()
	s, err := certs.NewACME(certs.ACMEOptions{
		Domains: []string{domain}, Folder: folder, Directory: a.URL, Email: "somebody@example.org", Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	a.Resolve(domain, listen(t, s))
	return s
}

// From nothing to a certificate that clients take, and again from the folder
// without asking the authority.
func TestACME(t *testing.T) {
	a, log := authority(t), new(bytes.Buffer)
	folder := filepath.Join(t.TempDir(), "data", "acme")
	s := newACME(t, a, folder, log)
	if !s.NotAfter().IsZero() {
		t.Error("a certificate before the first one")
	}
	s.Begin(t.Context())
	if !strings.Contains(log.String(), "certs: certified") {
		t.Fatal(log)
	}
	addr := listen(t, s)
	for _, c := range []*tls.Config{
		{},
		{MinVersion: tls.VersionTLS13}, // offers no suite of TLS 1.2
		{ServerName: strings.ToUpper(domain)},
	} {
		c.RootCAs = a.Roots()
		if c.ServerName == "" {
			c.ServerName = domain
		}
		got, err := dial(t, addr, c)
		if err != nil {
			t.Fatal(err)
		}
		if got.PeerCertificates[0].PublicKeyAlgorithm != x509.ECDSA || got.Version != tls.VersionTLS13 {
			t.Errorf("%v, version %x", got.PeerCertificates[0].PublicKeyAlgorithm, got.Version)
		}
	}
	if n := a.Issued(); n != 1 {
		t.Errorf("%d certificates were issued, want 1", n)
	}
	if left := time.Until(s.NotAfter()); left < 89*24*time.Hour || left > 90*24*time.Hour {
		t.Errorf("ends in %v", left)
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", info.Mode(), err)
	}
	again := newACME(t, a, folder, log)
	again.Begin(t.Context())
	if n := a.Issued(); n != 1 || again.NotAfter().IsZero() {
		t.Errorf("%d certificates were issued after a restart, want 1", n)
	}
}

// Other names cost the authority nothing; one that fails is told and tried again
// later, and the process goes on.
func TestACMERefusals(t *testing.T) {
	a, log := authority(t), new(bytes.Buffer)
	s := newACME(t, a, t.TempDir(), log)
	addr := listen(t, s)
	for _, name := range []string{"other.example.org", "sub." + domain, "localhost", ""} {
		c := &tls.Config{ServerName: name, RootCAs: a.Roots(), InsecureSkipVerify: true}
		if _, err := dial(t, addr, c); err == nil {
			t.Errorf("%q: a certificate", name)
		}
	}
	a.Break(true)
	s.Begin(t.Context())
	if !strings.Contains(log.String(), "no certificate from the authority") || a.Issued() != 0 {
		t.Error(log)
	}
	for _, o := range []certs.ACMEOptions{
		{Domains: []string{domain}}, {Folder: t.TempDir()}, {Domains: []string{"*.example.org"}, Folder: t.TempDir()},
		{Domains: []string{"localhost"}, Folder: t.TempDir()}, {Domains: []string{"example.org:443"}, Folder: t.TempDir()},
	} {
		if _, err := certs.NewACME(o); err == nil {
			t.Errorf("%v: taken", o.Domains)
		}
	}
}
