// Package opaque is the password login: OPAQUE-3DH of RFC 9807 with
// ristretto255-SHA512, HKDF-SHA-512, HMAC-SHA-512, SHA-512 and Argon2id, both
// halves, as spec/login.md fixes it. It wraps github.com/bytemare/opaque, which
// does the cryptography; what is added here is one set of parameters, sizes
// that cannot vary, one error, the server's key file, equal answers for unknown
// handles, and a server that keeps nothing between KE2 and KE3.
//
// # Client
//
// A sign-up or a password change is [StartRegistration] and
// [Registration.Finish]; a login is [StartLogin] and [Login.Finish]. Passwords
// go in as package client/password returns them.
//
// # Server
//
// [NewSetup] makes the long-lived secrets, [Setup.Encode] is what lies in the
// key file. [Server] answers; it holds no state of any login and is safe for
// concurrent use. The values of one registration or login are used once, by
// one goroutine.
//
// The wrapped library reads its randomness from crypto/rand.
package opaque
