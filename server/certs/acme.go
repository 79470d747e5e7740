package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// ACMEOptions say what to have certified by whom. Domains and Folder are needed.
type ACMEOptions struct {
	// Domains are the names that clients use; no other is answered.
	Domains []string
	// Folder keeps the account's key and the certificates, 0700; it is made if
	// need be. What is lost with it is asked for again.
	Folder string
	// Directory is the URL of the authority; default Let's Encrypt.
	Directory string
	// Email is told to the authority, which may warn there. Optional.
	Email string
	// HTTP talks to the authority; default http.DefaultClient.
	HTTP *http.Client
	Log  *slog.Logger // default discards
}

// ACME is a certificate of an authority that checks the domain by connecting to
// the server itself, at port 443 (tls-alpn-01, RFC 8737): no other port and no
// other program is needed. It is asked for with the first handshake and renewed
// a month before its end. Making one agrees to the authority's terms.
type ACME struct {
	manager *autocert.Manager
	domains []string
	log     *slog.Logger

	mu       sync.Mutex
	notAfter time.Time
}

// NewACME makes the folder; the authority is not asked yet, see [ACME.Begin].
func NewACME(o ACMEOptions) (*ACME, error) {
	if len(o.Domains) == 0 || o.Folder == "" {
		return nil, errors.New("certs: Domains and Folder are needed")
	}
	for _, d := range o.Domains {
		if strings.ContainsAny(d, "*/: ") || !strings.Contains(strings.Trim(d, "."), ".") {
			return nil, errors.New("certs: not a domain that ACME can certify: " + d)
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Directory == "" {
		o.Directory = acme.LetsEncryptURL
	}
	if err := os.MkdirAll(o.Folder, 0o700); err != nil {
		return nil, err
	}
	return &ACME{
		domains: slices.Clone(o.Domains), log: o.Log,
		manager: &autocert.Manager{
			Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(o.Folder), Email: o.Email,
			// Whoever connects chooses the name: only those of the operator may
			// cost a request to the authority.
			HostPolicy: autocert.HostWhitelist(o.Domains...),
			Client:     &acme.Client{DirectoryURL: o.Directory, HTTPClient: o.HTTP, UserAgent: "reseal"},
		},
	}, nil
}

// Certificate has the certificate of the name that the client asks for, or the
// authority's challenge.
func (a *ACME) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	h := *hello
	// The manager would read from the suites of TLS 1.2 which kind of key the
	// client takes, and get a second certificate, with RSA, for clients without
	// them. With TLS 1.3 all take ECDSA with P-256 (RFC 8446, section 9.1).
	h.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	h.SignatureSchemes, h.SupportedCurves = nil, nil
	c, err := a.manager.GetCertificate(&h)
	if err != nil || slices.Equal(hello.SupportedProtos, a.Protocols()) {
		return c, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.Leaf != nil {
		a.notAfter = c.Leaf.NotAfter
	}
	return c, nil
}

// NotAfter is when the certificate that was last shown ends.
func (a *ACME) NotAfter() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.notAfter
}

// Protocols is how the authority says that it has come to check.
func (*ACME) Protocols() []string { return []string{acme.ALPNProto} }

// Begin has every domain certified, if it is not yet, so that the first client
// need not wait; it is called when the server listens. What fails is in the log,
// and tried again with the next handshake.
func (a *ACME) Begin(ctx context.Context) {
	for _, d := range a.domains {
		if ctx.Err() != nil {
			return
		}
		c, err := a.Certificate(&tls.ClientHelloInfo{ServerName: d})
		if err != nil {
			a.log.Error("certs: no certificate from the authority", "domain", d, "error", err)
			continue
		}
		a.log.Info("certs: certified", "domain", d, "until", c.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
}
