// Package capsule holds the keys that an account has besides its account key,
// and the sealed records in which they and the account key lie at the server:
// the capsule, its copy under the recovery code, and server shares. The
// normative text is spec/login.md and, for shares, spec/shares.md.
//
// The server stores all of these records and can open none: the capsule is
// sealed under the export key of OPAQUE, the copy under a key of the recovery
// code, shares under a key of the capsule. Each record is bound to its account
// and its place, so that the server cannot put one where another belongs.
//
// Nothing here does I/O or reads a clock. All types are values and safe for
// concurrent use.
package capsule
