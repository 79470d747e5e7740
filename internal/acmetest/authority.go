package acmetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// Authority is a running authority. Close it.
type Authority struct {
	// URL is its directory.
	URL string
	// Life is how long its certificates are good; default 90 days. Set it
	// before the first request.
	Life time.Duration

	key  *ecdsa.PrivateKey
	root *x509.Certificate
	http *http.Server

	mu     sync.Mutex
	serial int64
	nonces map[string]bool
	addrs  map[string]string
	orders []*order
	// thumbprint is of the key of the one account.
	thumbprint string
	broken     bool
	faults     []error
}

// order is one order; it has one authorization of the same number.
type order struct {
	domain  string
	token   string
	status  string
	reason  string
	account string // the thumbprint that the challenge is made with
	chain   []byte
}

// Start runs an authority on a port of this machine.
func Start() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "acmetest"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().AddDate(1, 0, 0), KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &Authority{
		URL: "http://" + l.Addr().String() + "/directory", Life: 90 * 24 * time.Hour,
		key: key, root: root, serial: 1, nonces: map[string]bool{}, addrs: map[string]string{},
	}
	a.http = &http.Server{Handler: a.handler("http://" + l.Addr().String()), ReadHeaderTimeout: time.Minute}
	go func() { _ = a.http.Serve(l) }()
	return a, nil
}

// Close stops it.
func (a *Authority) Close() error { return a.http.Close() }

// Resolve says where a domain's server is, instead of the DNS. Until it has, the
// check of a domain waits.
func (a *Authority) Resolve(domain, addr string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.addrs[domain] = addr
}

// Break has it refuse orders, or take them again.
func (a *Authority) Break(broken bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.broken = broken
}

// address waits for the address of a domain.
func (a *Authority) address(domain string) (string, error) {
	for range 1500 {
		a.mu.Lock()
		addr, ok := a.addrs[domain]
		a.mu.Unlock()
		if ok {
			return addr, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return "", errors.New("acmetest: nobody said where " + domain + " is")
}

// Roots is what its clients' clients trust.
func (a *Authority) Roots() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.root)
	return p
}

// RootPEM is its own certificate.
func (a *Authority) RootPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})
}

// Issued is how many certificates it has issued.
func (a *Authority) Issued() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return int(a.serial) - 1
}

// Err is what clients did wrong.
func (a *Authority) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return errors.Join(a.faults...)
}

// Pair issues a certificate for names and addresses of this machine, in PEM,
// without being asked over ACME.
func (a *Authority) Pair(life time.Duration, names ...string) (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	var ips []net.IP
	var domains []string
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			ips = append(ips, ip)
		} else {
			domains = append(domains, n)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if cert, err = a.issue(k.Public(), life, domains, ips); err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	return cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// issue makes a chain; called with mu held.
func (a *Authority) issue(public any, life time.Duration, domains []string, ips []net.IP) ([]byte, error) {
	a.serial++
	end := time.Now().Add(life)
	begin := time.Now().Add(-time.Hour)
	if end.Before(begin) {
		begin = end.Add(-time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), DNSNames: domains, IPAddresses: ips, NotBefore: begin, NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}, a.root, public, a.key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), a.RootPEM()...), nil
}
