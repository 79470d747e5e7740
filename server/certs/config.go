package certs

import (
	"crypto/tls"
	"time"
)

// Source has the certificate that the server shows.
type Source interface {
	// Certificate is for one handshake, as tls.Config.GetCertificate has it.
	Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
	// NotAfter is when the present certificate ends; zero if there is none yet.
	NotAfter() time.Time
	// Protocols are further names for ALPN that the source needs.
	Protocols() []string
}

// Config is the server's side of TLS with a source's certificate: version 1.3
// only, HTTP/2 and HTTP/1.1, the hybrid group first. P-256 is the one group that
// every implementation must have (RFC 8446, section 9.1).
func Config(s Source) *tls.Config {
	return &tls.Config{
		MinVersion:       tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256},
		NextProtos:       append([]string{"h2", "http/1.1"}, s.Protocols()...),
		GetCertificate:   s.Certificate,
	}
}
