// Package presealed drives a server as many small clients would, with messages
// that were sealed before, so that a measurement shows the server and not the
// clients' cryptography.
//
// Everything that the server checks is real: accounts with keys, signed lists
// and certificates, sessions, the connection, message ids, wraps. What it cannot
// see is made once and used again: the password record of accounts that nobody
// logs in to, and of a [Letter] the sealed content and its wraps, which go out
// under many message ids. A recipient could not open those; it acknowledges
// them, as the queue wants it.
//
// It is no client to build on: it verifies nothing that the server says.
package presealed
