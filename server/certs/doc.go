// Package certs gives the server its TLS: what is agreed on with clients, and
// the certificate, either out of files that somebody else renews ([Files]) or
// from an authority that speaks ACME, RFC 8555 ([ACME]).
//
// TLS is version 1.3 only (RFC 8446). The key exchange is X25519MLKEM768 with
// every client that has it, so that what is recorded today is not opened by a
// quantum computer later: contents are sealed in the same way already, but
// handles, times and sizes are protected by TLS alone.
//
// Everything in this package is safe for concurrent use.
package certs
