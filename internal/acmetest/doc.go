// Package acmetest is a certificate authority in this process, for tests: as
// much of ACME (RFC 8555) as a client that proves its domain by tls-alpn-01
// (RFC 8737) sees. It checks nonces, the URLs that are signed, and the challenge
// over the network, but no signatures.
package acmetest
