// Package wrap seals the key of a content to one device and opens it there.
//
// A wrap is a fresh HPKE encapsulation (ML-KEM-768 with X25519, so that traffic
// recorded today stays closed to a quantum computer) joined with a static X25519
// secret of both devices' epoch auth keys, so that only the two of them could
// have made it. It authenticates the message's header and the digest of the
// ciphertext: nobody who knows the content key can put another content or
// another message under it.
//
// [Seal] and [Open] do the cryptography. Whether the devices are who they claim
// to be (lists, certificates, pins, dates, ends) is for the caller to check
// before Open, in the order of spec/message.md, section 7; message.ParseWrap and
// message.WrapContext give it what it needs.
//
// The normative text is spec/wrap.md. The package does no I/O, reads no clock
// and logs nothing. Functions may be called concurrently, and so may the
// methods of [Sealer].
package wrap
