// Package identity holds what an account is to others: ids, key types, the
// signed device list, epoch certificates, the rules by which a client follows a
// list from one version to the next, and safety numbers.
//
// The normative text is spec/identity.md. The package does no I/O, reads no
// clock and logs nothing; everything in it is safe for concurrent use once
// built, because values are never changed after they are returned.
package identity
